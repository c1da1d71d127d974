"""Penalties that pull latent weights towards their quantised values."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from tern_keras.ops.gradients import Tensor, as_float, magnitude
from tern_keras.ops.sq import adaptive_penalty, check_penalty
from tern_keras.ops.twn import twn_codes_and_scale

if TYPE_CHECKING:
    from tern_keras.quantizers.sq import SQ


@keras.saving.register_keras_serializable(package="tern_keras")
class AdaptiveRegularizer(keras.regularizers.Regularizer):
    """The regularizer of adaptive binary-ternary quantisation (SQ).

    Computes `strength` · `tern_keras.ops.adaptive_penalty`. A layer whose quantizer is `SQ` binds it to that
    quantizer, so that the penalty reads, and trains, its μ and β. Give it to the quantizer,
    `SQ(regularizer=AdaptiveRegularizer(0.1, 1e-2))`, or to the layer as `kernel_regularizer`: same effect, and
    one object serves any number of layers. Without an `SQ` quantizer it takes μ = mean|w| of each filter (all
    axes but the last) and β = 3π/8, constant, so that it is legal anywhere.

    Args:
        strength: λ >= 0, the weight of the penalty in the loss; 0.1 in the paper.
        gamma: γ >= 0, the pull towards binary layers; 1e-1 (all binary) to 1e-5 (all ternary) in the paper.
        p: exponent >= 1 of the distances.
        gamma_mode: how often γ·cot(β) counts beside the mean over the layer's weights. "layer": once, which puts
            the paper's values of γ across the range from ternary to binary. "paper_sum": once for each μ, divided
            by the number of weights, as equations 9 and 10 read literally; about 1/fan_in of the former.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> import keras
        >>> regularizer = AdaptiveRegularizer(strength=0.1, gamma=0.01)
        >>> w = keras.ops.array([[0.9], [-0.6], [0.3], [-0.2]])
        >>> round(float(regularizer(w)), 6)
        0.025414

    References:
        Razani et al., "Adaptive binary-ternary quantization", eq. 8-10 (arXiv:1909.12205).
    """

    def __init__(self, strength: float, gamma: float, p: float = 1, gamma_mode: str = "layer") -> None:
        _check_strength("AdaptiveRegularizer", strength)
        check_penalty(gamma, p)
        if gamma_mode not in ("layer", "paper_sum"):
            raise ValueError(
                f"AdaptiveRegularizer: gamma_mode must be 'layer' or 'paper_sum', received {gamma_mode!r}."
            )
        self.strength = strength
        self.gamma = gamma
        self.p = p
        self.gamma_mode = gamma_mode
        self._quantizer: SQ | None = None

    def bind(self, quantizer: SQ) -> AdaptiveRegularizer:
        """Return a copy that reads μ and β from `quantizer`; the original stays unbound and serialisable.

        Args:
            quantizer: an `SQ` quantizer that its layer has built.

        Returns:
            The bound copy.
        """
        bound = copy.copy(self)
        bound._quantizer = quantizer
        return bound

    def __call__(self, w: Tensor) -> Tensor:
        """Return the scalar penalty of the weights `w`, float32."""
        if self._quantizer is not None:
            mu, beta = self._quantizer.mu, self._quantizer.beta
        else:
            mu, beta = _mean_magnitude(w), 3 * math.pi / 8
        gamma = self.gamma
        if self.gamma_mode == "paper_sum":
            gamma *= math.prod(mu.shape) / math.prod(w.shape)
        return self.strength * adaptive_penalty(w, mu, beta, gamma, self.p)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"strength": self.strength, "gamma": self.gamma, "p": self.p, "gamma_mode": self.gamma_mode}


class _FixedRegularizer(keras.regularizers.Regularizer):
    """Base of the penalties with wells at fixed multiples of one μ."""

    def __init__(self, strength: float, mu: float | None = None) -> None:
        _check_strength(type(self).__name__, strength)
        if mu is not None and mu <= 0:
            raise ValueError(f"{type(self).__name__}: mu must be None or > 0, received {mu}.")
        self.strength = strength
        self.mu = mu

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"strength": self.strength, "mu": self.mu}


@keras.saving.register_keras_serializable(package="tern_keras")
class BinaryRegularizer(_FixedRegularizer):
    """Pulls weights to ±μ.

    Computes `strength` · R1 with

        R1 = mean over w of ||w| - μ|

    Gradients are the true derivatives, with 0 at the kinks.

    Args:
        strength: λ >= 0, the weight of the penalty in the loss.
        mu: μ > 0 in the units of the weights; None for the mean of |w| of each filter (all axes but the last),
            the least-squares scale of binary weights, constant in the backward pass.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> w = ops.array([[0.5], [-0.25], [0.0]])
        >>> round(float(BinaryRegularizer(strength=0.1, mu=0.25)(w)), 6)
        0.016667

    References:
        Razani et al., "Adaptive binary-ternary quantization", R1 of section 3 (arXiv:1909.12205).
    """

    def __call__(self, w: Tensor) -> Tensor:
        """Return the scalar penalty of the weights `w`, float32."""
        w = as_float(w)
        mu = _mean_magnitude(w) if self.mu is None else self.mu
        return self.strength * ops.mean(magnitude(magnitude(w) - mu))


@keras.saving.register_keras_serializable(package="tern_keras")
class TernaryRegularizer(_FixedRegularizer):
    """Pulls weights to {-μ, 0, +μ}.

    Computes `strength` · R2 with

        R2 = mean over w of |||w| - μ/2| - μ/2|

    which is `tern_keras.ops.adaptive_penalty` at β = π/4 without γ. Gradients are the true derivatives, with 0 at
    the kinks.

    Args:
        strength: λ >= 0, the weight of the penalty in the loss.
        mu: μ > 0 in the units of the weights; None for the scale of `tern_keras.ops.twn` of each filter (all axes
            but the last), constant in the backward pass.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> w = ops.array([[0.5], [-0.25], [0.125]])
        >>> round(float(TernaryRegularizer(strength=0.1, mu=0.25)(w)), 6)
        0.0125

    References:
        Razani et al., "Adaptive binary-ternary quantization", R2 of section 3 (arXiv:1909.12205).
    """

    def __call__(self, w: Tensor) -> Tensor:
        """Return the scalar penalty of the weights `w`, float32."""
        w = as_float(w)
        half = (twn_codes_and_scale(w, axis=_filter_axes(w))[1] if self.mu is None else self.mu) / 2
        return self.strength * ops.mean(magnitude(magnitude(magnitude(w) - half) - half))


def _check_strength(name: str, strength: float) -> None:
    if strength < 0:
        raise ValueError(f"{name}: strength must be >= 0, received {strength}.")


def _filter_axes(w: Tensor) -> tuple[int, ...]:
    return tuple(range(len(w.shape) - 1))


def _mean_magnitude(w: Tensor) -> Tensor:
    return ops.stop_gradient(ops.mean(ops.abs(w), axis=_filter_axes(w), keepdims=True))
