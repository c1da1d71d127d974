"""Scales that a shift can apply."""

import math

from keras import ops

from tern_keras.ops.gradients import Tensor, as_float, straight_through

# 2^±30 are exact quotients of 32-bit integers, and far beyond any scale of a layer
MAX_EXPONENT = 30


def power_of_two(x: Tensor) -> Tensor:
    """Round each value to the nearest power of two; the sign stays, and zero stays zero.

    Forward:

        q = sign(x) · 2^k with the integer k nearest to log2 |x|, k in [-30, 30]

    Backward, the straight-through estimator: dL/dx = dL/dq. Nearest means the smallest factor between x and q:
    the border between 2^k and 2^(k+1) is √2 · 2^k.

    Applied to a kernel with one scale it rounds the scale: `power_of_two(twn(w))` is TWN with a shift.

    Args:
        x: scales, or a quantised kernel, of any shape and a float dtype.

    Returns:
        q of the shape and dtype of `x`, exact powers of two on every backend.

    Example:
        >>> import keras
        >>> [float(value) for value in power_of_two(keras.ops.array([0.3, -1.5, 0.0]))]
        [0.25, -2.0, 0.0]

    References:
        The rounding is that of `quantized_po2` in QKeras; the gradient is that of Bengio, Léonard, Courville,
        "Estimating or propagating gradients through stochastic neurons", 2013.
    """
    dtype = ops.convert_to_tensor(x).dtype
    x = as_float(x)
    size = ops.abs(ops.stop_gradient(x))
    lowest, highest = 2.0**-MAX_EXPONENT, 2.0**MAX_EXPONENT
    floor = _exact_power(ops.floor(ops.log2(ops.clip(size, lowest, highest))))
    # compare, since the logarithm of a compiled step may differ in the last bit; it is off by one at most, and
    # a floor that is too low at an exact power is doubled here
    rounded = ops.clip(ops.where(size > math.sqrt(2) * floor, 2 * floor, floor), lowest, highest)
    return ops.cast(ops.sign(ops.stop_gradient(x)) * rounded + straight_through(x), dtype)


def _exact_power(exponent: Tensor) -> Tensor:
    # the backends' power function is not exact when compiled: shifts and one division are
    whole = ops.cast(exponent, "int32")
    shifts = [ops.left_shift(ops.ones_like(whole), ops.maximum(k, 0)) for k in (whole, -whole)]
    numerator, denominator = (ops.cast(shift, exponent.dtype) for shift in shifts)
    return numerator / denominator
