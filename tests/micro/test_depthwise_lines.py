"""The fast depthwise convolution against NumPy, in its own build for this machine and in the worst of cases."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import tern_c
from cases import random_int8, random_weights, random_window, same_window, valid_window
from numpy_kernels import Requantization, Window, depthwise_conv2d
from tern_c import DepthwiseConv2dLinesParams, DepthwiseConv2dParams, Shape, make

from tflite_export.lowering.depthwise_lines import fits_in_place, lines_of, scratch_bytes


def lines_params(
    image: np.ndarray, weights: np.ndarray, window: Window, zero_point: int, spec: Requantization, *lines: int
) -> Any:
    bias = np.zeros(image.shape[2], int) if spec.bias is None else spec.bias
    by_channel = weights.transpose(2, 1, 0) if lines[0] else weights.transpose(2, 0, 1)
    return make(
        DepthwiseConv2dLinesParams,
        Shape(*image.shape),
        Shape(*window.output, image.shape[2]),
        tern_c.window(window),
        zero_point,
        *lines,
        tern_c.pointer(by_channel, np.int8),
        tern_c.pointer(2 * (bias - zero_point * weights.sum((0, 1), dtype=int)), np.int32),
        tern_c.pointer(spec.multiplier, np.int32),
        tern_c.pointer(spec.shift, np.int8),
        spec.zero_point,
        spec.minimum,
        spec.maximum,
    )


def as_fields(params: Any) -> dict[str, dict[str, int]]:
    return {
        name: {key: getattr(getattr(params, name), key) for key, _ in getattr(params, name)._fields_}
        for name in ("input", "output", "window")
    }


def check_scratch(params: Any, along_height: bool, band: int) -> None:
    """The exporter computes what the kernel says."""
    expected = tern_c.scratch_bytes("tern_depthwise_conv2d_lines", params)
    assert scratch_bytes(as_fields(params), along_height, band) == expected


def check(image: np.ndarray, weights: np.ndarray, window: Window, zero_point: int, spec: Requantization) -> None:
    """Weights: (kernel height, kernel width, channels). By rows and by columns, and in place where that is possible."""
    shape = (*window.output, image.shape[2])
    expected = depthwise_conv2d(image, weights, window, zero_point, spec)
    for along_height, band in ((0, 1), (0, 3), (1, 2), (1, 100)):
        params = lines_params(image, weights, window, zero_point, spec, along_height, band)
        check_scratch(params, bool(along_height), band)
        output = tern_c.call("tern_depthwise_conv2d_lines", params, image, output=shape)
        np.testing.assert_array_equal(output, expected)
        if fits_in_place(image.shape[:2], window.output, tern_c.window(window), bool(along_height)):
            check_in_place("tern_depthwise_conv2d_lines", params, image, expected)


def check_in_place(name: str, params: Any, image: np.ndarray, expected: np.ndarray) -> None:
    place = np.ascontiguousarray(image, np.int8).ravel().copy()
    scratch = np.zeros(tern_c.scratch_bytes(name, params) or 0, np.int8)
    assert tern_c.status_of(name, params, place, place, scratch) == tern_c.OK
    np.testing.assert_array_equal(place[: expected.size], expected.ravel())
    np.testing.assert_array_equal(place[expected.size :], image.ravel()[expected.size :])


def check_packed(rng: np.random.Generator, kind: str, image: np.ndarray, window: Window, spec: Requantization) -> None:
    """Weights of 1.6 bits or one bit, any levels, and the exporter's scratch for them."""
    channels, taps = image.shape[2], int(np.prod(window.kernel))
    weights = random_weights(rng, kind, taps, channels, channel_axis=1)
    while weights.params.residual_planes:
        weights = random_weights(rng, kind, taps, channels, channel_axis=1)
    zero_point = int(rng.integers(-128, 128))
    params = make(
        DepthwiseConv2dParams,
        Shape(*image.shape),
        Shape(*window.output, channels),
        tern_c.window(window),
        zero_point,
        weights.params,
        tern_c.requantization(spec),
    )
    expected = depthwise_conv2d(image, weights.values.reshape(*window.kernel, channels), window, zero_point, spec)
    name = f"tern_depthwise_conv2d_{kind}_lines"
    np.testing.assert_array_equal(tern_c.call(name, params, image, output=expected.shape), expected)
    along_height, band = lines_of(as_fields(params))
    lines = scratch_bytes(as_fields(params), along_height, band)
    assert tern_c.scratch_bytes(name, params) == 16 + 4 * taps + lines
    if fits_in_place(image.shape[:2], window.output, tern_c.window(window), along_height):
        check_in_place(name, params, image, expected)


