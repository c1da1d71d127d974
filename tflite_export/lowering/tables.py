"""Operators that map one byte to one byte: the exporter computes all 256 outputs, the chip looks them up.

Each table repeats what LiteRT's reference kernel does with one value: float32 where that computes in float32, and its
fixed-point arithmetic where that does.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tflite_export import requantization as rq
from tflite_export.errors import ExportError
from tflite_export.graph import Op, Tensor
from tflite_export.kernel_call import Constant, KernelCall
from tflite_export.lowering.context import Context, Lowering
from tflite_export.lowering.op_shapes import activation, option, result

_BYTES = ("int8", "uint8")
# All inputs of an int8 table, in their order.
_INT8 = np.arange(-128, 128, dtype=np.int64)

# From all inputs, as int64, to all outputs before they are clamped.
_Function = Callable[[Op, Tensor, Tensor, np.ndarray], np.ndarray]


def table_call(op: Op, source: Tensor, target: Tensor, values: np.ndarray, outputs: np.ndarray) -> KernelCall:
    """The look-up of every element.

    Args:
        op: the operator.
        source: of int8 or uint8.
        target: likewise.
        values: the 256 inputs.
        outputs: their outputs, clamped to the target's type here.
    """
    if source.size != target.size:
        raise ExportError(f"{op}: {source} and {target} should have as many elements")
    limits = np.iinfo(target.dtype)
    clamped = np.clip(outputs, limits.min, limits.max).astype(target.dtype).view(np.uint8)
    table = np.zeros(256, np.uint8)
    table[values.astype(source.dtype).view(np.uint8)] = clamped
    return KernelCall(
        op=op,
        function="tern_table_ref",
        struct="tern_table_params",
        fields={"size": source.size, "table": Constant("table", table)},
        inputs=(source,),
        output=target,
        in_place=(0,),
        reason="a function of one byte: a table of 256 bytes",
    )


def _lowering(function: _Function) -> Lowering:
    def lower(op: Op, context: Context) -> list[KernelCall]:
        source, target = activation(op, 0), result(op)
        return [table_call(op, source, target, _INT8, function(op, source, target, _INT8))]

    return lower


# --- rectifiers, in fixed point


def _rescaled(x: np.ndarray, source: Tensor, target: Tensor, factor: float = 1.0) -> np.ndarray:
    """x, less its zero point, in the target's scale; the ratio is float32 as in TFLite's Prepare."""
    ratio = rq.float32_ratio([source.scale, factor], target.scale)
    return rq.scale_integers(x, *rq.quantize_multiplier(ratio))


def _relu(low: float, high: float | None) -> _Function:
    def function(op: Op, source: Tensor, target: Tensor, x: np.ndarray) -> np.ndarray:
        outputs = _rescaled(x - source.zero_point, source, target) + target.zero_point
        minimum, maximum = rq.clamp_of(low, high, target)
        return np.clip(outputs, minimum, maximum)

    return function


def _leaky_relu(op: Op, source: Tensor, target: Tensor, x: np.ndarray) -> np.ndarray:
    x = x - source.zero_point
    alpha = float(option(op, "alpha"))
    if not math.isfinite(alpha):
        raise ExportError(f"{op}: its alpha is {alpha}")
    negative = _rescaled(x, source, target, abs(alpha)) * (-1 if alpha < 0 else 1)
    return np.where(x >= 0, _rescaled(x, source, target), negative) + target.zero_point


def _hard_swish(op: Op, source: Tensor, target: Tensor, x: np.ndarray) -> np.ndarray:
    """TFLite's 16-bit fixed point, step by step."""
    output_multiplier, output_exponent = _int16_multiplier(rq.float32_ratio([1 / 128, source.scale], target.scale))
    if output_exponent > 0:
        raise ExportError(f"{op}: {target} has the scale {target.scale:g}, too small for {source}")
    reluish_multiplier, exponent = _int16_multiplier(rq.float32_ratio([1 / 128, source.scale], 3 / 32768))
    fine = _wrap16((x - source.zero_point) * 128)
    before_shift = _high_mul16(fine, output_multiplier)
    reluish = fine
    if exponent > 0:
        reluish = _saturate16(reluish << (exponent - 1))
    reluish = _high_mul16(reluish, reluish_multiplier)
    if exponent > 0:
        reluish = _saturate16(reluish << 1)
    if exponent < 0:
        reluish = rq.round_shift(reluish, -exponent)
    reluish = (reluish + 32768) >> 1
    product = reluish * before_shift
    product = np.sign(product) * (np.abs(product) >> 15)  # towards zero
    return rq.round_shift(product, -output_exponent) + target.zero_point


def _int16_multiplier(real: float) -> tuple[int, int]:
    multiplier, shift = rq.quantize_multiplier(real)
    return (32767 if multiplier >= 2**31 - 2**15 else (multiplier + 2**15) >> 16), shift


