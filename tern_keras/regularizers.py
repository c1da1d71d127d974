"""Penalties that pull latent weights towards their quantised values."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from tern_keras.ops.gradients import Tensor
from tern_keras.ops.sq import adaptive_penalty, check_penalty

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

    def __init__(self, strength: float, gamma: float, p: float = 1) -> None:
        if strength < 0:
            raise ValueError(f"AdaptiveRegularizer: strength must be >= 0, received {strength}.")
        check_penalty(gamma, p)
        self.strength = strength
        self.gamma = gamma
        self.p = p
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
            axes = tuple(range(len(w.shape) - 1))
            mu = ops.stop_gradient(ops.mean(ops.abs(w), axis=axes, keepdims=True))
            beta = 3 * math.pi / 8
        return self.strength * adaptive_penalty(w, mu, beta, self.gamma, self.p)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"strength": self.strength, "gamma": self.gamma, "p": self.p}