def random_requantization(rng: np.random.Generator, channels: int) -> Requantization:
    minimum, maximum = sorted(rng.integers(-128, 128, 2).tolist()) if rng.random() < 0.2 else (-128, 127)
    return Requantization(
        rng.integers(-(2**14), 2**14, channels),
        rng.integers(2**30, 2**31, channels),
        rng.integers(-25 if rng.random() < 0.2 else -14, -5, channels),
        int(rng.integers(-128, 128)),
        minimum,
        maximum,
    )


@pytest.mark.parametrize("seed", range(300))
def test_any_geometry(seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = random_int8(rng, *rng.integers(1, 20, 2), int(rng.choice([1, 2, 3, 4, 5, 8, 9])))
    window = random_window(rng, image.shape[:2])
    weights = random_int8(rng, *window.kernel, image.shape[2])
    check(image, weights, window, int(rng.integers(-128, 128)), random_requantization(rng, image.shape[2]))


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("windowed", [same_window, valid_window])
def test_usual_layers(windowed: Any, stride: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    kernel = tuple(rng.choice([1, 2, 3, 3, 4, 5, 6, 7, 9], 2).tolist())
    image = random_int8(rng, *(rng.integers(9, 25, 2)), int(rng.choice([3, 4, 8])))
    window = windowed(image.shape[:2], kernel, (stride, stride))
    weights = random_int8(rng, *kernel, image.shape[2])
    check(image, weights, window, int(rng.integers(-128, 128)), random_requantization(rng, image.shape[2]))


@pytest.mark.parametrize("w", [-128, 127])
@pytest.mark.parametrize("x", [-128, 127])
@pytest.mark.parametrize("shift", [-5, -17, -31])
def test_every_input_and_every_weight_extreme(x: int, w: int, shift: int) -> None:
    image = np.full((31, 33, 4), x)
    spec = Requantization(np.array([3, -5, 0, 99]), np.array([2**30, 2**31 - 1, 0, 1]), np.full(4, shift))
    check(image, np.full((31, 31, 4), w), same_window((31, 33), (31, 31)), -1 - x, spec)


@pytest.mark.parametrize("offset", range(4))
def test_an_input_that_starts_anywhere(offset: int) -> None:
    """A caller's input may lie on any address."""
    rng = np.random.default_rng(offset)
    image: Any = random_int8(rng, 6 * 6 * 8 + 4)[offset : offset + 6 * 6 * 8].reshape(6, 6, 8)
    check(image, random_int8(rng, 3, 3, 8), same_window((6, 6), (3, 3)), 0, random_requantization(rng, 8))


@pytest.mark.parametrize("seed", range(150))
@pytest.mark.parametrize("kind", ["base3", "binary"])
def test_packed_weights(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = random_int8(rng, *rng.integers(1, 26, 2), int(rng.choice([1, 2, 3, 4, 5, 8, 9, 13, 21])))
    spec = random_requantization(rng, image.shape[2])
    if seed % 5 == 0:
        spec = dataclasses.replace(spec, bias=None)
    check_packed(rng, kind, image, random_window(rng, image.shape[:2]), spec)


@pytest.mark.parametrize("byte", range(256))
def test_every_byte_of_base_3_is_what_the_slow_kernel_takes_it_for(byte: int) -> None:
    """Those above 242 too, which nobody writes."""
    rng = np.random.default_rng(byte)
    image = random_int8(rng, 3, 3, 5)
    data = np.full(9, byte, np.uint8)
    params = make(
        DepthwiseConv2dParams,
        Shape(3, 3, 5),
        Shape(3, 3, 5),
        tern_c.window(same_window((3, 3), (3, 3))),
        3,
        make(
            tern_c.Weights,
            tern_c.pointer(data, np.uint8),
            *(tern_c.pointer(x, np.int8) for x in ([9] * 5, [-8] * 5)),
            0,
        ),
        tern_c.requantization(random_requantization(rng, 5)),
    )
    slow, fast = (
        tern_c.call(f"tern_depthwise_conv2d_base3_{kind}", params, image, output=(3, 3, 5)) for kind in ("ref", "lines")
    )
    np.testing.assert_array_equal(fast, slow)
