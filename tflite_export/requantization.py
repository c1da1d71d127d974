"""The integers that TFLite derives from a file's float scales when it prepares a model.

Each function repeats TFLite's own arithmetic, float or double, in its order of operations: a multiplier that is off
by one in its last bit changes outputs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tflite_export.errors import ExportError
from tflite_export.graph import Op, Tensor

ADD_LEFT_SHIFT = 20
SQUARED_DIFFERENCE_LEFT_SHIFT = 7
# Below it TFLite takes a multiplier for zero.
MINIMUM_SHIFT = -31
_SOFTMAX_INTEGER_BITS = 5
_LOG2_TOLERANCE = 1e-3


def quantize_multiplier(real: float) -> tuple[int, int]:
    """A real multiplier as `multiplier * 2^(shift - 31)`, multiplier in [2^30, 2^31) (TFLite QuantizeMultiplier).

    Args:
        real: not negative.

    Returns:
        (multiplier, shift); (0, 0) where the product would always round to zero.

    Raises:
        ExportError: if it is too large for the kernels: 2^30 or more.

    Example:
        >>> from tflite_export.requantization import quantize_multiplier
        >>> quantize_multiplier(0.75)
        (1610612736, 0)
    """
    if not 0 <= real < 2.0**30:
        raise ExportError(f"the scales need a multiplier of {real:g}, which no kernel can apply")
    multiplier, shift = _split(real)
    return (0, 0) if shift < MINIMUM_SHIFT else (multiplier, shift)


def _split(real: float) -> tuple[int, int]:
    mantissa, shift = math.frexp(real)
    multiplier = math.floor(mantissa * 2**31 + 0.5)
    return (multiplier // 2, shift + 1) if multiplier == 2**31 else (multiplier, shift)


def channel_multipliers(
    source: Tensor, weights: Tensor, target: Tensor, channels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers of a convolution: scale(input) * scale(weights) / scale(output), one an output channel.

    Returns:
        (int32, int8), shape (channels,): `multiplier * 2^(shift - 31)`.
    """
    scales = np.broadcast_to(_scales(weights), channels).astype(np.float64)
    pairs = [quantize_multiplier(float(real)) for real in source.scale * scales / target.scale]
    return np.array([pair[0] for pair in pairs], np.int32), np.array([pair[1] for pair in pairs], np.int8)


def float64_multipliers(
    source: Tensor, weights: Tensor, target: Tensor, channels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers of FULLY_CONNECTED, where LiteRT's reference kernel multiplies by a float64.

    Returns:
        (uint64, int8), shape (channels,): the float64 is `multiplier * 2^(shift - 53)`, bit for bit.
    """
    reals = source.scale * np.broadcast_to(_scales(weights), channels).astype(np.float64) / target.scale
    mantissas, shifts = np.frexp(reals)
    if shifts.max() > 30:
        raise ExportError(f"the scales of {weights} need a multiplier of {reals.max():g}, which no kernel can apply")
    negligible = shifts < MINIMUM_SHIFT
    multipliers = np.where(negligible, 0, np.ldexp(mantissas, 53)).astype(np.uint64)
    return multipliers, np.where(negligible, 0, shifts).astype(np.int8)


def product_multiplier(first: float, second: float, target: float) -> tuple[int, int]:
    """(multiplier, shift) of `first * second / target`, computed in float32 as TFLite's LSTM does.

    Raises:
        ExportError: if it is too large for the kernels.
    """
    with np.errstate(over="ignore"):  # infinity is refused
        return quantize_multiplier(float(np.float32(first) * np.float32(second) / np.float32(target)))


def lstm_hidden_multiplier(scale: float) -> tuple[int, int]:
    """(multiplier, shift) from an LSTM's output gate times tanh(cell state), Q0.30, to its hidden state."""
    with np.errstate(over="ignore"):
        return quantize_multiplier(float(np.float32(2.0**-15 / float(np.float32(scale)) * 2.0**-15)))


def lstm_cell_fraction(scale: float) -> int:
    """How many bits of an LSTM's cell state are behind the binary point: -log2(scale) (TFLite CheckedLog2).

    Raises:
        ExportError: if the scale is no power of two.
    """
    log2 = np.log(np.float32(scale)) * (np.float32(1) / np.log(np.float32(2)))
    if abs(log2 - np.round(log2)) >= _LOG2_TOLERANCE:
        raise ExportError(f"the cell state's scale {scale:g} is not a power of two")
    return -int(np.round(log2))


def lstm_cell_clip(clip: float, scale: float) -> int:
    """The bound of an LSTM's cell state; 0 where there is none."""
    with np.errstate(over="ignore"):
        return int(min(np.float32(clip) / np.float32(scale), np.float32(32767))) if clip > 0 else 0


def _scales(weights: Tensor) -> np.ndarray:
    assert weights.quantization is not None
    return weights.quantization.scales


def activation_range(op: Op, target: Tensor) -> tuple[int, int]:
    """The int8 clamp of a fused activation (TFLite CalculateActivationRangeQuantized)."""
    activation = op.options.get("fused_activation_function", "NONE")
    bounds = {"NONE": (None, None), "RELU": (0.0, None), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0)}
    if activation not in bounds:
        raise ExportError(f"{op} has the fused activation {activation}, which is not supported")
    return clamp_of(*bounds[activation], target)


