"""Integer scales with one rounding against float64 arithmetic, for every sum of a range."""

import numpy as np
import pytest

from tflite_export.floor_scaling import floor_scales


def _float64(sums: np.ndarray, real: float) -> np.ndarray:
    product = sums * real
    whole = np.trunc(product)
    return whole + np.sign(product) * (np.abs(product - whole) >= 0.5)


def _check(real: float, least: int, most: int, zero_point: int, minimum: int = -128, maximum: int = 127) -> None:
    found = floor_scales(np.array([real]), np.array([least]), np.array([most]), zero_point, minimum, maximum)
    assert found is not None
    multiplier, shift = int(found[0][0]), int(found[1][0])
    assert 0 <= multiplier < 2**31
    assert 1 <= shift <= 22
    sums = np.arange(least, most + 1)
    scaled = (sums * multiplier + (1 << (31 + shift))) >> (32 + shift)
    expected = np.clip(_float64(sums, real) + zero_point, minimum, maximum)
    np.testing.assert_array_equal(np.clip(scaled + zero_point, minimum, maximum), expected)


@pytest.mark.parametrize("seed", range(100))
def test_any_scale(seed: int) -> None:
    rng = np.random.default_rng(seed)
    real = float(2.0 ** rng.uniform(-18, -2))
    least, most = sorted(rng.integers(-300_000, 300_000, 2).tolist())
    _check(real, least, most, int(rng.integers(-128, 128)), *((0, 127) if seed % 3 else (-128, 127)))


@pytest.mark.parametrize("exponent", range(-14, -2))
def test_halves_go_away_from_zero(exponent: int) -> None:
    """Powers of two, whose products with sums are halves."""
    _check(2.0**exponent, -200_000, 200_000, 3)


@pytest.mark.parametrize("divisor", range(5, 200, 7))
def test_halves_that_only_float64_makes(divisor: int) -> None:
    _check(1 / divisor, -20_000, 20_000, -1)


def test_scales_that_lead_nowhere() -> None:
    for real in (0.0, 1e-300, 2.0**-40):
        _check(real, -100_000, 100_000, 5)


def test_scales_that_have_no_multiplier() -> None:
    for real, most in ((0.3, 1000), (1.0, 10), (0.001, 2**31)):
        assert floor_scales(np.array([real]), np.array([-most]), np.array([most]), 0, -128, 127) is None


def test_a_sum_that_never_comes_does_not_matter() -> None:
    """A multiplier of 1/4 and a little more has 32 bits, but few sums need all of them."""
    real = np.array([0.2499999999])
    assert floor_scales(real, np.array([0]), np.array([40]), 0, -128, 127) is not None
