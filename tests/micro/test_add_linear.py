"""The fast ADD and SUB: the exporter's integers, and the kernel with them, against all pairs of inputs."""

from __future__ import annotations

import numpy as np
import pytest
import tern_c
from cases import random_int8
from numpy_kernels import add, add_scales
from tern_c import AddLinearParams, Pair, make

from tflite_export.lowering.add_linear import linear_sum

FIRST, SECOND = (np.ascontiguousarray(x, np.int8) for x in np.meshgrid(range(-128, 128), range(-128, 128)))


def outputs(first: np.ndarray, second: np.ndarray, multipliers: tuple[int, int], *rest: int) -> np.ndarray:
    params = make(AddLinearParams, first.size, Pair(*multipliers), *rest)
    return tern_c.call("tern_add_linear", params, first, second, output=first.shape)


def check(
    scales: tuple[float, float, float], zero_points: tuple[int, int, int], sign: int, clamp: tuple[int, int]
) -> None:
    fixed = add_scales(*scales)
    multipliers, shifts = zip(*fixed, strict=True)
    found = linear_sum(
        sign, zero_points[:2], multipliers[:2], shifts[:2], 20, zero_points[2], multipliers[2], shifts[2], *clamp
    )
    assert found is not None
    expected = add((FIRST, SECOND), zero_points, fixed, 20, *clamp, sign=sign)
    actual = outputs(FIRST, SECOND, found["multiplier"], found["offset"], found["shift"], *clamp)
    np.testing.assert_array_equal(actual, expected)


def quantisation(low: float, high: float) -> tuple[float, int]:
    scale = (max(high, 0.0) - min(low, 0.0)) / 255
    return scale, int(np.clip(round(-128 - min(low, 0.0) / scale), -128, 127))


@pytest.mark.parametrize("seed", range(60))
def test_all_pairs_of_random_quantisations(seed: int) -> None:
    """Two ranges, and of what their sums or differences reach a part, with a fused ReLU or without."""
    rng = np.random.default_rng(seed)
    ranges = np.exp(rng.normal(0, 0.7, (2, 2))) * [-1, 1]
    ranges[rng.random(2) < 0.5, 0] = 0
    sign = int(rng.choice([1, -1]))
    reached = (ranges[0] + (ranges[1] if sign > 0 else -ranges[1, ::-1])) * rng.uniform(0.45, 1)
    fused = rng.random() < 0.4
    if fused:
        reached = np.array([0, max(reached[1], 0.5)])
    quantisations = [quantisation(*each.tolist()) for each in (*ranges, reached)]
    scales, zero_points = zip(*quantisations, strict=True)
    check(scales, zero_points, sign, (zero_points[2] if fused else -128, int(rng.choice([127, 100]))))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("scales", [(1, 1, 1), (1, 1, 2), (1, 2, 2), (1, 0.5, 1), (1, 1, 4), (1, 1, 0.5), (3, 1, 2)])
def test_halves_round_away_from_zero(scales: tuple[float, float, float], sign: int) -> None:
    check(scales, (3, -7, 5), sign, (-128, 127))


@pytest.mark.parametrize("offset", range(4))
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9, 31])
def test_any_size_and_address(size: int, offset: int) -> None:
    rng = np.random.default_rng(size)
    first, second = random_int8(rng, size + 4)[offset : offset + size], random_int8(rng, size)
    actual = outputs(first, second, (2**21, -(2**20)), 2**19, 21, -128, 127)
    total = first.astype(int) * 2**21 - second.astype(int) * 2**20 + 2**19
    np.testing.assert_array_equal(actual, np.clip(total >> 21, -128, 127))


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("size", [1, 6, 64])
def test_in_place(place: int, size: int) -> None:
    rng = np.random.default_rng(size)
    buffers = [random_int8(rng, size) for _ in range(2)]
    expected = outputs(buffers[0], buffers[1], (2**21, 2**21), 2**20, 22, -128, 127)
    params = make(AddLinearParams, size, Pair(2**21, 2**21), 2**20, 22, -128, 127)
    assert tern_c.status_of("tern_add_linear", params, *buffers, buffers[place]) == tern_c.OK
    np.testing.assert_array_equal(buffers[place], expected)


def test_scales_too_far_apart_are_left_to_the_reference() -> None:
    fixed = add_scales(1.0, 1.0, 1e-3)
    assert linear_sum(1, (0, 0), (fixed[0][0],) * 2, (fixed[0][1],) * 2, 20, 0, *fixed[2], -128, 127) is None
