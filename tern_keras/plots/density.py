"""Density of the layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import keras

from tern_keras.plots.style import LABEL, SERIES_COLOURS, TICK, by_title, new_figure, without_frame
from tern_keras.profile import profile

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BAR = 0.16  # inches


def density_per_layer(models: Mapping[str, keras.Model] | keras.Model) -> Figure:
    """Draw the share of non-zero weights of every kernel, in the order of the layers.

    Kernels that are not quantised are drawn too, as outlines: they show what a first and last layer in float cost.

    Args:
        models: built models, in training or finalised, by their name in the legend, or a single one; layers of the
            same name share a place.

    Returns:
        A figure with a group of bars a layer. Save it with `figure.savefig(path)`.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: `models` is something else.
        ValueError: no model has a layer with a kernel, or one is not built.

    Example:
        >>> from tern_keras.layers import QuantDense
        >>> model = keras.Sequential([keras.Input((8,)), QuantDense(16, kernel_quantizer="twn", name="head")])
        >>> figure = density_per_layer({"TWN": model})
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['head']
    """
    models = by_title(models)
    rows = {title: [row for row in profile(model).layers if row.kernel_shape] for title, model in models.items()}
    names = list(dict.fromkeys(row.name for layers in rows.values() for row in layers))
    if not names:
        raise ValueError(f"No layer with a kernel in {list(models)}: there is no density to draw.")
    figure = new_figure(5.5, 0.9 + _BAR * len(names) * (len(rows) + 1))
    axis = figure.subplots()
    height = 1 / (len(rows) + 1)
    for index, (title, layers) in enumerate(rows.items()):
        colour = SERIES_COLOURS[index % len(SERIES_COLOURS)]
        shift = height * (index - (len(rows) - 1) / 2)
        for row in layers:
            filling = "white" if row.method == "float32" else colour
            axis.barh(names.index(row.name) + shift, row.density or 0.0, height, facecolor=filling, edgecolor=colour)
        axis.barh(0, 0, color=colour, label=title)  # the legend's, filled whatever the first layer is
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set_xlim(0, 1.01)
    axis.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axis.set_xlabel("weights that are not zero (outlined: not quantised)", fontsize=LABEL)
    without_frame(axis)
    axis.tick_params(axis="y", labelsize=TICK, length=0)
    figure.legend(loc="outside upper right", ncols=len(rows), fontsize=8, frameon=False)
    return figure
