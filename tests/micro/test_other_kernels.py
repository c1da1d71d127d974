"""Pools, mean, add and softmax against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import tern_c
from cases import random_int8, random_window, same_window
from numpy_kernels import (
    Window,
    add,
    add_scales,
    average_pool2d,
    max_pool2d,
    mean,
    mean_multiplier,
    quantize_multiplier,
    softmax,
    softmax_scale,
)
from tern_c import AddParams, MeanParams, MeanWordsParams, Pair, Pool2dParams, Shape, SoftmaxParams, dimensions, make

POOLS = {"max": max_pool2d, "average": average_pool2d}


def check_pool(name: str, image: np.ndarray, window: Window, minimum: int = -128, maximum: int = 127) -> None:
    params = make(
        Pool2dParams,
        input=Shape(*image.shape),
        output=Shape(*window.output, image.shape[2]),
        window=tern_c.window(window),
        minimum=minimum,
        maximum=maximum,
    )
    expected = POOLS[name](image, window, minimum, maximum)
    for kernel in ("ref", "words") if image.shape[2] >= 4 else ("ref",):
        output = tern_c.call(f"tern_{name}_pool2d_{kernel}", params, image, output=expected.shape)
        np.testing.assert_array_equal(output, expected)


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("name", POOLS)
def test_pool_of_any_geometry(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = random_int8(rng, *rng.integers(1, 9, 2), rng.integers(1, 22))
    limits = sorted(rng.integers(-128, 128, 2).tolist()) if seed % 3 == 0 else (-128, 127)
    check_pool(name, image, random_window(rng, image.shape[:2], dilated=False), *limits)


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("value", [-128, -1, 0, 1, 127])
def test_pool_of_one_value(name: str, value: int) -> None:
    check_pool(name, np.full((5, 4, 6), value, np.int8), same_window((5, 4), (3, 3), (2, 2)))


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 7, 9, 64, 181, 182, 255, 256])
def test_average_of_every_sum(width: int) -> None:
    """One window of every possible sum, each in a channel of its own."""
    sums = np.arange(-128 * width, 127 * width + 1)
    sums = np.pad(sums, (0, -sums.size % 4))
    places = np.arange(width)[:, None]
    image = (sums // width + (places < sums % width))[None].astype(np.int8)
    check_pool("average", image, Window((1, width), output=(1, 1)))


def test_average_rounds_halves_away_from_zero() -> None:
    image = np.array([[[3], [2]], [[-3], [-2]]], np.int8)
    window = Window((1, 2), output=(2, 1))
    params = make(
        Pool2dParams,
        input=Shape(2, 2, 1),
        output=Shape(2, 1, 1),
        window=tern_c.window(window),
        minimum=-128,
        maximum=127,
    )
    output = tern_c.call("tern_average_pool2d_ref", params, image, output=(2, 1, 1))
    assert output.ravel().tolist() == [3, -3]


@pytest.mark.parametrize("seed", range(80))
def test_mean_over_any_dimensions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 9, 4).tolist())
    axes = tuple(np.flatnonzero(rng.random(4) < 0.5).tolist())
    x = random_int8(rng, *shape)
    zero_points = tuple(rng.integers(-128, 128, 2).tolist())
    count = int(np.prod([shape[a] for a in axes]))
    multiplier, shift = mean_multiplier(*quantize_multiplier(2.0 ** rng.uniform(-3, 3)), count)
    params = make(
        MeanParams,
        shape=dimensions(*shape),
        reduced=(tern_c.c_uint8 * 4)(*(i in axes for i in range(4))),
        input_zero_point=zero_points[0],
        output_zero_point=zero_points[1],
        multiplier=multiplier,
        shift=shift,
    )
    expected = mean(x, axes, multiplier, shift, zero_points)
    np.testing.assert_array_equal(tern_c.call("tern_mean_ref", params, x, output=expected.shape), expected)


@pytest.mark.parametrize("seed", range(60))
def test_mean_by_words(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.choice([2, 3, 49, 64, 255, 256, 257, 600]))
    x = random_int8(rng, rng.integers(1, 4), count, rng.integers(4, 15))
    if seed % 5 == 0:
        x[:] = rng.choice([-128, 127])
    zero_points = tuple(rng.choice([-128, 127, 0, int(rng.integers(-128, 128))], 2).tolist())
    multiplier, shift = mean_multiplier(*quantize_multiplier(2.0 ** rng.uniform(-3, 0)), count)
    params = make(MeanWordsParams, *x.shape, *zero_points, multiplier, shift)
    expected = mean(x, (1,), multiplier, shift, zero_points)
    np.testing.assert_array_equal(tern_c.call("tern_mean_words", params, x, output=expected.shape), expected)
    flat = x.ravel().copy()
    assert tern_c.status_of("tern_mean_words", params, flat, flat) == tern_c.OK
    np.testing.assert_array_equal(flat[: expected.size], expected.ravel())


def broadcast_strides(shape: tuple[int, ...], output: tuple[int, ...]) -> list[int]:
    """Strides in elements, 0 where a dimension is repeated."""
    x = np.broadcast_to(np.empty(shape, np.int8), output)
    return [0] * (4 - x.ndim) + [0 if n == 1 else s for n, s in zip(x.shape, x.strides, strict=True)]


@pytest.mark.parametrize("seed", range(80))
def test_add_with_broadcasting(seed: int) -> None:
    rng = np.random.default_rng(seed)
    output = tuple(rng.integers(1, 6, rng.integers(1, 5)).tolist())
    shapes = [tuple(1 if rng.random() < 0.3 else n for n in output)[rng.integers(0, 2) :] for _ in range(2)]
    output = np.broadcast_shapes(*shapes)
    x = [random_int8(rng, *shape) for shape in shapes]
    zero_points = rng.integers(-128, 128, 3).tolist()
    scales = add_scales(*2.0 ** rng.uniform(-6, 0, 3))
    limits = sorted(rng.integers(-128, 128, 2).tolist()) if seed % 3 == 0 else (-128, 127)
    params = make(
        AddParams,
        shape=dimensions(*output),
        strides=(tern_c.Dimensions * 2)(*(tern_c.Dimensions(*broadcast_strides(s, output)) for s in shapes)),
        zero_point=Pair(*zero_points[:2]),
        multiplier=Pair(scales[0][0], scales[1][0]),
        shift=Pair(scales[0][1], scales[1][1]),
        left_shift=20,
        output_zero_point=zero_points[2],
        output_multiplier=scales[2][0],
        output_shift=scales[2][1],
        minimum=limits[0],
        maximum=limits[1],
    )
    expected = add(x, zero_points, scales, 20, *limits)
    np.testing.assert_array_equal(tern_c.call("tern_add_ref", params, *x, output=output), expected)


def run_softmax(x: np.ndarray, scale: tuple[int, int, int]) -> np.ndarray:
    return tern_c.call("tern_softmax_ref", SoftmaxParams(*x.shape, *scale), x, output=x.shape)


@pytest.mark.parametrize("seed", range(80))
def test_softmax(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = random_int8(rng, rng.integers(1, 5), rng.integers(1, 60))
    scale = softmax_scale(2.0 ** rng.uniform(-12, 4))
    np.testing.assert_array_equal(run_softmax(x, scale), softmax(x, *scale))


@pytest.mark.parametrize("input_scale", [1e-6, 1 / 256, 0.1, 0.17, 1.0, 31.9, 100.0])
def test_softmax_of_every_pair(input_scale: float) -> None:
    x = np.stack(np.meshgrid(np.arange(-128, 128), [-128, -3, 127]), -1).reshape(-1, 2).astype(np.int8)
    scale = softmax_scale(input_scale)
    np.testing.assert_array_equal(run_softmax(x, scale), softmax(x, *scale))


@pytest.mark.parametrize("depth", [256, 511, 512, 4095, 4096, 8191])
def test_softmax_of_many_equal_values(depth: int) -> None:
    """From 512 equal values on a probability is less than half a step of the output: TFLite aborts, this gives 0."""
    output = run_softmax(np.full((1, depth), 5, np.int8), softmax_scale(0.1))
    assert np.unique(output).tolist() == [-127 if depth < 512 else -128]
