"""The requantisation with two roundings against NumPy: sums are the biases of a convolution of zero weights."""

from __future__ import annotations

import numpy as np
import pytest
import tern_c
from numpy_kernels import Requantization, Window
from tern_c import Conv2dParams, Shape, make


def requantized(
    sums: np.ndarray, multiplier: np.ndarray, shift: np.ndarray, zero_point: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """What the C and what NumPy make of sums."""
    spec = Requantization(sums, multiplier, shift, zero_point)
    params = make(
        Conv2dParams,
        input=Shape(1, 1, 1),
        output=Shape(1, 1, len(sums)),
        window=tern_c.window(Window((1, 1))),
        kernel_channels=1,
        input_zero_point=0,
        weights=tern_c.weights("int8", np.zeros((len(sums), 1))),
        requantization=tern_c.requantization(spec),
    )
    output = tern_c.call("tern_conv2d_int8_ref", params, np.zeros(1), output=sums.shape)
    return output, spec(np.zeros(len(sums), np.int64))


@pytest.mark.parametrize("zero_point", [-128, 0, 127])
def test_random(zero_point: int) -> None:
    rng = np.random.default_rng(zero_point + 128)
    multiplier, shift = rng.integers(0, 2**31, 50_000), rng.integers(-31, 31, 50_000)
    real = np.maximum(multiplier, 1) * 2.0 ** (shift - 31)
    sums = np.clip(rng.uniform(-300, 300, real.size) / real, -(2**31), 2**31 - 1).astype(np.int64)
    output, expected = requantized(sums, multiplier, shift, zero_point)
    np.testing.assert_array_equal(output, expected)
    assert len(np.unique(output)) > 200


def test_extremes() -> None:
    grid = np.meshgrid(
        [-(2**31), -(2**31) + 1, -(2**30), -3, -2, -1, 0, 1, 2, 3, 2**30, 2**31 - 1],
        [0, 1, 2**30 - 1, 2**30, 2**30 + 1, 2**31 - 1],
        range(-31, 31),
    )
    np.testing.assert_array_equal(*requantized(grid[0].ravel(), grid[1].ravel(), grid[2].ravel()))


def test_it_rounds_twice() -> None:
    """1535 / 1024 is below one and a half: rounded to 768 / 512 first, it becomes two."""
    output, _ = requantized(np.array([1535, -1535]), np.full(2, 2**30), np.full(2, -9))
    assert output.tolist() == [2, -1]
