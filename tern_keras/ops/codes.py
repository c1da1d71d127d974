"""Latent weights to codes: which weights become -1, 0 and +1, without any scale."""

from keras import ops

from tern_keras.ops.gradients import Tensor


def ternary_codes(w: Tensor, delta: Tensor) -> Tensor:
    """Return sign(w) where |w| > delta and zero elsewhere; a weight at the threshold is a zero.

    Args:
        w: latent weights, any shape.
        delta: threshold >= 0 in the units of `w`, broadcastable to it.

    Returns:
        Values in {-1, 0, +1} of the shape and dtype of `w`, without gradient.

    Example:
        >>> import keras
        >>> codes = ternary_codes(keras.ops.array([0.3, -0.2, 0.1]), 0.2)
        >>> [float(code) for code in codes]
        [1.0, 0.0, 0.0]
    """
    w = ops.stop_gradient(w)
    return ops.where(ops.abs(w) > delta, ops.sign(w), ops.zeros_like(w))


def binary_codes(w: Tensor) -> Tensor:
    """Return +1 where w >= 0 and -1 elsewhere, so that an exact zero is a code too.

    Args:
        w: latent weights, any shape.

    Returns:
        Values in {-1, +1} of the shape and dtype of `w`, without gradient.

    Example:
        >>> import keras
        >>> [float(code) for code in binary_codes(keras.ops.array([0.3, -0.2, 0.0]))]
        [1.0, -1.0, 1.0]
    """
    ones = ops.ones_like(w)
    return ops.where(ops.stop_gradient(w) >= 0, ones, -ones)
