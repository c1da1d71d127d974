"""Copies, padding, picking and transposed convolutions against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import tern_c
from cases import random_int8, random_requantization, random_weights
from numpy_kernels import Window
from tern_c import (
    FORMATS,
    CopyParams,
    PadParams,
    PickParams,
    ResizeBilinearParams,
    Shape,
    Six,
    TransposeConv2dParams,
    dimensions,
    make,
)


def copy(x: np.ndarray, view: np.ndarray, order: list[int]) -> np.ndarray:
    """What the kernel copies of a view of x: its dimension i becomes dimension order[i] of the output."""
    first = (view.__array_interface__["data"][0] - x.__array_interface__["data"][0]) // x.itemsize
    shape = [view.shape[order.index(i)] for i in range(view.ndim)]
    steps = [int(np.prod(shape[i + 1 :])) for i in range(view.ndim)]
    ones = [1] * (6 - view.ndim)
    params = make(
        CopyParams,
        x.itemsize,
        Six(*ones, *view.shape),
        Six(*[0] * len(ones), *(stride // x.itemsize for stride in view.strides)),
        Six(*[0] * len(ones), *(steps[i] for i in order)),
        first,
        0,
    )
    size = int(np.prod(shape)) * x.itemsize
    return tern_c.call("tern_copy_ref", params, x.view(np.int8).ravel(), output=(size,)).view(x.dtype).reshape(shape)


@pytest.mark.parametrize("dtype", ["int8", "int16", "float32", "int64"])
@pytest.mark.parametrize("seed", range(20))
def test_copy_of_any_view(seed: int, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    rank = int(rng.integers(1, 7))
    x = rng.integers(-100, 100, rng.integers(1, 6, rank)).astype(dtype)
    steps = rng.choice([-2, -1, 1, 2], rank)
    starts = [int(rng.integers(0, n)) for n in x.shape]
    view = x[tuple(slice(start, None, step) for start, step in zip(starts, steps, strict=True))]
    order = rng.permutation(rank).tolist()
    np.testing.assert_array_equal(copy(x, view, order), view.transpose(np.argsort(order)))


def test_copy_repeats_where_the_stride_is_0() -> None:
    x = np.arange(6, dtype=np.int8).reshape(2, 1, 3)
    view = np.broadcast_to(x, (2, 4, 3))
    np.testing.assert_array_equal(copy(x, view, [0, 1, 2]), view)


@pytest.mark.parametrize("seed", range(20))
def test_pad(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = random_int8(rng, *rng.integers(1, 5, 4))
    pads = rng.integers(0, 3, (4, 2))
    value = int(rng.integers(-128, 128))
    shape = tuple((pads.sum(1) + x.shape).tolist())
    params = make(PadParams, dimensions(*x.shape), dimensions(*shape), dimensions(*pads[:, 0].tolist()), value)
    padded = tern_c.call("tern_pad_ref", params, x, output=shape)
    np.testing.assert_array_equal(padded, np.pad(x, pads, constant_values=value))


@pytest.mark.parametrize("seed", range(10))
def test_pick(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = random_int8(rng, *rng.integers(1, 6, 3))
    rows, columns = (rng.integers(0, n, rng.integers(1, 9)) for n in x.shape[:2])
    pointers = [tern_c.pointer(numbers, np.int32) for numbers in (rows, columns)]
    params = make(PickParams, Shape(*x.shape), len(rows), len(columns), *pointers)
    shape = (len(rows), len(columns), x.shape[2])
    np.testing.assert_array_equal(tern_c.call("tern_pick_ref", params, x, output=shape), x[rows][:, columns])


@pytest.mark.parametrize("seed", range(20))
def test_resize_bilinear(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = random_int8(rng, *rng.integers(1, 6, 3))
    # half of them on a grid of quarters, where sums are often halves
    step = (1, 256)[seed % 2]
    rows, columns = (rng.integers(0, 1024 // step * (n - 1) + 1, rng.integers(1, 9)) * step for n in x.shape[:2])
    pointers = [tern_c.pointer(positions, np.int32) for positions in (rows, columns)]
    params = make(ResizeBilinearParams, Shape(*x.shape), len(rows), len(columns), *pointers)
    resized = tern_c.call("tern_resize_bilinear_ref", params, x, output=(len(rows), len(columns), x.shape[2]))
    # how much each position takes of each pixel, as a triangle around it
    down, along = (
        np.maximum(1024 - np.abs(positions[:, None] - 1024 * np.arange(n)), 0)
        for positions, n in ((rows, x.shape[0]), (columns, x.shape[1]))
    )
    sums = np.einsum("yi,xj,ijc->yxc", down, along, x.astype(np.int64))
    np.testing.assert_array_equal(resized, np.sign(sums) * ((np.abs(sums) + 2**19) >> 20))


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("kind", FORMATS)
def test_transpose_conv2d(kind: str, seed: int) -> None:
    """Scattered here, as TFLite does it; the kernel gathers."""
    rng = np.random.default_rng(seed)
    image = random_int8(rng, *rng.integers(1, 6, 3))
    outputs, zero_point = int(rng.integers(1, 5)), int(rng.integers(-128, 128))
    kernel, stride, pad = (tuple(rng.integers(low, high, 2).tolist()) for low, high in ((1, 5), (1, 4), (0, 4)))
    size = tuple(rng.integers(1, 12, 2).tolist())
    weights = random_weights(rng, kind, outputs, kernel[0] * kernel[1] * image.shape[2])
    spec = random_requantization(rng, outputs)
    kernels = weights.values.reshape(outputs, *kernel, image.shape[2]).astype(np.int64)
    sums = np.zeros((*size, outputs), np.int64)
    for (y, x), pixel in zip(np.ndindex(*image.shape[:2]), image.reshape(-1, image.shape[2]), strict=True):
        for ky, kx in np.ndindex(*kernel):
            row, column = y * stride[0] - pad[0] + ky, x * stride[1] - pad[1] + kx
            if 0 <= row < size[0] and 0 <= column < size[1]:
                sums[row, column] += kernels[:, ky, kx] @ (pixel.astype(np.int64) - zero_point)
    params = make(
        TransposeConv2dParams,
        Shape(*image.shape),
        Shape(*size, outputs),
        tern_c.window(Window(kernel, stride, (1, 1), pad)),
        zero_point,
        weights.params,
        tern_c.requantization(spec),
    )
    output = tern_c.call(f"tern_transpose_conv2d_{kind}_ref", params, image, output=(*size, outputs))
    np.testing.assert_array_equal(output, spec(sums))
