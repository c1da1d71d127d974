"""TFLite's int8 reference kernels once more, in NumPy: slow, plain, and sharing nothing with the C.

Sums are int64 and padding is explicit, so that neither an overflow nor an index error of the C can hide here.
Weights are the int8 values themselves; the C's packed formats must give the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

INT32_MAX = 2**31 - 1


def quantize_multiplier(real: float) -> tuple[int, int]:
    """Splits a real multiplier into (multiplier, shift): real ~ multiplier * 2^(shift - 31)."""
    fraction, shift = math.frexp(real)
    multiplier = math.floor(fraction * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift + 1
    return (multiplier, shift) if shift >= -31 else (0, 0)


def high_mul(a: np.ndarray | int, b: np.ndarray | int) -> np.ndarray:
    """gemmlowp's SaturatingRoundingDoublingHighMul: a * b / 2^31, halves up."""
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    nudged = product + np.where(product >= 0, 2**30, 1 - 2**30)
    truncated = np.sign(nudged) * (np.abs(nudged) // 2**31)
    return np.minimum(truncated, INT32_MAX)


def round_shift(x: np.ndarray, exponent: np.ndarray | int) -> np.ndarray:
    """gemmlowp's RoundingDivideByPOT: x / 2^exponent, halves away from zero."""
    x, divisor = np.asarray(x, np.int64), np.int64(1) << np.asarray(exponent, np.int64)
    return np.sign(x) * ((np.abs(x) + divisor // 2) // divisor)


def wrap(x: np.ndarray) -> np.ndarray:
    """What an int32 register holds of x."""
    return np.asarray(x, np.int64).astype(np.int32).astype(np.int64)


def scale(x: np.ndarray, multiplier: np.ndarray | int, shift: np.ndarray | int) -> np.ndarray:
    """TFLite's MultiplyByQuantizedMultiplier, with two roundings."""
    shift = np.asarray(shift, np.int64)
    left = wrap(np.asarray(x, np.int64) << np.maximum(shift, 0))
    return round_shift(high_mul(left, multiplier), np.maximum(-shift, 0))


@dataclass(frozen=True)
class Requantization:
    """An accumulator's way to int8; arrays hold a value an output channel."""

    bias: np.ndarray | None
    multiplier: np.ndarray
    shift: np.ndarray
    zero_point: int = 0
    minimum: int = -128
    maximum: int = 127

    def __call__(self, sums: np.ndarray) -> np.ndarray:
        biased = wrap(sums if self.bias is None else sums + self.bias)
        output = scale(biased, self.multiplier, self.shift) + self.zero_point
        return np.clip(output, self.minimum, self.maximum).astype(np.int8)


@dataclass(frozen=True)
class Float64Requantization:
    """The same for FULLY_CONNECTED: one float64 multiplication by `real`, halves away from zero."""

    bias: np.ndarray | None
    real: np.ndarray
    zero_point: int = 0
    minimum: int = -128
    maximum: int = 127

    def __call__(self, sums: np.ndarray) -> np.ndarray:
        scaled = wrap(sums if self.bias is None else sums + self.bias).astype(np.float64) * self.real
        whole = np.trunc(scaled)
        rounded = whole + np.sign(scaled) * (np.abs(scaled - whole) >= 0.5)
        return np.clip(rounded + self.zero_point, self.minimum, self.maximum).astype(np.int8)


@dataclass(frozen=True)
class Window:
    """A sliding window, each pair (height, width)."""

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pad: tuple[int, int] = (0, 0)  # before the input
    output: tuple[int, int] = (1, 1)

    def patches(self, image: np.ndarray, fill: int) -> np.ndarray:
        """(height, width, channels) -> (output height, output width, kernel height, kernel width, channels)."""
        reach = [(o - 1) * s + (k - 1) * d + 1
                 for o, s, k, d in zip(self.output, self.stride, self.kernel, self.dilation, strict=True)]  # fmt: skip
        after = [max(r - p - n, 0) for r, p, n in zip(reach, self.pad, image.shape, strict=False)]
        padded = np.pad(
            image.astype(np.int64),
            ((self.pad[0], after[0]), (self.pad[1], after[1]), (0, 0)),
            constant_values=fill,
        )
        rows, columns = (
            np.arange(o)[:, None] * s + np.arange(k) * d
            for o, s, k, d in zip(self.output, self.stride, self.kernel, self.dilation, strict=True)
        )
        return padded[rows[:, None, :, None], columns[None, :, None, :]]


def conv2d(
    image: np.ndarray, weights: np.ndarray, window: Window, zero_point: int, requantize: Requantization
) -> np.ndarray:
    """CONV_2D of (h, w, c) with (outputs, kernel h, kernel w, c / groups)."""
    patches = window.patches(image, zero_point) - zero_point
    groups = image.shape[-1] // weights.shape[-1]
    sums = [
        np.einsum("yxhwc,ohwc->yxo", part, kernels.astype(np.int64))
        for part, kernels in zip(np.split(patches, groups, -1), np.split(weights, groups), strict=True)
    ]
    return requantize(np.concatenate(sums, -1))


def depthwise_conv2d(
    image: np.ndarray, weights: np.ndarray, window: Window, zero_point: int, requantize: Requantization
) -> np.ndarray:
    """DEPTHWISE_CONV_2D of (h, w, c) with (kernel h, kernel w, outputs)."""
    patches = window.patches(image, zero_point) - zero_point
    patches = patches.repeat(weights.shape[-1] // image.shape[-1], -1)
    return requantize(np.einsum("yxhwc,hwc->yxc", patches, weights.astype(np.int64)))


def fully_connected(
    x: np.ndarray, weights: np.ndarray, zero_point: int, requantize: Float64Requantization
) -> np.ndarray:
    """FULLY_CONNECTED of (rows, inputs) with (outputs, inputs)."""
    return requantize((x.astype(np.int64) - zero_point) @ weights.astype(np.int64).T)


def max_pool2d(image: np.ndarray, window: Window, minimum: int = -128, maximum: int = 127) -> np.ndarray:
    """MAX_POOL_2D of (h, w, c)."""
    return np.clip(window.patches(image, -(10**6)).max((2, 3)), minimum, maximum).astype(np.int8)


def average_pool2d(image: np.ndarray, window: Window, minimum: int = -128, maximum: int = 127) -> np.ndarray:
    """AVERAGE_POOL_2D of (h, w, c): halves away from zero."""
    sums = window.patches(image, 0).sum((2, 3))
    counts = window.patches(np.ones_like(image), 0).sum((2, 3))
    means = np.sign(sums) * ((np.abs(sums) + counts // 2) // counts)
    return np.clip(means, minimum, maximum).astype(np.int8)


def mean_multiplier(multiplier: int, shift: int, count: int) -> tuple[int, int]:
    """The multiplier and shift of a MEAN of `count` values, from those of scale(input) / scale(output)."""
    extra = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << extra) // count, shift - extra


def mean(x: np.ndarray, axes: tuple[int, ...], multiplier: int, shift: int, zero_points: tuple[int, int]) -> np.ndarray:
    """MEAN over `axes`, which are kept; multiplier and shift as `mean_multiplier` gives them."""
    sums = (x.astype(np.int64) - zero_points[0]).sum(axes, keepdims=True)
    return np.clip(scale(sums, multiplier, shift) + zero_points[1], -128, 127).astype(np.int8)


def add(
    inputs: Sequence[np.ndarray],
    zero_points: Sequence[int],
    scales: Sequence[tuple[int, int]],
    left_shift: int = 20,
    minimum: int = -128,
    maximum: int = 127,
    sign: int = 1,
) -> np.ndarray:
    """ADD with broadcasting, of a sign of -1 SUB; `scales` are (multiplier, shift) of both inputs and of the output."""
    terms = [
        scale((x.astype(np.int64) - zero_point) << left_shift, *factor)
        for x, zero_point, factor in zip(inputs, zero_points[:2], scales[:2], strict=True)
    ]
    output = scale(terms[0] + sign * terms[1], *scales[2]) + zero_points[2]
    return np.clip(output, minimum, maximum).astype(np.int8)


def add_scales(scale0: float, scale1: float, output: float, left_shift: int = 20) -> list[tuple[int, int]]:
    """The three (multiplier, shift) of an ADD."""
    twice_largest = 2.0 * max(scale0, scale1)
    reals = (scale0 / twice_largest, scale1 / twice_largest, twice_largest / (2**left_shift * output))
    return [quantize_multiplier(real) for real in reals]


def softmax_scale(input_scale: float, beta: float = 1.0) -> tuple[int, int, int]:
    """(multiplier, shift, difference_minimum) of a SOFTMAX."""
    multiplier, shift = quantize_multiplier(min(beta * input_scale * 2**26, 2.0**31 - 1))
    return multiplier, shift, -math.floor(31 * 2**26 / 2**shift)


def softmax(x: np.ndarray, multiplier: int, shift: int, difference_minimum: int) -> np.ndarray:
    """SOFTMAX over the last dimension: exp in Q0.31, the sum in Q12.19."""
    differences = x.astype(np.int64) - x.max(-1, keepdims=True)
    counted = differences >= difference_minimum
    scaled = high_mul(np.where(counted, differences, 0) << shift, multiplier)
    exps = np.where(counted, _exp_of_negative(scaled), 0)
    sums = round_shift(exps, 12).sum(-1, keepdims=True)
    headroom = 32 - np.frexp(sums)[1]  # leading zeros
    reciprocal = _one_over_one_plus((sums << headroom) - 2**31)
    output = round_shift(high_mul(reciprocal, exps), 12 - headroom + 23) - 128
    return np.where(counted, np.clip(output, -128, 127), -128).astype(np.int8)


def _exp_of_negative(a: np.ndarray) -> np.ndarray:
    """gemmlowp's exp_on_negative_values: Q5.26, not positive -> Q0.31."""
    quarter = 2**24
    remainder_negative = (a & (quarter - 1)) - quarter  # in [-1/4, 0)
    result = _exp_near_zero(remainder_negative << 5)
    whole = remainder_negative - a
    for exponent in range(-2, 5):
        factor = math.floor(math.exp(-(2.0**exponent)) * 2**31 + 0.5)
        result = np.where(whole & 2 ** (26 + exponent), high_mul(result, factor), result)
    return np.where(a == 0, INT32_MAX, result)


def _exp_near_zero(a: np.ndarray) -> np.ndarray:
    """Taylor series of exp about -1/8, for a of [-1/4, 0), Q0.31."""
    offset, third = math.floor(math.exp(-1 / 8) * 2**31 + 0.5), math.floor(2**31 / 3 + 0.5)
    x = a + 2**28
    x2 = high_mul(x, x)
    x3, x4 = high_mul(x2, x), high_mul(x2, x2)
    tail = round_shift(high_mul(round_shift(x4, 2) + x3, third) + x2, 1)
    return offset + high_mul(offset, x + tail)


def _one_over_one_plus(a: np.ndarray) -> np.ndarray:
    """1 / (1 + a) of a in [0, 1), Q0.31, by three Newton-Raphson steps in Q2.29."""
    half_denominator = (a + INT32_MAX + 1) // 2
    x = round(48 / 17 * 2**29) + high_mul(half_denominator, -round(32 / 17 * 2**29))
    for _ in range(3):
        error = 2**29 - high_mul(half_denominator, x)
        x = x + np.clip(high_mul(x, error) << 2, -(2**31), INT32_MAX)
    return np.minimum(x << 1, INT32_MAX)
