"""Pictures of quantised models. Needs matplotlib: `pip install 'tern-keras[plots]'`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np

from tern_keras.cloning import leaf_layers
from tern_keras.layers.base import QuantizedLayer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# red, green, blue by code
_COLOURS = {-1: (0.23, 0.44, 0.71), 0: (0.85, 0.85, 0.85), 1: (0.78, 0.33, 0.24)}
_NAMES = {-1: "-", 0: "zero", 1: "+"}
_BINS = 60


def latent_histograms(models: Mapping[str, keras.Model]) -> Figure:
    """Draw the latent weights of every quantised layer, coloured by the code that each takes.

    A dashed line marks the largest latent weight that is a zero: the threshold, seen from below.

    Args:
        models: built models with quantised layers, by the title of their column.

    Returns:
        A figure with a row a layer and a column a model. Save it with `figure.savefig(path)`.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: a model has no quantised layer.

    Example:
        >>> from tern_keras.layers import QuantDense
        >>> model = keras.Sequential([keras.Input((8,)), QuantDense(16, kernel_quantizer="twn")])
        >>> len(latent_histograms({"TWN": model}).axes)
        1
    """
    columns = {title: _quantized_kernels(title, model) for title, model in models.items()}
    rows = max(map(len, columns.values()))
    figure = _figure(3.4 * len(columns), 2.2 * rows)
    axes = figure.subplots(rows, len(columns), squeeze=False)
    for column, (title, layers) in enumerate(columns.items()):
        for row in range(rows):
            axis = axes[row][column]
            if row >= len(layers):
                axis.axis("off")
                continue
            _histogram(axis, layers[row])
            axis.set_title(f"{title}: {layers[row].name}", fontsize=9)
    axes[0][0].legend(fontsize=8)
    figure.supxlabel("latent weight", fontsize=9)
    figure.supylabel("weights", fontsize=9)
    return figure


def kernel_montage(models: Mapping[str, keras.Model]) -> Figure:
    """Draw the ternary kernels of every quantised layer: red is +, grey zero, blue -.

    A convolution is a grid of its kernels, a column an output channel and a row an input channel; a dense kernel is
    one image, a column an output.

    Args:
        models: built models with quantised layers, by the title of their row.

    Returns:
        A figure with a row a model and a column a layer. Save it with `figure.savefig(path)`.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: a model has no quantised layer.

    Example:
        >>> from tern_keras.layers import QuantConv2D
        >>> model = keras.Sequential([keras.Input((8, 8, 2)), QuantConv2D(4, 3, kernel_quantizer="twn")])
        >>> len(kernel_montage({"TWN": model}).axes)
        1
    """
    rows = {title: _quantized_kernels(title, model) for title, model in models.items()}
    columns = max(map(len, rows.values()))
    figure = _figure(4.2 * columns, 2.6 * len(rows))
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for row, (title, layers) in enumerate(rows.items()):
        for column in range(columns):
            axis = axes[row][column]
            axis.axis("off")
            if column < len(layers):
                axis.imshow(_tiles(layers[column].codes), interpolation="nearest")
                axis.set_title(f"{title}: {layers[column].name}", fontsize=9)
    figure.supxlabel("output channel", fontsize=9)
    figure.supylabel("input channel", fontsize=9)
    from matplotlib.patches import Patch  # here: _figure has explained a missing matplotlib by now

    patches = [Patch(color=colour, label=_NAMES[code]) for code, colour in _COLOURS.items()]
    figure.legend(handles=patches, loc="outside upper right", ncols=len(patches), fontsize=8)
    return figure


@dataclass(frozen=True)
class _Kernel:
    """A kernel to draw: latent weights, and codes by sign."""

    name: str
    latent: np.ndarray
    codes: np.ndarray


def _quantized_kernels(title: str, model: keras.Model) -> list[_Kernel]:
    found = []
    for layer in leaf_layers(model):
        if not isinstance(layer, QuantizedLayer):
            continue
        quantized = layer.quantized_kernels()
        for spec in layer.kernel_specs:
            if spec.role in quantized:
                name = layer.name if len(layer.kernel_specs) == 1 else f"{layer.name}/{spec.role}"
                latent = keras.ops.convert_to_numpy(spec.variable(layer))
                found.append(_Kernel(name, latent, np.sign(quantized[spec.role].codes)))
    if not found:
        raise ValueError(f"The model of '{title}' has no quantised layer to draw. Pass it before finalize().")
    return found


def _figure(width: float, height: float) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("Plots need matplotlib: pip install 'tern-keras[plots]'") from error
    return Figure(figsize=(width, height), layout="constrained")  # no pyplot: nothing global, no window


def _histogram(axis: Axes, kernel: _Kernel) -> None:
    weights, codes = kernel.latent.ravel(), kernel.codes.ravel()
    zeros = np.abs(weights[codes == 0])
    thresholds = [-zeros.max(), zeros.max()] if zeros.size else []
    # an edge at each threshold, so that no bin holds codes of both sides
    bins = np.unique([*np.linspace(weights.min(), weights.max(), _BINS), *thresholds])
    sides = [weights[codes == code] for code in _COLOURS]
    axis.hist(sides, bins.tolist(), stacked=True, color=list(_COLOURS.values()), label=list(_NAMES.values()))
    for threshold in thresholds:
        axis.axvline(threshold, color="black", linewidth=0.8, linestyle="--")
    axis.tick_params(labelsize=7)


def _tiles(codes: np.ndarray) -> np.ndarray:
    """An RGB image of the kernels (..., width, inputs, outputs) side by side, with a white line between them."""
    colours = np.ones((*codes.shape, 3))
    for code, colour in _COLOURS.items():
        colours[codes == code] = colour
    if codes.ndim == 2:
        return colours
    *depths, width, inputs, outputs = codes.shape  # one, two or three spatial dimensions
    height = math.prod(depths)
    colours = colours.reshape(height, width, inputs, outputs, 3)
    padded = np.ones((inputs, height + 1, outputs, width + 1, 3))
    padded[:, :height, :, :width] = colours.transpose(2, 0, 3, 1, 4)
    return padded.reshape(inputs * (height + 1), outputs * (width + 1), 3)[:-1, :-1]
