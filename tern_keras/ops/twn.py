"""Ternary weight networks (TWN): one threshold and one least-squares scale a layer or a filter."""

from keras import ops

from tern_keras.ops.codes import ternary_codes
from tern_keras.ops.gradients import Tensor, as_float, straight_through


def check_factor(factor: float) -> None:
    """Raise ValueError unless `factor` is a usable threshold factor (0 <= factor < 1)."""
    if not 0 <= factor < 1:
        raise ValueError(
            f"twn: factor must be in [0, 1), received {factor}. The threshold is factor * mean|w|; "
            "from 1 on, a filter of equal magnitudes would lose all its weights."
        )


def twn_codes_and_scale(w: Tensor, factor: float = 0.7, axis: tuple[int, ...] | None = None) -> tuple[Tensor, Tensor]:
    """Return the codes T and the scale α of TWN for float weights.

    Args:
        w: latent weights of at least float32, any shape.
        factor: threshold as a multiple of mean|w|.
        axis: axes that share a scale; None for all of them.

    Returns:
        T in {-1, 0, +1} of the shape of `w`, and α >= 0 with the reduced axes kept as 1. Neither has a gradient.
    """
    magnitude = ops.abs(ops.stop_gradient(w))
    codes = ternary_codes(w, factor * ops.mean(magnitude, axis=axis, keepdims=True))
    support = ops.abs(codes)
    total = ops.sum(magnitude * support, axis=axis, keepdims=True)
    # only an all-zero filter has an empty support: its total is 0 too, and so is its scale
    return codes, total / ops.maximum(ops.sum(support, axis=axis, keepdims=True), 1)


def twn(w: Tensor, factor: float = 0.7, axis: tuple[int, ...] | None = None) -> Tensor:
    """Ternarise weights with the threshold and scale of ternary weight networks.

    Forward, with T = sign(w) where |w| > Δ and 0 elsewhere:

        Δ = factor · mean|w|,    α = mean of |w| over |w| > Δ,    q = α · T

    Backward, the straight-through estimator: dL/dw = dL/dq. Nothing flows through α and Δ.

    Args:
        w: latent weights, any shape, a float dtype.
        factor: threshold as a multiple of mean|w|, in [0, 1). 0.7 in the paper; 0.75 in the authors' later code.
        axis: axes that share a threshold and a scale. None: one for the layer (the first published code);
            all but the last: one a filter.

    Returns:
        q of the shape and dtype of `w`, with at most three values for each α.

    Raises:
        ValueError: `factor` is outside [0, 1).

    Example:
        >>> import keras
        >>> q = twn(keras.ops.array([0.9, -0.6, 0.3, -0.2, 0.05, -0.02, 0.0, 0.45]))
        >>> [round(float(value), 4) for value in q]
        [0.5625, -0.5625, 0.5625, 0.0, 0.0, 0.0, 0.0, 0.5625]

    References:
        Li, Zhang, Liu, "Ternary weight networks", 2016, eq. 3-6 (arXiv:1605.04711).
    """
    check_factor(factor)
    dtype = ops.convert_to_tensor(w).dtype
    w = as_float(w)
    codes, alpha = twn_codes_and_scale(w, factor, axis)
    return ops.cast(alpha * codes + straight_through(w), dtype)
