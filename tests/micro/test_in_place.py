"""Kernels whose output lies in an input's place, where their headers allow it."""

from __future__ import annotations

from ctypes import Structure

import numpy as np
import pytest
import tern_c
from cases import random_int8, random_requantization, random_weights, random_window
from numpy_kernels import Window, add_scales, mean_multiplier, quantize_multiplier, softmax_scale
from tern_c import (
    FORMATS,
    AddParams,
    DepthwiseConv2dParams,
    DepthwiseVectorsParams,
    MeanParams,
    Pair,
    Pool2dParams,
    Shape,
    SoftmaxParams,
    dimensions,
    make,
)

from tflite_export.lowering.depthwise_vectors import fits_in_place
from tflite_export.vector_packing import halves, pack_taps

SEEDS = range(40)


def check_in_place(name: str, params: Structure, *inputs: np.ndarray, place: int, output: tuple[int, ...]) -> None:
    """The output in the place of input `place` is the output elsewhere; what is behind it stays as it was."""
    expected = tern_c.call(name, params, *inputs, output=output).ravel()
    buffers = [np.ascontiguousarray(x).ravel().copy() for x in inputs]
    assert tern_c.status_of(name, params, *buffers, buffers[place]) == tern_c.OK
    np.testing.assert_array_equal(buffers[place][: expected.size], expected)
    np.testing.assert_array_equal(buffers[place][expected.size :], inputs[place].ravel()[expected.size :])


