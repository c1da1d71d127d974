"""Ternary kernels as images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import keras
import numpy as np

from tern_keras.latent import LatentKernel
from tern_keras.plots.style import CODE_COLOURS, LABEL, TITLE, by_title, code_legend, drawable_kernels, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def kernel_montage(models: Mapping[str, keras.Model] | keras.Model) -> Figure:
    """Draw the ternary kernels of every quantised layer: red is +, grey zero, blue -.

    A convolution is a grid of its kernels, a column an output channel and a row an input channel; a dense kernel is
    one image, a column an output.

    Args:
        models: built models with quantised layers, by the title of their row, or a single one.

    Returns:
        A figure with a row a model and a column a layer. Save it with `figure.savefig(path)`.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: `models` is something else.
        ValueError: a model has no quantised layer, or none is passed.

    Example:
        >>> from tern_keras.layers import QuantConv2D
        >>> model = keras.Sequential([keras.Input((8, 8, 2)), QuantConv2D(4, 3, kernel_quantizer="twn")])
        >>> len(kernel_montage({"TWN": model}).axes)
        1
    """
    rows = {title: drawable_kernels(title, model) for title, model in by_title(models).items()}
    columns = max(map(len, rows.values()))
    figure = new_figure(4.2 * columns, 2.6 * len(rows))
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for row, (title, kernels) in enumerate(rows.items()):
        for column in range(columns):
            axis = axes[row][column]
            axis.axis("off")
            if column < len(kernels):
                axis.imshow(tiles(_outputs_last(kernels[column])), interpolation="nearest")
                axis.set_title(f"{title}: {kernels[column].name}", fontsize=TITLE)
    figure.supxlabel("output channel", fontsize=LABEL)
    figure.supylabel("input channel", fontsize=LABEL)
    code_legend(figure)
    return figure


def _outputs_last(kernel: LatentKernel) -> np.ndarray:
    # a transposed convolution has the outputs before the inputs
    return kernel.signs.swapaxes(-1, -2) if kernel.signs.ndim - 1 in kernel.filter_axes else kernel.signs


def tiles(codes: np.ndarray) -> np.ndarray:
    """Return an RGB image of the kernels (..., width, inputs, outputs) side by side, with a white line between them."""
    colours = np.ones((*codes.shape, 3))
    for code, colour in CODE_COLOURS.items():
        colours[codes == code] = colour
    if codes.ndim == 2:
        return colours
    *depths, width, inputs, outputs = codes.shape  # one, two or three spatial dimensions
    height = math.prod(depths)
    colours = colours.reshape(height, width, inputs, outputs, 3)
    padded = np.ones((inputs, height + 1, outputs, width + 1, 3))
    padded[:, :height, :, :width] = colours.transpose(2, 0, 3, 1, 4)
    return padded.reshape(inputs * (height + 1), outputs * (width + 1), 3)[:-1, :-1]
