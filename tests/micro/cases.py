"""Random weights, requantisations and windows that reach the corners: shared by the tests of the kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tern_c
from numpy_kernels import Float64Requantization, Requantization, Window


def random_int8(rng: np.random.Generator, *shape: Any) -> np.ndarray:
    return rng.integers(-128, 128, shape).astype(np.int8)


@dataclass(frozen=True)
class LevelWeights:
    """Rows of weights as values and as codes.

    Attributes:
        values: (rows, weights), the weights as numbers.
        params: The same in the format under test.
    """

    values: np.ndarray
    params: Any


def random_weights(rng: np.random.Generator, kind: str, rows: int, columns: int, channel_axis: int = 0) -> LevelWeights:
    """Weights of a format: any two levels a channel, of different or of the same sign, empty channels, residual planes.

    The values of sums over planes may lie outside of int8: the kernels' arithmetic does not mind.
    """
    if kind == "int8":
        values = random_int8(rng, rows, columns)
        return LevelWeights(values, tern_c.weights(kind, values))
    shape = (int(rng.choice([1, 1, 2, 3])), rows, columns)
    if kind == "binary":
        codes = rng.choice([-1, 1], shape)
    else:
        codes = np.where(rng.random((*shape[:2], 1)) < 0.1, 0, rng.integers(-1, 2, shape))
    channels = (rows, columns)[channel_axis]
    plus, minus = random_int8(rng, shape[0], channels), random_int8(rng, shape[0], channels)
    along = (shape[0], -1, 1) if channel_axis == 0 else (shape[0], 1, -1)
    levels = np.where(codes > 0, plus.reshape(along), minus.reshape(along)).astype(int)
    values = np.where(codes == 0, 0, levels).sum(0)
    return LevelWeights(values, tern_c.weights(kind, codes, plus, minus))


def random_requantization(rng: np.random.Generator, channels: int) -> Requantization:
    """Any multipliers; shifts such that sums of some hundred products mostly do not saturate."""
    minimum, maximum = sorted(rng.integers(-128, 128, 2).tolist()) if rng.random() < 0.3 else (-128, 127)
    return Requantization(
        bias=rng.integers(-(2**14), 2**14, channels) if rng.random() < 0.8 else None,
        multiplier=rng.integers(2**30, 2**31, channels),
        shift=rng.integers(-14, -5, channels),
        zero_point=int(rng.integers(-128, 128)),
        minimum=minimum,
        maximum=maximum,
    )


def random_float64_requantization(rng: np.random.Generator, channels: int) -> Float64Requantization:
    requantization = random_requantization(rng, channels)
    return Float64Requantization(
        requantization.bias,
        2.0 ** rng.uniform(-14, -6, channels),
        requantization.zero_point,
        requantization.minimum,
        requantization.maximum,
    )


def random_window(rng: np.random.Generator, size: tuple[int, int], dilated: bool = True) -> Window:
    """TFLite's SAME window, or one of any padding and output of which all positions overlap the input."""
    kernel = tuple(rng.integers(1, 6, 2).tolist())
    stride = tuple(rng.integers(1, 4, 2).tolist())
    dilation = tuple(rng.integers(1, 4, 2).tolist()) if dilated and rng.random() < 0.4 else (1, 1)
    if rng.random() < 0.3:
        pad: Any = tuple(int(rng.integers(0, k)) for k in kernel)
        output: Any = tuple(
            int(rng.integers(1, (n + p - 1) // s + 2)) for n, p, s in zip(size, pad, stride, strict=True)
        )
        return Window(kernel, stride, dilation, pad, output)
    return same_window(size, kernel, stride, dilation)


def same_window(size: Any, kernel: Any, stride: Any = (1, 1), dilation: Any = (1, 1)) -> Window:
    """The window of TFLite's SAME padding."""
    output = tuple(-(-n // s) for n, s in zip(size, stride, strict=True))
    pad = tuple(
        max((o - 1) * s + (k - 1) * d + 1 - n, 0) // 2
        for o, s, k, d, n in zip(output, stride, kernel, dilation, size, strict=True)
    )
    return Window(kernel, stride, dilation, pad, output)


def valid_window(size: Any, kernel: Any, stride: Any = (1, 1), dilation: Any = (1, 1)) -> Window:
    """The window of TFLite's VALID padding."""
    output = tuple((n - (k - 1) * d - 1) // s + 1 for n, k, s, d in zip(size, kernel, stride, dilation, strict=True))
    return Window(kernel, stride, dilation, (0, 0), output)
