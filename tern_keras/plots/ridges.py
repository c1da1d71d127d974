"""Latent weights over a training."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

import numpy as np

from tern_keras.callbacks.latent_history import LatentHistory, LatentRecord, load
from tern_keras.plots.style import CODE_COLOURS, LABEL, TICK, TITLE, code_legend, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 4
_RIDGES = 12
_HEIGHT = 1.6  # of a ridge, in distances between ridges


def latent_ridges(history: LatentHistory | str | os.PathLike[str]) -> Figure:
    """Draw the latent weights over a training: a ridge an epoch, the first on top, coloured by code.

    All ridges have the same height. Short black lines mark the thresholds in force, seen from within: the smallest and
    the largest latent weight that is a zero. Of a long training twelve epochs are drawn, evenly spaced, the first and
    the last among them.

    Args:
        history: a `LatentHistory` that has recorded, or the file that it has written.

    Returns:
        A figure with a panel a kernel. Save it with `figure.savefig(path)`.

    Raises:
        ImportError: matplotlib is not installed.
        FileNotFoundError: there is no such file.
        TypeError: `history` is something else, e.g. what `fit` returns.
        ValueError: nothing is recorded, or it is another kind of file.

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
    records = _records(history)
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
    code_legend(figure)
    return figure


def _records(history: LatentHistory | str | os.PathLike[str]) -> dict[str, LatentRecord]:
    if isinstance(history, LatentHistory):
        return history.records
    if isinstance(history, (str, os.PathLike)):
        return load(history)
    raise TypeError(
        f"latent_ridges() takes a tern_keras.callbacks.LatentHistory, or the file that it writes; received "
        f"{type(history)}."
    )


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
