"""Fully connected layers in all formats, and the float64 requantisation, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import tern_c
from cases import random_float64_requantization, random_int8, random_weights
from numpy_kernels import Float64Requantization, fully_connected
from tern_c import FORMATS, FullyConnectedParams, make


def run(
    kind: str, x: np.ndarray, outputs: int, weights: object, zero_point: int, spec: Float64Requantization
) -> np.ndarray:
    params = make(
        FullyConnectedParams,
        rows=len(x),
        inputs=x.shape[1],
        outputs=outputs,
        input_zero_point=zero_point,
        weights=weights,
        requantization=tern_c.float64_requantization(spec),
    )
    return tern_c.call(f"tern_fully_connected_{kind}_ref", params, x, output=(len(x), outputs))


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("kind", FORMATS)
def test_any_size(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = random_int8(rng, rng.integers(1, 4), rng.integers(1, 70))
    outputs, zero_point = int(rng.integers(1, 20)), int(rng.integers(-128, 128))
    weights = random_weights(rng, kind, outputs, x.shape[1])
    spec = random_float64_requantization(rng, outputs)
    output = run(kind, x, outputs, weights.params, zero_point, spec)
    np.testing.assert_array_equal(output, fully_connected(x, weights.values, zero_point, spec))


def requantized(sums: np.ndarray, real: np.ndarray, zero_point: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """What the C and what NumPy make of sums: they are the biases of a layer whose weights are zero."""
    spec = Float64Requantization(sums, real, zero_point)
    no_weights = tern_c.weights("int8", np.zeros((len(sums), 1)))
    output = run("int8", np.zeros((1, 1)), len(sums), no_weights, 0, spec)
    return output[0], spec(np.zeros(len(sums), np.int64))


def test_random_float64_multipliers() -> None:
    rng = np.random.default_rng(0)
    real = 2.0 ** rng.uniform(-32, 12, 50_000)
    sums = np.clip(rng.uniform(-140, 140, real.size) / real, -(2**31), 2**31 - 1).astype(np.int64)
    np.testing.assert_array_equal(*requantized(sums, real, 7))


def test_ties_and_their_neighbours() -> None:
    """Sums whose product with the multiplier is a half, as float64 rounds it, and the sums and multipliers beside."""
    rng = np.random.default_rng(1)
    halves = rng.integers(-130, 130, 50_000) + 0.5
    sums = rng.integers(1, 2**31, halves.size) * np.sign(halves).astype(np.int64)
    real = halves / sums
    for multiplier in (np.nextafter(real, 0), real, np.nextafter(real, 1)):
        np.testing.assert_array_equal(*requantized(sums, multiplier))
    np.testing.assert_array_equal(*requantized(sums - 1, real))


def test_halves_that_only_float64_makes() -> None:
    """1/6 is not a float64 but 3 * (1/6) is 0.5; 49 * (1/98) is not: both need float64's rounding of the product."""
    divisors = np.repeat(np.arange(2, 400, 2), 21)
    odd = np.tile(np.arange(-21, 21, 2), divisors.size // 21)
    output, expected = requantized(divisors // 2 * odd, 1 / divisors)
    np.testing.assert_array_equal(output, expected)
    away_from_zero = np.abs(output) == (np.abs(odd) + 1) // 2
    assert 0.9 < away_from_zero.mean() < 1


def test_extremes() -> None:
    sums = np.array([2**31 - 1, -(2**31), 2**31 - 1, -(2**31), 1, -1, 0, 5], np.int64)
    real = np.array([1, 1, 2.0**30 * 0.99, 2.0**30 * 0.99, 0.5, 0.5, 1, 0])
    output, _ = requantized(sums, real)
    assert output.tolist() == [127, -128, 127, -128, 1, -1, 0, 0]
