"""The fast int8 convolution against NumPy, in its own build for this machine and in the worst of cases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tern_c
from cases import random_int8, random_window, same_window
from numpy_kernels import Requantization, Window, conv2d
from tern_c import Conv2dColumnsParams, Shape, make


def check(
    image: np.ndarray, weights: np.ndarray, window: Window, zero_point: int, requantization: Requantization
) -> None:
    """Weights: (outputs, kernel height, kernel width, channels)."""
    outputs = len(weights)
    rows = weights.reshape(outputs, -1).astype(np.int8)
    bias = np.zeros(outputs, int) if requantization.bias is None else requantization.bias
    params = make(
        Conv2dColumnsParams,
        Shape(*image.shape),
        Shape(*window.output, outputs),
        tern_c.window(window),
        zero_point,
        tern_c.pointer(np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4))).view(np.uint32), np.uint32),
        tern_c.pointer(2 * (bias - zero_point * rows.sum(1, dtype=int)), np.int32),
        tern_c.pointer(requantization.multiplier, np.int32),
        tern_c.pointer(requantization.shift, np.int8),
        requantization.zero_point,
        requantization.minimum,
        requantization.maximum,
    )
    output = tern_c.call("tern_conv2d_columns", params, image, output=(*window.output, outputs))
    np.testing.assert_array_equal(output, conv2d(image, weights, window, zero_point, requantization))


def random_requantization(rng: np.random.Generator, outputs: int) -> Requantization:
    minimum, maximum = sorted(rng.integers(-128, 128, 2).tolist()) if rng.random() < 0.3 else (-128, 127)
    return Requantization(
        rng.integers(-(2**14), 2**14, outputs),
        rng.integers(2**30, 2**31, outputs),
        rng.integers(-25 if rng.random() < 0.2 else -14, -5, outputs),
        int(rng.integers(-128, 128)),
        minimum,
        maximum,
    )


@pytest.mark.parametrize("seed", range(150))
def test_any_geometry(seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = random_int8(rng, *rng.integers(1, 12, 2), int(rng.choice([1, 2, 3, 4, 5, 8, 16])))
    outputs = int(rng.integers(1, 6))
    window = random_window(rng, image.shape[:2])
    weights = random_int8(rng, outputs, *window.kernel, image.shape[2])
    check(image, weights, window, int(rng.integers(-128, 128)), random_requantization(rng, outputs))


@pytest.mark.parametrize("w", [-128, 127])
@pytest.mark.parametrize("x", [-128, 127])
def test_every_input_and_every_weight_extreme(x: int, w: int) -> None:
    image = np.full((1, 5, 2000), x)
    requantization = Requantization(np.array([3, -5]), np.array([2**30, 2**31 - 1]), np.array([-17, -20]))
    check(image, np.full((2, 1, 1, 2000), w), Window((1, 1), output=(1, 5)), -1 - x, requantization)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9])
def test_positions_that_do_not_fill_a_block(count: int) -> None:
    rng = np.random.default_rng(count)
    window = same_window((1, count), (1, 3))
    check(random_int8(rng, 1, count, 3), random_int8(rng, 3, 1, 3, 3), window, 7, random_requantization(rng, 3))


@pytest.mark.parametrize("offset", range(4))
def test_an_input_that_starts_anywhere(offset: int) -> None:
    """A caller's input may lie on any address."""
    rng = np.random.default_rng(offset)
    image: Any = random_int8(rng, 6 * 6 * 8 + 4)[offset : offset + 6 * 6 * 8].reshape(6, 6, 8)
    check(image, random_int8(rng, 3, 3, 3, 8), same_window((6, 6), (3, 3)), 0, random_requantization(rng, 3))