def _high_mul16(a: np.ndarray, b: int) -> np.ndarray:
    """A * b / 2^15, rounded: gemmlowp's SaturatingRoundingDoublingHighMul of int16."""
    product = a * b
    nudged = product + np.where(product >= 0, 2**14, 1 - 2**14)
    return _saturate16(np.sign(nudged) * (np.abs(nudged) >> 15))


def _saturate16(x: np.ndarray) -> np.ndarray:
    return np.clip(x, -32768, 32767)


def _wrap16(x: np.ndarray) -> np.ndarray:
    return x.astype(np.int16).astype(np.int64)


def _abs(op: Op, source: Tensor, target: Tensor, x: np.ndarray) -> np.ndarray:
    magnitudes = np.abs(x - source.zero_point)
    if source.scale != target.scale:
        magnitudes = _rescaled(magnitudes, source, target)
    return magnitudes + target.zero_point


# --- curves, in float32


def _curve(transform: Callable[[np.ndarray], np.ndarray]) -> _Function:
    """TFLite's LUTPopulate: dequantised, transformed and quantised in float32."""

    def function(op: Op, source: Tensor, target: Tensor, x: np.ndarray) -> np.ndarray:
        real = np.float32(source.scale) * (x - source.zero_point).astype(np.float32)
        # the function itself in float64, rounded once: what a C library's float32 version returns
        with np.errstate(all="ignore"):
            scaled = transform(real).astype(np.float32) * (np.float32(1) / np.float32(target.scale))
        if not (np.abs(scaled) < 2**31 - 128).all():  # nor is NaN
            raise ExportError(f"{op}: {target} has the scale {target.scale:g}, too small for the values of {source}")
        rounded = np.sign(scaled) * np.floor(np.abs(scaled.astype(np.float64)) + 0.5)
        return (rounded.astype(np.float32) + np.float32(target.zero_point)).astype(np.int64)

    return function


def _logistic(x: np.ndarray) -> np.ndarray:
    return np.float32(1) / (np.float32(1) + np.exp(-x.astype(np.float64)).astype(np.float32))


def _tanh(x: np.ndarray) -> np.ndarray:
    return np.tanh(x.astype(np.float64))


def _exp(x: np.ndarray) -> np.ndarray:
    return np.exp(x.astype(np.float64))


def _gelu(op: Op, source: Tensor, target: Tensor, x: np.ndarray) -> np.ndarray:
    curve = _curve(_gelu_of_tanh if option(op, "approximate") else _gelu_of_erfc)
    return curve(op, source, target, x)


def _gelu_of_erfc(x: np.ndarray) -> np.ndarray:
    arguments = x * np.float32(-math.sqrt(0.5))
    return np.float32(0.5) * x * np.array([math.erfc(value) for value in arguments.tolist()], np.float32)


def _gelu_of_tanh(x: np.ndarray) -> np.ndarray:
    arguments = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x * x * x)
    return np.float32(0.5) * x * (np.float32(1) + _tanh(arguments).astype(np.float32))


def _log(op: Op, source: Tensor, target: Tensor, x: np.ndarray) -> np.ndarray:
    """The least output where the logarithm is not defined."""
    least = np.float32(-128 - target.zero_point) * np.float32(target.scale)

    def transform(real: np.ndarray) -> np.ndarray:
        return np.where(real > 0, np.log(real.astype(np.float64)), least)

    return _curve(transform)(op, source, target, x)


def _logistic_lowering(op: Op, context: Context) -> list[KernelCall]:
    target = result(op)
    if target.scale != 1 / 256:
        raise ExportError(f"{op}: {target} should have the scale 1/256")
    return _lowering(_curve(_logistic))(op, context)


# --- from one quantisation to another


def requantize(op: Op, source: Tensor, target: Tensor) -> KernelCall:
    """QUANTIZE between int8 and uint8."""
    values = np.arange(256) + np.iinfo(source.dtype).min
    multiplier, shift = rq.quantize_multiplier(source.scale / target.scale)
    outputs = rq.scale_integers(values - source.zero_point, multiplier, shift) + target.zero_point
    return table_call(op, source, target, values, outputs)


LOWERINGS: dict[str, Lowering] = {
    "ABS": _lowering(_abs),
    "EXP": _lowering(_curve(_exp)),
    "GELU": _lowering(_gelu),
    "HARD_SWISH": _lowering(_hard_swish),
    "LEAKY_RELU": _lowering(_leaky_relu),
    "LOG": _lowering(_log),
    "LOGISTIC": _logistic_lowering,
    "RELU": _lowering(_relu(0.0, None)),
    "RELU6": _lowering(_relu(0.0, 6.0)),
    "RELU_0_TO_1": _lowering(_relu(0.0, 1.0)),
    "RELU_N1_TO_1": _lowering(_relu(-1.0, 1.0)),
    "TANH": _lowering(_curve(_tanh)),
}
