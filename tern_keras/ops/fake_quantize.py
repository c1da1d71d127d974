"""Fake quantisation of activations to int8, on the grid that TFLite uses."""

from keras import ops

from tern_keras.ops.gradients import Tensor, as_float, straight_through

_STEPS = 255  # between the 256 values of int8
_LOWEST = -128


def int8_grid(minimum: Tensor, maximum: Tensor) -> tuple[Tensor, Tensor]:
    """Return the scale and the zero point with which TFLite stores a tensor of a given range as int8.

        scale = (max - min) / 255,    zero point = round(-128 - min / scale)

    so that real = scale · (code - zero point) for the codes -128 to 127. Rounding the zero point puts 0.0 on the grid,
    and moves the range by half a scale at most. A tie, as in a symmetric range, goes down; converters differ there,
    which moves the ends of the range by one step and no value between them.

    Args:
        minimum: lower end of the range, a scalar <= 0.
        maximum: upper end of the range, a scalar >= 0, not both 0.

    Returns:
        The scale, > 0, and the zero point, a whole number from -128 to 127, as scalars of at least float32.

    Example:
        >>> scale, zero_point = int8_grid(-1.0, 1.55)
        >>> round(float(scale), 6), float(zero_point)
        (0.01, -28.0)

    References:
        Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference",
        CVPR 2018, eq. 13 and section 3.1 (arXiv:1712.05877).
    """
    minimum, maximum = as_float(minimum), as_float(maximum)
    span = maximum - minimum
    # the quotient first: without rounding errors a symmetric range is a tie
    return span / _STEPS, ops.ceil(-minimum / span * _STEPS - 0.5) + _LOWEST


def fake_quantize(x: Tensor, minimum: Tensor, maximum: Tensor) -> Tensor:
    """Round activations to the 256 values that int8 can hold of a range.

    Forward, with the scale s and the zero point z of `int8_grid`:

        y = s · (clip(round(x / s) + z, -128, 127) - z)

    Backward, with g = dL/dy: straight-through in the range, and for its ends the gradient of LSQ and LSQ+ with respect
    to the step s and the offset, by the chain rule s = (max - min) / 255:

        dL/dx   = g in the range,  0 outside
        dL/dmax = Σ g · (1 above the range,  0 below,   (y - x) / (max - min) in it)
        dL/dmin = Σ g · (0 above the range,  1 below,  -(y - x) / (max - min) in it)

    Args:
        x: activations, any shape, a float dtype. Infinite ones take the ends of the range, as in int8; NaN stays NaN.
        minimum: lower end of the range, a scalar <= 0.
        maximum: upper end of the range, a scalar >= 0, not both 0.

    Returns:
        y of the shape and dtype of `x`.

    Example:
        >>> import keras
        >>> y = fake_quantize(keras.ops.array([-3.0, 0.0, 0.337, 2.0]), -1.0, 1.55)
        >>> [round(float(value), 4) for value in y]
        [-1.0, 0.0, 0.34, 1.55]

    References:
        Esser et al., "Learned step size quantization", ICLR 2020, eq. 3 (arXiv:1902.08153); Bhalgat et al., "LSQ+:
        improving low-bit quantization through learnable offsets and better initialization", CVPRW 2020
        (arXiv:2004.09576).
    """
    dtype = ops.convert_to_tensor(x).dtype
    x = as_float(x)
    minimum, maximum = ops.cast(minimum, x.dtype), ops.cast(maximum, x.dtype)
    scale, zero_point = (ops.stop_gradient(tensor) for tensor in int8_grid(minimum, maximum))
    codes = ops.round(ops.stop_gradient(x) / scale) + zero_point
    below, above = codes < _LOWEST, codes > _LOWEST + _STEPS
    inside = ops.logical_not(ops.logical_or(below, above))
    y = scale * (ops.clip(codes, _LOWEST, _LOWEST + _STEPS) - zero_point)
    # selected rather than multiplied: 0 times an infinite x is NaN
    rounding = ops.where(inside, (y - x) / (_STEPS * scale), 0.0)
    return ops.cast(
        y
        + ops.where(inside, straight_through(x), 0.0)
        + straight_through(maximum, ops.cast(above, x.dtype) + rounding)
        + straight_through(minimum, ops.cast(below, x.dtype) - rounding),
        dtype,
    )
