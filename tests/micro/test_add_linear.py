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


@pytest.mark.parametrize("seed", range(40))
def test_all_pairs_of_random_quantisations(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = np.exp(rng.normal(-3, 0.7, 2)).tolist()
    drawn = [int(rng.choice([-128, 0, 127, rng.integers(-128, 128)])) for _ in range(3)]
    clamp = (max(-128, drawn[2]), 127) if rng.random() < 0.3 else (-128, int(rng.choice([127, 100])))
    check(
        (first, second, max(first, second) * rng.uniform(0.5, 2)),
        (drawn[0], drawn[1], drawn[2]),
        int(rng.choice([1, -1])),
        clamp,
    )


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


def test_scales_too_far_apart_are_left_to_the_reference() -> None:
    fixed = add_scales(1.0, 1.0, 1e-3)
    assert linear_sum(1, (0, 0), (fixed[0][0],) * 2, (fixed[0][1],) * 2, 20, 0, *fixed[2], -128, 127) is None
