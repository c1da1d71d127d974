"""The penalties that pull weights to their levels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from keras import ops

from tern_keras.ops.gradients import Tensor
from tern_keras.ops.sq import BETA_MAX, BETA_MIN, adaptive_penalty
from tern_keras.plots.style import LABEL, TITLE, new_figure, series_style, without_frame
from tern_keras.regularizers import BinaryRegularizer, TernaryRegularizer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_POINTS = 401


def regularizer_curves(mu: float = 1.0, betas: Sequence[float] = (math.pi / 4, 1.3, BETA_MAX), p: float = 1) -> Figure:
    """Draw the penalty of one weight: the fixed R1 and R2, and the adaptive one of SQ at several β.

    R1 has its wells at ±μ, R2 at 0 and ±μ, and the adaptive penalty goes from R2 at β = π/4 towards R1 as β approaches
    π/2. The term γ·cot(β), which is the same for all weights, is left out.

    Args:
        mu: μ > 0, in the units of the weights.
        betas: values of β in [π/4, 1.5707], in radians, for a curve each.
        p: exponent >= 1 of the distances of the adaptive penalty.

    Returns:
        A figure with two panels. Save it with `figure.savefig(path)`.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: `mu` is not positive, a β is out of range, or `p` is below 1.

    Example:
        >>> len(regularizer_curves(mu=0.5).axes)
        2

    References:
        Razani et al., "Adaptive binary-ternary quantization", figures 1 and 2 (arXiv:1909.12205).
    """
    outside = [beta for beta in betas if not BETA_MIN <= beta <= BETA_MAX]
    if outside:
        raise ValueError(f"regularizer_curves(): beta must be in [pi/4, {BETA_MAX}], received {outside[0]}.")
    penalties: dict[str, Callable[[Tensor], Tensor]] = {
        "R1": BinaryRegularizer(1.0, mu),
        "R2": TernaryRegularizer(1.0, mu),
        **{f"β = {beta:.5g}": _adaptive(mu, beta, p) for beta in betas},
    }
    weights = np.linspace(-2 * mu, 2 * mu, _POINTS, dtype=np.float32)
    # each weight by itself: the penalties are means over their argument
    values = ops.vectorized_map(
        lambda w: ops.stack([penalty(w) for penalty in penalties.values()]), ops.convert_to_tensor(weights)
    )
    curves = dict(zip(penalties, ops.convert_to_numpy(values).T, strict=True))
    figure = new_figure(7.2, 3.1)
    left, right = figure.subplots(1, 2, sharey=True)
    _draw(left, weights / mu, {name: curves.pop(name) for name in ("R1", "R2")})
    left.set_title("fixed", fontsize=TITLE)
    left.set_ylabel("penalty", fontsize=LABEL)
    _draw(right, weights / mu, curves)
    right.set_title("adaptive", fontsize=TITLE)
    return figure


def _adaptive(mu: float, beta: float, p: float) -> Callable[[Tensor], Tensor]:
    return lambda w: adaptive_penalty(w, mu, beta, gamma=0.0, p=p)


def _draw(axis: Axes, multiples: np.ndarray, curves: dict[str, np.ndarray]) -> None:
    # later curves are thinner: where some agree, all show
    widths = np.linspace(2.8, 1, len(curves))
    for index, (name, values) in enumerate(curves.items()):
        axis.plot(multiples, values, color=series_style(index)["color"], linewidth=widths[index], label=name)
    axis.set_xticks([-2, -1, 0, 1, 2], ["-2μ", "-μ", "0", "μ", "2μ"])
    axis.set_xlabel("latent weight", fontsize=LABEL)
    # under the panel: the curves fill it
    axis.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
    without_frame(axis)
