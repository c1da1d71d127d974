"""Latent weights over a training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tern_keras.callbacks.latent_history import LatentHistory, LatentRecord
from tern_keras.plots.style import CODE_COLOURS, CODE_NAMES, LABEL, TICK, TITLE, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 4
_RIDGES = 12
_HEIGHT = 1.6  # of a ridge, in distances between ridges


def latent_ridges(history: LatentHistory) -> Figure:
    """Draw the latent weights over a training: a ridge an epoch, the first on top, coloured by code.

    All ridges have the same height. Short black lines mark the thresholds in force, seen from within: the smallest and
    the largest latent weight that is a zero. Of a long training twelve epochs are drawn, evenly spaced, the first and
    the last among them.

    Args:
        history: a `LatentHistory` that has recorded.

    Returns:
        A figure with a panel a kernel. Save it with `figure.savefig(path)`.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: nothing is recorded.

    Example:
        >>> import keras
        >>> from tern_keras.layers import QuantDense
        >>> model = keras.Sequential([keras.Input((4,)), QuantDense(2, kernel_quantizer="twn")])
        >>> model.compile("sgd", "mse")
        >>> history = LatentHistory()
        >>> _ = model.fit(np.ones((8, 4)), np.ones((8, 2)), epochs=3, callbacks=[history], verbose=0)
        >>> len(latent_ridges(history).axes)
        1
    """
    records = history.records
    if not records:
        raise ValueError("The LatentHistory has recorded nothing: pass it to fit() of a model with quantised layers.")
    columns = min(math.ceil(math.sqrt(len(records))), _COLUMNS)
    rows = math.ceil(len(records) / columns)
    figure = new_figure(3.4 * columns, 3.4 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, (name, record) in zip(axes, records.items(), strict=False):
        _ridges(axis, record)
        axis.set_title(name, fontsize=TITLE)
    for axis in axes[len(records) :]:
        axis.axis("off")
    figure.supxlabel("latent weight", fontsize=LABEL)
    figure.supylabel("epochs trained", fontsize=LABEL)
    from matplotlib.patches import Patch  # here: new_figure has explained a missing matplotlib by now

    patches = [Patch(color=colour, label=CODE_NAMES[code]) for code, colour in CODE_COLOURS.items()]
    figure.legend(handles=patches, loc="outside upper right", ncols=len(patches), fontsize=8)
    return figure


def _ridges(axis: Axes, record: LatentRecord) -> None:
    rows = np.unique(np.linspace(0, len(record.epochs) - 1, _RIDGES).round().astype(int))
    for place, row in enumerate(rows):
        foot = -float(place)
        stacked = np.cumsum(record.counts[row], axis=0)
        tops = foot + _HEIGHT * stacked / stacked.max()
        for low, top, colour in zip([np.full_like(tops[0], foot), *tops], tops, CODE_COLOURS.values(), strict=False):
            axis.stairs(top, record.edges[row], baseline=low, fill=True, color=colour, zorder=2 * place)
        axis.stairs(tops[-1], record.edges[row], baseline=None, color="white", linewidth=0.8, zorder=2 * place + 1)
        axis.vlines(record.thresholds[row], foot, foot + 0.5, color="black", linewidth=1, zorder=2 * place + 1)
    axis.set_yticks(-np.arange(len(rows)), [str(epoch) for epoch in record.epochs[rows]])
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(labelsize=TICK, left=False)