def clamp_of(low: float | None, high: float | None, target: Tensor) -> tuple[int, int]:
    """Two real bounds, or None for none, in the int8 values of a tensor."""
    minimum, maximum = (_quantized(bound, target) for bound in (low, high))
    return (-128 if minimum is None else max(-128, minimum)), (127 if maximum is None else min(127, maximum))


def _quantized(bound: float | None, target: Tensor) -> int | None:
    if bound is None:
        return None
    with np.errstate(over="ignore"):
        ratio = np.float32(bound) / np.float32(target.scale)
    if abs(ratio) >= 2**31:
        raise ExportError(f"{target} has the scale {target.scale:g}, too small for its activation")
    return target.zero_point + int(math.copysign(math.floor(abs(float(ratio)) + 0.5), ratio))


def float32_ratio(numerators: Sequence[float], denominator: float) -> float:
    """A product of float32 scales over another, each step in float32, as where TFLite's Prepare computes in float."""
    with np.errstate(over="ignore", under="ignore"):
        product = np.float32(numerators[0])
        for numerator in numerators[1:]:
            product = product * np.float32(numerator)
        return float(product / np.float32(denominator))


def scale_integers(x: np.ndarray, multiplier: int, shift: int) -> np.ndarray:
    """X * multiplier * 2^(shift - 31) with TFLite's two roundings (MultiplyByQuantizedMultiplier).

    Args:
        x: int64, of magnitudes that do not leave an int32 when they are shifted.
        multiplier: in [0, 2^31).
        shift: in [-31, 30].

    Returns:
        int64 of the shape of `x`.
    """
    product = (x << max(shift, 0)) * multiplier
    nudged = product + np.where(product >= 0, 2**30, 1 - 2**30)
    return round_shift(np.sign(nudged) * (np.abs(nudged) >> 31), max(-shift, 0))


def round_shift(x: np.ndarray, exponent: int) -> np.ndarray:
    """X / 2^exponent, rounded to the nearest, halves away from zero (gemmlowp's RoundingDivideByPOT)."""
    return np.sign(x) * ((np.abs(x) + ((1 << exponent) >> 1)) >> exponent)


def mean_multiplier(source: Tensor, target: Tensor, count: int) -> tuple[int, int]:
    """scale(input) / scale(output) / count, divided in integers as TFLite's QuantizedMeanOrSum does."""
    multiplier, shift = quantize_multiplier(source.scale / target.scale)
    extra = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << extra) // count, shift - extra


def add_multipliers(sources: tuple[Tensor, Tensor], target: Tensor) -> list[tuple[int, int]]:
    """(multiplier, shift) of both inputs and of the output of an ADD."""
    twice_maximum = 2.0 * max(tensor.scale for tensor in sources)
    return _pair_multipliers(sources, target, twice_maximum / 2.0**ADD_LEFT_SHIFT)


def squared_difference_multipliers(sources: tuple[Tensor, Tensor], target: Tensor) -> list[tuple[int, int]]:
    """(multiplier, shift) of both inputs and of the output of a SQUARED_DIFFERENCE."""
    twice_maximum = 2.0 * max(tensor.scale for tensor in sources)
    return _pair_multipliers(sources, target, twice_maximum**2 / 2.0 ** (2 * SQUARED_DIFFERENCE_LEFT_SHIFT))


def _pair_multipliers(sources: tuple[Tensor, Tensor], target: Tensor, unit: float) -> list[tuple[int, int]]:
    """Of inputs brought to twice the larger scale; `unit` is what 1 stands for in their result."""
    twice_maximum = 2.0 * max(tensor.scale for tensor in sources)
    inputs = [quantize_multiplier(tensor.scale / twice_maximum) for tensor in sources]
    output = unit / target.scale
    if output >= 1:
        raise ExportError(f"the result {target} has the scale {target.scale:g}, too small for its inputs'")
    return [*inputs, quantize_multiplier(output)]


def softmax_parameters(beta: float, source: Tensor) -> tuple[int, int, int]:
    """(multiplier, shift, difference_minimum) of a SOFTMAX (TFLite PreprocessSoftmaxScaling, CalculateInputRadius)."""
    fraction_bits = 31 - _SOFTMAX_INTEGER_BITS
    real = min(beta * source.scale * 2.0**fraction_bits, 2.0**31 - 1)
    if not real > 1:  # nor is NaN
        raise ExportError(f"softmax of {source} has the scale {source.scale:g}, too small to tell inputs apart")
    multiplier, shift = _split(real)
    radius = (2**_SOFTMAX_INTEGER_BITS - 1) * 2.0**fraction_bits / 2.0**shift
    return multiplier, shift, -math.floor(radius)
