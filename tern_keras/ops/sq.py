"""Adaptive binary-ternary quantisation, "smart quantisation" (SQ): the layers learn their own bit width."""

import math

from keras import ops

from tern_keras.ops.codes import binary_codes, ternary_codes
from tern_keras.ops.gradients import Tensor, as_float, free_magnitude, magnitude, straight_through

BETA_MIN = math.pi / 4
# Figure 2c of the paper. float32 rounds pi/2 up, to where the tangent is negative: never go there.
BETA_MAX = 1.5707


def sq(w: Tensor, mu: Tensor, delta: Tensor, binary: bool = False) -> Tensor:
    """Ternarise, or binarise, weights with a trainable scale.

    Forward:

        q = |μ| · T,    T = sign(w) where |w| > Δ and 0 elsewhere    (binary: T = +1 where w >= 0, else -1)

    Backward, with g = dL/dq: dL/dw = g (straight-through) and dL/dμ = sign(μ) · Σ g·T over the weights that
    share μ.

    Args:
        w: latent weights, any shape, a float dtype.
        mu: scale, broadcastable to `w`; any sign, its magnitude is used.
        delta: threshold Δ >= 0 in the units of `w`, without gradient; 0.2 standard deviations of the initial
            weights in the paper. Not used when `binary`.
        binary: whether every weight becomes ±|μ|.

    Returns:
        q of the shape and dtype of `w`, with at most three values (two when `binary`) for each μ.

    Example:
        >>> import keras
        >>> w = keras.ops.array([0.9, -0.6, 0.05, 0.0])
        >>> [round(float(value), 4) for value in sq(w, mu=0.4, delta=0.06)]
        [0.4, -0.4, 0.0, 0.0]
        >>> [round(float(value), 4) for value in sq(w, mu=0.4, delta=0.06, binary=True)]
        [0.4, -0.4, 0.4, 0.4]

    References:
        Razani, Morin, Sari, Partovi Nia, "Adaptive binary-ternary quantization", CVPR workshops 2021
        (arXiv:1909.12205).
    """
    dtype = ops.convert_to_tensor(w).dtype
    w = as_float(w)
    scale = free_magnitude(ops.cast(mu, w.dtype))
    codes = binary_codes(w) if binary else ternary_codes(w, ops.cast(delta, w.dtype))
    return ops.cast(scale * codes + straight_through(w), dtype)


def adaptive_penalty(w: Tensor, mu: Tensor, beta: Tensor, gamma: float, p: float = 1) -> Tensor:
    """Compute the penalty that pulls weights to {-μ, 0, +μ} or to {-μ, +μ}, and decides which of the two.

        R = mean over w of min(||w| - |μ||^p, tan(β)·|w|^p) + γ·cot(β)

    At β = π/4 the wells of 0 and ±μ are equally wide: ternary. Towards β = π/2 the well of 0 closes: binary.
    The data term pushes β down to ternary and γ pushes it up to binary. Gradients are the true derivatives,
    with 0 at the kinks.

    The paper's first term, ||w| + μ|^p, is left out: it is never the strict minimum for μ >= 0, and for
    μ < 0 it trades places with the second, which is what |μ| does here. γ counts once for the layer.

    Args:
        w: latent weights, any shape.
        mu: scale, broadcastable to `w`; any sign.
        beta: scalar β in [π/4, π/2), in radians; `tern_keras.quantizers.SQ` keeps it in [π/4, 1.5707].
        gamma: weight γ >= 0 of the pull towards binary.
        p: exponent >= 1.

    Returns:
        Scalar, float32 (float64 for float64 weights) also under mixed precision.

    Raises:
        ValueError: `gamma` is negative or `p` is below 1.

    Example:
        >>> import keras
        >>> w = keras.ops.array([0.9, -0.6, 0.3, -0.2, 0.05, -0.02, 0.0, 0.45])
        >>> round(float(adaptive_penalty(w, mu=0.4, beta=1.2, gamma=0.01)), 6)
        0.157644

    References:
        Razani et al., "Adaptive binary-ternary quantization", eq. 8-10 (arXiv:1909.12205).
    """
    check_penalty(gamma, p)
    to_zero = magnitude(as_float(w))
    mu, beta = (ops.cast(x, to_zero.dtype) for x in (mu, beta))
    # distances, then a choice: the gradient of a minimum at a tie depends on the backend
    to_mu = magnitude(to_zero - magnitude(mu))
    tangent = ops.tan(beta)
    if p != 1:
        to_mu, to_zero = ops.power(to_mu, p), ops.power(to_zero, p)
    to_zero = tangent * to_zero
    return ops.mean(ops.where(to_zero < to_mu, to_zero, to_mu)) + gamma / tangent


def check_penalty(gamma: float, p: float) -> None:
    """Raise ValueError unless gamma >= 0 and p >= 1."""
    if gamma < 0:
        raise ValueError(f"adaptive_penalty: gamma must be >= 0, received {gamma}.")
    if p < 1:
        raise ValueError(f"adaptive_penalty: p must be >= 1, received {p}: below 1 the gradient at 0 is infinite.")
