"""The depthwise convolution for Helium against NumPy, in its own build for this machine and in the worst of cases."""

from __future__ import annotations

import numpy as np
import pytest
import tern_c
from cases import random_int8, random_window
from numpy_kernels import Requantization, Window, depthwise_conv2d
from tern_c import DepthwiseVectorsParams, Shape, make

from tflite_export.vector_packing import halves, in_level_order, in_tap_order, pack_taps


def check(
    image: np.ndarray,
    kernels: np.ndarray,
    window: Window,
    zero_point: int,
    requantization: Requantization,
    levels: np.ndarray | None = None,
) -> None:
    """Kernels: (height, width, channels), to be multiplied by levels."""
    channels = image.shape[2]
    taps = kernels.reshape(-1, channels)
    packed = pack_taps(*halves(taps)) if levels is None else pack_taps(taps)
    kernels = kernels if levels is None else kernels * levels.astype(int)
    bias = np.zeros(channels, int) if requantization.bias is None else requantization.bias
    params = make(
        DepthwiseVectorsParams,
        Shape(*image.shape),
        Shape(*window.output, channels),
        tern_c.window(window),
        zero_point,
        tern_c.pointer(packed, np.int8),
        None if levels is None else tern_c.pointer(in_level_order(levels), np.int8),
        tern_c.pointer(in_tap_order(bias - zero_point * kernels.sum((0, 1), dtype=int)), np.int32),
        tern_c.pointer(in_tap_order(requantization.multiplier), np.int32),
        tern_c.pointer(in_tap_order(requantization.shift, -1), np.int8),
        requantization.zero_point,
        requantization.minimum,
        requantization.maximum,
    )
    output = tern_c.call("tern_depthwise_conv2d_vectors", params, image, output=(*window.output, channels))
    np.testing.assert_array_equal(output, depthwise_conv2d(image, kernels, window, zero_point, requantization))


def random_requantization(rng: np.random.Generator, channels: int) -> Requantization:
    minimum, maximum = sorted(rng.integers(-128, 128, 2).tolist()) if rng.random() < 0.3 else (-128, 127)
    return Requantization(
        rng.integers(-(2**14), 2**14, channels),
        rng.integers(2**30, 2**31, channels),
        rng.integers(-31 if rng.random() < 0.2 else -14, 0, channels),
        int(rng.integers(-128, 128)),
        minimum,
        maximum,
    )


@pytest.mark.parametrize("seed", range(200))
def test_any_geometry(seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = random_int8(rng, *rng.integers(1, 12, 2), int(rng.choice([1, 2, 3, 15, 16, 17, 40])))
    window = random_window(rng, image.shape[:2])
    shape = (*window.kernel, image.shape[2])
    levels = None if seed % 2 else random_int8(rng, image.shape[2])
    kernels = random_int8(rng, *shape) if levels is None else rng.integers(-5, 6, shape)
    check(image, kernels, window, int(rng.integers(-128, 128)), random_requantization(rng, image.shape[2]), levels)


@pytest.mark.parametrize("w", [-128, -1, 7, 119, 120, 127])
@pytest.mark.parametrize("x", [-128, 127])
def test_every_input_and_every_weight_extreme(x: int, w: int) -> None:
    """Sums of 31 taps fill 16 bits."""
    image = np.full((1, 33, 17), x)
    check(
        image,
        np.full((1, 31, 17), w),
        Window((1, 31), output=(1, 3)),
        -1 - x,
        Requantization(np.arange(17), np.full(17, 2**30), np.full(17, -13)),
    )


@pytest.mark.parametrize("level", [-128, 127])
@pytest.mark.parametrize("x", [-128, 127])
def test_levels_with_every_input_and_every_weight_extreme(x: int, level: int) -> None:
    """255 steps of -128 or 127 fill 16 bits."""
    kernels = np.stack([np.full((1, 3, 9), 85), np.full((1, 3, 9), -85)], axis=-1).reshape(1, 3, 18)
    check(
        np.full((2, 5, 18), x),
        kernels,
        Window((1, 3), output=(2, 3)),
        -1 - x,
        Requantization(np.arange(18), np.full(18, 2**30), np.full(18, -15)),
        np.full(18, level),
    )
