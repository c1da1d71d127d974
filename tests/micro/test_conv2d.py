"""Convolutions in all formats against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import tern_c
from cases import random_int8, random_requantization, random_weights, random_window, same_window, valid_window
from numpy_kernels import Requantization, Window, conv2d, depthwise_conv2d
from tern_c import FORMATS, Conv2dParams, DepthwiseConv2dParams, Shape, make


def check_conv2d(
    rng: np.random.Generator,
    kind: str,
    image: np.ndarray,
    outputs: int,
    window: Window,
    requantization: Requantization,
    groups: int = 1,
) -> None:
    depth = image.shape[2] // groups
    weights = random_weights(rng, kind, outputs, window.kernel[0] * window.kernel[1] * depth)
    zero_point = int(rng.integers(-128, 128))
    params = make(
        Conv2dParams,
        input=Shape(*image.shape),
        output=Shape(*window.output, outputs),
        window=tern_c.window(window),
        kernel_channels=depth,
        input_zero_point=zero_point,
        weights=weights.params,
        requantization=tern_c.requantization(requantization),
    )
    kernels = weights.values.reshape(outputs, *window.kernel, depth)
    expected = conv2d(image, kernels, window, zero_point, requantization)
    names = [f"tern_conv2d_{kind}_ref", *(["tern_conv2d_base3_expanded"] if kind == "base3" else [])]
    # TFLite's accumulators may be as large as their outputs, and larger than those of the fast kernels
    largest = 128 * np.abs(weights.values).sum() + np.abs(zero_point * weights.values.sum()) + 2**20
    small = largest < 2**30 and (requantization.bias is None or (np.abs(requantization.bias) < 2**20).all())
    if kind in ("base3", "binary") and groups == 1 and weights.params.residual_planes == 0 and small:
        names.append(f"tern_conv2d_{kind}_gaps")
    for kernel in names:
        output = tern_c.call(kernel, params, image, output=(*window.output, outputs))
        np.testing.assert_array_equal(output, expected)


def check_depthwise(
    rng: np.random.Generator,
    kind: str,
    image: np.ndarray,
    multiplier: int,
    window: Window,
    requantization: Requantization,
) -> None:
    outputs = image.shape[2] * multiplier
    weights = random_weights(rng, kind, window.kernel[0] * window.kernel[1], outputs, channel_axis=1)
    zero_point = int(rng.integers(-128, 128))
    params = make(
        DepthwiseConv2dParams,
        input=Shape(*image.shape),
        output=Shape(*window.output, outputs),
        window=tern_c.window(window),
        input_zero_point=zero_point,
        weights=weights.params,
        requantization=tern_c.requantization(requantization),
    )
    output = tern_c.call(f"tern_depthwise_conv2d_{kind}_ref", params, image, output=(*window.output, outputs))
    kernels = weights.values.reshape(*window.kernel, outputs)
    np.testing.assert_array_equal(output, depthwise_conv2d(image, kernels, window, zero_point, requantization))


@pytest.mark.parametrize("seed", range(80))
@pytest.mark.parametrize("kind", FORMATS)
def test_conv2d_of_any_geometry(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = int(rng.choice([1, 1, 2, 3]))
    image = random_int8(rng, *rng.integers(1, 9, 2), groups * rng.integers(1, 8))
    outputs = groups * int(rng.integers(1, 7))
    window = random_window(rng, image.shape[:2])
    check_conv2d(rng, kind, image, outputs, window, random_requantization(rng, outputs), groups)


@pytest.mark.parametrize("seed", range(80))
@pytest.mark.parametrize("kind", FORMATS)
def test_depthwise_of_any_geometry(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = random_int8(rng, *rng.integers(1, 9, 2), rng.integers(1, 8))
    multiplier = int(rng.integers(1, 4))
    window = random_window(rng, image.shape[:2])
    check_depthwise(rng, kind, image, multiplier, window, random_requantization(rng, image.shape[2] * multiplier))


@pytest.mark.parametrize("check", [check_conv2d, check_depthwise])
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    "window",
    [
        same_window((2, 3), (5, 7)),
        same_window((3, 2), (3, 3), (2, 2), (4, 5)),
        Window((2, 2), (3, 3), (1, 1), (1, 1), (3, 3)),
        Window((2, 1), (1, 1), (9, 1), (4, 0), (1, 2)),
        Window((1, 1), (5, 5), (1, 1), (0, 0), (2, 2)),
    ],
    ids=[
        "kernel larger than input",
        "taps that skip the input",
        "outputs beyond it",
        "no tap inside",
        "stride beyond it",
    ],
)
def test_windows_off_the_input(check: Callable[..., None], kind: str, window: Window) -> None:
    rng = np.random.default_rng(5)
    image = random_int8(rng, 3, 3, 1)
    check(rng, kind, image, 2, window, random_requantization(rng, 2))


@pytest.mark.parametrize("columns", range(1, 18))
@pytest.mark.parametrize("kind", FORMATS)
def test_rows_that_end_within_a_byte(kind: str, columns: int) -> None:
    rng = np.random.default_rng(columns)
    image = random_int8(rng, 1, 1, columns)
    check_conv2d(rng, kind, image, 5, Window((1, 1)), random_requantization(rng, 5))
    check_depthwise(rng, kind, image, 1, Window((1, 1)), random_requantization(rng, columns))


@pytest.mark.parametrize("x", [-128, 127])
@pytest.mark.parametrize("level", [-128, 127])
@pytest.mark.parametrize("kind", FORMATS)
def test_largest_sums(kind: str, level: int, x: int) -> None:
    """65,536 products of the largest magnitude: the most that TFLite promises to hold, far beyond 16 bits."""
    window = Window((16, 16))
    codes = np.full((1, 65536), level if kind == "int8" else 1)
    weights = tern_c.weights(kind, codes, np.array([level]), np.array([level]))
    zero_point = 127 if x < 0 else -128
    requantization = Requantization(None, np.array([2**30]), np.array([-23]))
    params = make(
        Conv2dParams,
        input=Shape(16, 16, 256),
        output=Shape(1, 1, 1),
        window=tern_c.window(window),
        kernel_channels=256,
        input_zero_point=zero_point,
        weights=weights,
        requantization=tern_c.requantization(requantization),
    )
    image = np.full((16, 16, 256), x)
    output = tern_c.call(f"tern_conv2d_{kind}_ref", params, image, output=(1, 1, 1))
    exact = 65536 * level * (x - zero_point)
    assert abs(exact) > 2**30
    assert output.item() == requantization(np.array([exact])).item()


def test_sums_wrap_as_int32_do() -> None:
    """Not a use, but defined: where TFLite's accumulator overflows, so does this one, to the same bits."""
    rng = np.random.default_rng(0)
    requantization = Requantization(np.full(2, 2**31 - 1), np.full(2, 2**30), np.full(2, -24))
    check_conv2d(rng, "int8", random_int8(rng, 3, 3, 4), 2, same_window((3, 3), (3, 3)), requantization)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_valid_padding_with_groups(groups: int) -> None:
    rng = np.random.default_rng(groups)
    image = random_int8(rng, 7, 6, 8)
    window = valid_window((7, 6), (3, 2), (2, 1), (2, 2))
    requantization = replace(random_requantization(rng, 12), minimum=-128, maximum=127)
    check_conv2d(rng, "ternary", image, 12, window, requantization, groups)
