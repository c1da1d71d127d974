"""The convolution for Helium against NumPy, in its own build for this machine and in the worst of cases."""

from __future__ import annotations

import numpy as np
import pytest
import tern_c
from cases import random_int8, random_window, same_window
from numpy_kernels import Requantization, Window, conv2d
from tern_c import Conv2dVectorsParams, Shape, make

from tflite_export.vector_packing import pack_bits, pack_codes, pack_int8, whole_groups

Levels = tuple[np.ndarray, np.ndarray]


def check(
    image: np.ndarray,
    weights: np.ndarray,
    levels: Levels | None,
    window: Window,
    zero_point: int,
    requantization: Requantization,
    block_positions: int = 6,
) -> None:
    """Weights: (outputs, kernel height, kernel width, channels); with levels (of plus and minus) codes -1, 0, 1."""
    outputs = len(weights)
    rows = weights.reshape(outputs, -1).astype(np.int8)
    bits = 8 if levels is None else 2 if (rows == 0).any() else 1
    packed = {8: pack_int8, 2: pack_codes, 1: pack_bits}[bits](rows)
    if levels is not None:
        plus, minus = (level.astype(int).reshape(-1, 1, 1, 1) for level in levels)
        weights = np.where(weights > 0, plus, np.where(weights < 0, minus, 0))
    bias = np.zeros(outputs, int) if requantization.bias is None else requantization.bias
    params = make(
        Conv2dVectorsParams,
        Shape(*image.shape),
        Shape(*window.output, outputs),
        tern_c.window(window),
        zero_point,
        bits,
        tern_c.pointer(packed, np.uint8),
        *(None if levels is None else tern_c.pointer(whole_groups(level), np.int8) for level in levels or (None, None)),
        tern_c.pointer(whole_groups(bias - zero_point * weights.reshape(outputs, -1).sum(1, dtype=int)), np.int32),
        tern_c.pointer(whole_groups(requantization.multiplier), np.int32),
        tern_c.pointer(whole_groups(requantization.shift, -1), np.int8),
        requantization.zero_point,
        requantization.minimum,
        requantization.maximum,
        block_positions,
    )
    output = tern_c.call("tern_conv2d_vectors", params, image, output=(*window.output, outputs))
    np.testing.assert_array_equal(output, conv2d(image, weights, window, zero_point, requantization))


def random_requantization(rng: np.random.Generator, outputs: int) -> Requantization:
    minimum, maximum = sorted(rng.integers(-128, 128, 2).tolist()) if rng.random() < 0.3 else (-128, 127)
    return Requantization(
        rng.integers(-(2**14), 2**14, outputs),
        rng.integers(2**30, 2**31, outputs),
        rng.integers(-31 if rng.random() < 0.2 else -14, 0, outputs),
        int(rng.integers(-128, 128)),
        minimum,
        maximum,
    )


def random_weights(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[np.ndarray, Levels | None]:
    if rng.random() < 0.4:
        return random_int8(rng, *shape), None
    return rng.choice([-1, 0, 1] if rng.random() < 0.6 else [-1, 1], shape), (
        random_int8(rng, shape[0]),
        random_int8(rng, shape[0]),
    )


@pytest.mark.parametrize("seed", range(200))
def test_any_geometry(seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = random_int8(rng, *rng.integers(1, 12, 2), int(rng.choice([1, 2, 3, 5, 8, 15, 16, 17, 32])))
    window = random_window(rng, image.shape[:2])
    weights, levels = random_weights(rng, (int(rng.integers(1, 10)), *window.kernel, image.shape[2]))
    requantization = random_requantization(rng, len(weights))
    check(image, weights, levels, window, int(rng.integers(-128, 128)), requantization, int(rng.integers(1, 14)))


@pytest.mark.parametrize("w", [-128, 127])
@pytest.mark.parametrize("x", [-128, 127])
def test_every_input_and_every_weight_extreme(x: int, w: int) -> None:
    image = np.full((1, 5, 2000), x)
    requantization = Requantization(np.array([3, -5]), np.array([2**30, 2**31 - 1]), np.array([-17, -20]))
    check(image, np.full((2, 1, 1, 2000), w), None, Window((1, 1), output=(1, 5)), -1 - x, requantization)


@pytest.mark.parametrize("channels", [15, 16])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 8])
def test_positions_that_do_not_fill_a_block(count: int, channels: int) -> None:
    """With 16 channels the input is read in place."""
    rng = np.random.default_rng(count)
    weights, levels = rng.integers(-1, 2, (5, 1, 1, channels)), (random_int8(rng, 5), random_int8(rng, 5))
    window = same_window((1, count), (1, 1))
    check(random_int8(rng, 1, count, channels), weights, levels, window, 7, random_requantization(rng, 5))


@pytest.mark.parametrize("codes", [(-1, 0, 1), (-1, 1)])
def test_every_pair_of_levels_that_wraps(codes: tuple[int, ...]) -> None:
    """Where `plus` and `minus` add up to more than a byte, or differ by more."""
    rng = np.random.default_rng(0)
    levels = np.array([-128, -128, 127, 127, -128]), np.array([-128, 127, 127, -128, 0])
    weights, window = rng.choice(codes, (5, 1, 1, 20)), Window((1, 1), output=(2, 3))
    check(random_int8(rng, 2, 3, 20), weights, levels, window, 0, random_requantization(rng, 5))


@pytest.mark.parametrize("shift", [-1, -2, -7])
def test_halves_are_rounded_away_from_zero(shift: int) -> None:
    """Products with 2^30, halved by the first rounding; all remainders of the second one."""
    image = np.arange(-128, 128).reshape(1, -1, 1)
    requantization = Requantization(np.array([0, 1]), np.array([2**30, 2**30]), np.array([shift, shift]))
    check(image, np.ones((2, 1, 1, 1), int), None, Window((1, 1), output=(1, 256)), 0, requantization)
