"""The fast ternary convolution against NumPy, in its own build for this machine and in the worst of cases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tern_c
from cases import random_int8, random_window, same_window
from numpy_kernels import Requantization, Window, conv2d
from tern_c import Conv2dGapsParams, Shape, make

from tflite_export.gap_packing import pack_gaps


def check(
    image: np.ndarray,
    codes: np.ndarray,
    levels: tuple[np.ndarray, np.ndarray],
    window: Window,
    zero_point: int,
    requantization: Requantization,
) -> None:
    """Codes: (outputs, kernel height, kernel width, channels); levels: of plus and minus."""
    outputs = len(codes)
    plus, minus = (level.astype(int).reshape(-1, 1, 1, 1) for level in levels)
    weights = np.where(codes > 0, plus, np.where(codes < 0, minus, 0))
    bias = np.zeros(outputs, int) if requantization.bias is None else requantization.bias
    params = make(
        Conv2dGapsParams,
        Shape(*image.shape),
        Shape(*window.output, outputs),
        tern_c.window(window),
        zero_point,
        tern_c.gap_weights(codes.reshape(outputs, -1), *levels, requantization.shift),
        tern_c.pointer(2 * (bias - zero_point * weights.reshape(outputs, -1).sum(1)), np.int32),
        tern_c.pointer(requantization.multiplier, np.int32),
        requantization.zero_point,
        requantization.minimum,
        requantization.maximum,
    )
    output = tern_c.call("tern_conv2d_gaps", params, image, output=(*window.output, outputs))
    np.testing.assert_array_equal(output, conv2d(image, weights, window, zero_point, requantization))


def random_case(rng: np.random.Generator, outputs: int) -> tuple[tuple[np.ndarray, np.ndarray], Requantization]:
    minimum, maximum = sorted(rng.integers(-128, 128, 2).tolist()) if rng.random() < 0.3 else (-128, 127)
    requantization = Requantization(
        rng.integers(-(2**14), 2**14, outputs),
        rng.integers(2**30, 2**31, outputs),
        rng.integers(-14, -4, outputs),
        int(rng.integers(-128, 128)),
        minimum,
        maximum,
    )
    plus = rng.integers(-127, 128, outputs).astype(np.int8)
    minus = -plus if rng.random() < 0.5 else random_int8(rng, outputs)
    return (plus, minus), requantization


@pytest.mark.parametrize("seed", range(150))
def test_any_geometry(seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = random_int8(rng, *rng.integers(1, 12, 2), int(rng.choice([1, 2, 3, 4, 5, 8, 12, 16])))
    outputs = int(rng.integers(1, 6))
    window = random_window(rng, image.shape[:2])
    zeros = rng.choice([0.0, 0.3, 0.5, 0.9, 0.99])
    codes = np.where(rng.random((outputs, *window.kernel, image.shape[2])) < zeros, 0, 1)
    codes *= rng.choice([-1, 1], codes.shape)
    levels, requantization = random_case(rng, outputs)
    check(image, codes, levels, window, int(rng.integers(-128, 128)), requantization)


@pytest.mark.parametrize("code", [-1, 1])
@pytest.mark.parametrize("x", [-128, 127])
@pytest.mark.parametrize("weights", [255, 256, 257, 263, 264, 265, 511, 512, 513, 700])
def test_every_input_and_every_weight_extreme(weights: int, x: int, code: int) -> None:
    """The 16-bit sums are full at 256 steps; longer streams go on in 32 bits."""
    image = np.full((1, 17, weights), x)
    levels = (np.array([127, -128]), np.array([-127, 127]))
    requantization = Requantization(np.array([3, -5]), np.array([2**30, 2**31 - 1]), np.array([-17, -20]))
    check(image, np.full((2, 1, 1, weights), code), levels, Window((1, 1), output=(1, 17)), -1 - x, requantization)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 15, 16, 17, 31, 33])
def test_positions_that_do_not_fill_a_block(count: int) -> None:
    rng = np.random.default_rng(count)
    image = random_int8(rng, 1, count, 4)
    levels, requantization = random_case(rng, 3)
    check(image, rng.integers(-1, 2, (3, 1, 3, 4)), levels, same_window((1, count), (1, 3)), 7, requantization)


def test_channels_without_a_weight() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(-1, 2, (4, 3, 3, 8))
    codes[0], codes[1][codes[1] > 0], codes[2][codes[2] < 0] = 0, 0, 0
    levels, requantization = random_case(rng, 4)
    check(random_int8(rng, 6, 6, 8), codes, levels, same_window((6, 6), (3, 3)), -3, requantization)


@pytest.mark.parametrize("offset", range(4))
def test_an_input_that_starts_anywhere(offset: int) -> None:
    """A caller's input may lie on any address."""
    rng = np.random.default_rng(offset)
    memory = random_int8(rng, 6 * 6 * 8 + 4)
    image: Any = memory[offset : offset + 6 * 6 * 8].reshape(6, 6, 8)
    levels, requantization = random_case(rng, 3)
    check(image, rng.integers(-1, 2, (3, 3, 3, 8)), levels, same_window((6, 6), (3, 3)), 0, requantization)


@pytest.mark.parametrize("density", [0.01, 0.05, 0.1, 0.3, 0.5, 1.0])
def test_the_exporter_packs_the_same_gaps(density: float) -> None:
    rng = np.random.default_rng(1)
    codes = (rng.choice([-1, 1], (7, 301)) * (rng.random((7, 301)) < density)).astype(np.int8)
    codes[3] = 0
    plus, minus, shift = np.array([127, 3, 4, 5, 6, -7, 0]), np.array([-127, -3, 2, 5, -128, 7, 1]), np.arange(-7, 0)
    gaps, channels = pack_gaps(codes, minus, plus, -1 - shift)
    expected_gaps, expected_channels = tern_c.gap_weights(codes, plus, minus, shift).made_of[0]
    assert gaps.tolist() == _values(expected_gaps, np.uint32, gaps.size)
    assert channels.tolist() == _values(expected_channels, np.uint32, 14)


def _values(pointer: Any, dtype: Any, count: int) -> list[int]:
    import ctypes

    data = ctypes.string_at(pointer, count * np.dtype(dtype).itemsize)
    return np.frombuffer(data, dtype).tolist()
