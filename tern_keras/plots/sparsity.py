"""Accuracy against sparsity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tern_keras.plots.style import LABEL, new_figure, series_style, without_frame

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def accuracy_against_sparsity(
    series: Mapping[str, Sequence[tuple[float, float]]], baseline: float | None = None
) -> Figure:
    """Draw what sparsity costs: a line a method, a point a trained model.

    Args:
        series: by name in the legend, the points (sparsity, accuracy) of a method: the share of zeros among the
            weights, and the accuracy, both from 0 to 1, in any order.
        baseline: accuracy of the float model, 0 to 1, for a dashed line; or None.

    Returns:
        A figure. Save it with `figure.savefig(path)`.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: a method has no point, or a value is outside 0 to 1.

    Example:
        >>> figure = accuracy_against_sparsity({"TTQ": [(0.3, 0.91), (0.5, 0.905), (0.8, 0.87)]}, baseline=0.915)
        >>> len(figure.axes[0].lines)
        2

    References:
        Zhu et al., "Trained ternary quantization", figure 5 (arXiv:1612.01064).
    """
    empty = [name for name, points in series.items() if not points]
    if empty or not series:
        raise ValueError(
            f"accuracy_against_sparsity() needs at least one point (sparsity, accuracy) in {empty or series}."
        )
    values = [value for points in series.values() for point in points for value in point]
    outside = [value for value in [*values, 0.0 if baseline is None else baseline] if not 0 <= value <= 1]
    if outside:
        raise ValueError(f"Sparsity and accuracy are shares from 0 to 1, received {outside[0]}.")
    figure = new_figure(4.6, 3.2)
    axis = figure.subplots()
    for index, (name, points) in enumerate(series.items()):
        sparsity, accuracy = zip(*sorted(points), strict=True)
        axis.plot(sparsity, accuracy, label=name, markersize=4, linewidth=1.4, **series_style(index))
    if baseline is not None:
        axis.axhline(baseline, color="black", linewidth=0.8, linestyle="--", label="float")
    axis.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axis.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.4g}%")
    axis.set_xlabel("sparsity: weights that are zero", fontsize=LABEL)
    axis.set_ylabel("accuracy", fontsize=LABEL)
    axis.legend(fontsize=8, frameon=False)
    without_frame(axis)
    return figure
