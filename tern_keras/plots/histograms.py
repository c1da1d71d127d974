"""Latent weights of trained models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import keras
import numpy as np

from tern_keras.latent import LatentKernel
from tern_keras.plots.style import CODE_COLOURS, CODE_NAMES, LABEL, TICK, TITLE, by_title, drawable_kernels, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BINS = 60


def latent_histograms(models: Mapping[str, keras.Model] | keras.Model) -> Figure:
    """Draw the latent weights of every quantised layer, coloured by the code that each takes.

    Dashed lines mark the smallest and the largest latent weight that is a zero: the thresholds, seen from within.

    Args:
        models: built models with quantised layers, by the title of their column, or a single one.

    Returns:
        A figure with a row a layer and a column a model. Save it with `figure.savefig(path)`.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: `models` is something else.
        ValueError: a model has no quantised layer, or none is passed.

    Example:
        >>> from tern_keras.layers import QuantDense
        >>> model = keras.Sequential([keras.Input((8,)), QuantDense(16, kernel_quantizer="twn")])
        >>> len(latent_histograms({"TWN": model}).axes)
        1
    """
    columns = {title: drawable_kernels(title, model) for title, model in by_title(models).items()}
    rows = max(map(len, columns.values()))
    figure = new_figure(3.4 * len(columns), 2.2 * rows)
    axes = figure.subplots(rows, len(columns), squeeze=False)
    for column, (title, kernels) in enumerate(columns.items()):
        for row in range(rows):
            axis = axes[row][column]
            if row >= len(kernels):
                axis.axis("off")
                continue
            _histogram(axis, kernels[row])
            axis.set_title(f"{title}: {kernels[row].name}", fontsize=TITLE)
    axes[0][0].legend(fontsize=8)
    figure.supxlabel("latent weight", fontsize=LABEL)
    figure.supylabel("weights", fontsize=LABEL)
    return figure


def _histogram(axis: Axes, kernel: LatentKernel) -> None:
    weights, codes = kernel.latent.ravel(), kernel.signs.ravel()
    zeros = weights[codes == 0]
    thresholds = [zeros.min(), zeros.max()] if zeros.size else []
    # an edge at each threshold, so that no bin holds codes of both sides
    bins = np.unique([*np.histogram_bin_edges(weights, _BINS), *thresholds])
    sides = [weights[codes == code] for code in CODE_COLOURS]
    axis.hist(sides, bins.tolist(), stacked=True, color=list(CODE_COLOURS.values()), label=list(CODE_NAMES.values()))
    for threshold in thresholds:
        axis.axvline(threshold, color="black", linewidth=0.8, linestyle="--")
    axis.tick_params(labelsize=TICK)