def unpadded_window(rng: np.random.Generator, size: tuple[int, int], dilated: bool) -> Window:
    """No padding before the input; windows may reach beyond its end."""
    drawn = random_window(rng, size, dilated)
    output = tuple(int(rng.integers(1, (n - 1) // stride + 2)) for n, stride in zip(size, drawn.stride, strict=True))
    return Window(drawn.kernel, drawn.stride, drawn.dilation, (0, 0), output)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kernel", ["ref", "words"])
@pytest.mark.parametrize("name", ["max", "average"])
def test_pool(name: str, kernel: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = random_int8(rng, *rng.integers(1, 9, 2), rng.integers(4, 22))
    window = unpadded_window(rng, image.shape[:2], dilated=False)
    shape = (*window.output, image.shape[2])
    params = make(
        Pool2dParams,
        input=Shape(*image.shape),
        output=Shape(*shape),
        window=tern_c.window(window),
        minimum=-100,
        maximum=100,
    )
    check_in_place(f"tern_{name}_pool2d_{kernel}", params, image, place=0, output=shape)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", FORMATS)
def test_depthwise(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = random_int8(rng, *rng.integers(1, 9, 2), rng.integers(1, 8))
    window = unpadded_window(rng, image.shape[:2], dilated=True)
    shape = (*window.output, image.shape[2])
    params = make(
        DepthwiseConv2dParams,
        input=Shape(*image.shape),
        output=Shape(*shape),
        window=tern_c.window(window),
        input_zero_point=int(rng.integers(-128, 128)),
        weights=random_weights(rng, kind, window.kernel[0] * window.kernel[1], shape[2], channel_axis=1).params,
        requantization=tern_c.requantization(random_requantization(rng, shape[2])),
    )
    check_in_place(f"tern_depthwise_conv2d_{kind}_ref", params, image, place=0, output=shape)


@pytest.mark.parametrize("seed", range(120))
def test_depthwise_vectors(seed: int) -> None:
    """With any padding, where the exporter says so."""
    rng = np.random.default_rng(seed)
    image = random_int8(rng, *rng.integers(1, 12, 2), int(rng.choice([3, 16, 20])))
    window = random_window(rng, image.shape[:2], bool(seed % 2))
    shape = (*window.output, image.shape[2])
    fields = {
        "input": dict(zip(("height", "width"), image.shape[:2], strict=True)),
        "output": dict(zip(("height", "width"), window.output, strict=True)),
        "window": {name: getattr(tern_c.window(window), name) for name, _ in tern_c.WindowParams._fields_},
    }
    if not fits_in_place(fields):
        return
    channels = shape[2]
    taps = random_int8(rng, window.kernel[0] * window.kernel[1], channels)
    params = make(
        DepthwiseVectorsParams,
        Shape(*image.shape),
        Shape(*shape),
        tern_c.window(window),
        int(rng.integers(-128, 128)),
        tern_c.pointer(pack_taps(*halves(taps)), np.int8),
        None,
        tern_c.pointer(rng.integers(-1000, 1000, 32), np.int32),
        tern_c.pointer(rng.integers(2**30, 2**31, 32), np.int32),
        tern_c.pointer(np.full(32, -8), np.int8),
        0,
        -128,
        127,
    )
    name = "tern_depthwise_conv2d_vectors"
    expected = tern_c.call(name, params, image, output=shape).ravel()
    place = image.ravel().copy()
    scratch = np.zeros(tern_c.scratch_bytes(name, params), np.int8)
    assert tern_c.status_of(name, params, place, place, scratch) == tern_c.OK
    np.testing.assert_array_equal(place[: expected.size], expected)
    np.testing.assert_array_equal(place[expected.size :], image.ravel()[expected.size :])


def test_depthwise_vectors_in_place_of_a_padded_input() -> None:
    size = {"height": 9, "width": 7}
    window = {"height": 3, "width": 3, "stride_height": 1, "dilation_height": 1, "pad_top": 1, "pad_left": 1}
    assert fits_in_place({"input": size, "output": size, "window": window})
    assert not fits_in_place({"input": size, "output": size, "window": {**window, "pad_top": 3}})
    assert not fits_in_place({"input": size, "output": size, "window": {**window, "dilation_height": 2}})
    assert not fits_in_place({"input": size, "output": {**size, "width": 8}, "window": window})


@pytest.mark.parametrize("seed", SEEDS)
def test_mean(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 8, 4).tolist())
    reduced = (rng.random(4) < 0.5).tolist()
    count = int(np.prod([n for n, gone in zip(shape, reduced, strict=True) if gone]))
    multiplier, shift = mean_multiplier(*quantize_multiplier(2.0 ** rng.uniform(-3, 3)), count)
    params = make(
        MeanParams,
        shape=dimensions(*shape),
        reduced=(tern_c.c_uint8 * 4)(*reduced),
        input_zero_point=3,
        output_zero_point=-5,
        multiplier=multiplier,
        shift=shift,
    )
    output = tuple(1 if gone else n for n, gone in zip(shape, reduced, strict=True))
    check_in_place("tern_mean_ref", params, random_int8(rng, *shape), place=0, output=output)


@pytest.mark.parametrize("kernel", ["tern_add_ref", "tern_sub_ref", "tern_squared_difference_ref"])
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("place", [0, 1])
def test_add_and_its_like(place: int, seed: int, kernel: str) -> None:
    """The operand that is overwritten is whole, the other one may be broadcast."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 6, 4).tolist())
    shapes = [shape, shape]
    shapes[1 - place] = tuple(1 if rng.random() < 0.4 else n for n in shape)
    strides = [
        [0 if n == 1 else s for n, s in zip(each, np.empty(each, np.int8).strides, strict=True)] for each in shapes
    ]
    scales = add_scales(*2.0 ** rng.uniform(-6, 0, 3))
    params = make(
        AddParams,
        shape=dimensions(*shape),
        strides=(tern_c.Dimensions * 2)(*(tern_c.Dimensions(*each) for each in strides)),
        zero_point=Pair(-3, 7),
        multiplier=Pair(scales[0][0], scales[1][0]),
        shift=Pair(scales[0][1], scales[1][1]),
        left_shift=20,
        output_zero_point=11,
        output_multiplier=scales[2][0],
        output_shift=scales[2][1],
        minimum=-128,
        maximum=127,
    )
    check_in_place(kernel, params, *(random_int8(rng, *each) for each in shapes), place=place, output=shape)


@pytest.mark.parametrize("seed", SEEDS)
def test_softmax(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = random_int8(rng, rng.integers(1, 5), rng.integers(1, 60))
    params = SoftmaxParams(*x.shape, *softmax_scale(2.0 ** rng.uniform(-12, 4)))
    check_in_place("tern_softmax_ref", params, x, place=0, output=x.shape)
