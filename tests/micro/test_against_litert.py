"""The C equals LiteRT's reference kernels on models of one operator, and so do the formulas of its parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tern_c
from cases import same_window, valid_window
from numpy_kernels import (
    Float64Requantization,
    Requantization,
    Window,
    add_scales,
    mean_multiplier,
    quantize_multiplier,
    softmax_scale,
)
from tern_c import (
    AddParams,
    Conv2dParams,
    DepthwiseConv2dParams,
    FullyConnectedParams,
    MeanParams,
    Pair,
    Pool2dParams,
    Shape,
    SoftmaxParams,
    dimensions,
    make,
)
from test_other_kernels import broadcast_strides
from tflite_builder import OpSpec, TensorSpec, build_model, run_reference

ACTIVATIONS = (None, "RELU", "RELU6", "RELU_N1_TO_1")


def float32(value: float) -> float:
    """A scale as the file holds it: arithmetic on scales starts from there, in float64."""
    return float(np.float32(value))


def random_scale(rng: np.random.Generator, low: float, high: float) -> float:
    return float32(2.0 ** rng.uniform(low, high))


def random_int8(rng: np.random.Generator, *shape: Any) -> np.ndarray:
    return rng.integers(-128, 128, shape).astype(np.int8)


def clamp_of(activation: str | None, scale: float, zero_point: int) -> tuple[int, int]:
    """The clamp of a fused activation: a bound / scale is rounded in float32, halves away from zero."""

    def quantized(bound: float) -> int:
        ratio = np.float32(bound) / np.float32(scale)
        return zero_point + int(np.sign(ratio) * np.floor(np.abs(ratio) + np.float32(0.5)))

    bounds = {
        None: (-128, 127),
        "RELU": (quantized(0), 127),
        "RELU6": (quantized(0), quantized(6)),
        "RELU_N1_TO_1": (quantized(-1), quantized(1)),
    }
    lower, upper = bounds[activation]
    return max(lower, -128), min(upper, 127)


def ask(op: str, tensors: list[TensorSpec], options: dict[str, Any], *inputs: np.ndarray) -> np.ndarray:
    """LiteRT's output: `tensors` are the operator's inputs, those without data the model's, and last the output."""
    names = [tensor.name for tensor in tensors]
    activations = [tensor.name for tensor in tensors[:-1] if tensor.data is None]
    model = build_model(tensors, [OpSpec(op, names[:-1], names[-1:], options)], activations, names[-1:])
    return run_reference(model, *inputs)[0]


class Layer:
    """Random quantisation of a layer with weights: scales, zero points, a bias and a fused activation.

    Weights are small enough to leave the rounding of an output to chance, and the bias takes it anywhere.
    """

    def __init__(self, rng: np.random.Generator, outputs: int, per_channel: bool, biased: bool = True) -> None:
        self.input_scale = random_scale(rng, -8, 0)
        self.weight_scales = (2.0 ** rng.uniform(-9, -5, outputs if per_channel else 1)).astype(np.float32)
        self.output_scale = float32(self.input_scale * self.weight_scales.max() * 2.0 ** rng.uniform(4, 14))
        self.input_zero_point, self.output_zero_point = rng.integers(-128, 128, 2).tolist()
        real = self.input_scale * self.weight_scales.astype(np.float64) / self.output_scale
        self.real = np.broadcast_to(real, outputs)
        self.bias = (rng.uniform(-128, 128, outputs) / self.real).astype(np.int32) if biased else None
        self.activation = ACTIVATIONS[max(0, int(rng.integers(-6, len(ACTIVATIONS))))]
        self.clamp = clamp_of(self.activation, self.output_scale, self.output_zero_point)

    def tensors(self, x: Any, weights: np.ndarray, output: Any, channel_axis: int) -> list[TensorSpec]:
        bias = []
        if self.bias is not None:
            scales = (self.input_scale * self.weight_scales).tolist()
            bias = [TensorSpec("bias", self.bias.shape, scales, 0, self.bias, dtype="int32")]
        return [
            TensorSpec("x", x, self.input_scale, self.input_zero_point),
            TensorSpec("w", weights.shape, self.weight_scales.tolist(), 0, weights, channel_axis),
            *bias,
            TensorSpec("y", output, self.output_scale, self.output_zero_point),
        ]

    def requantization(self) -> Any:
        multipliers, shifts = zip(*map(quantize_multiplier, self.real), strict=True)
        spec = Requantization(self.bias, np.array(multipliers), np.array(shifts), self.output_zero_point, *self.clamp)
        return tern_c.requantization(spec)

    def float64_requantization(self) -> Any:
        spec = Float64Requantization(self.bias, self.real, self.output_zero_point, *self.clamp)
        return tern_c.float64_requantization(spec)


def random_tflite_window(
    rng: np.random.Generator, size: tuple[int, int], dilated: bool
) -> tuple[Window, dict[str, Any]]:
    """A window that TFLite can describe, and its options."""
    stride = tuple(rng.integers(1, 4, 2).tolist())
    dilation = tuple(rng.integers(1, 4, 2).tolist()) if dilated else (1, 1)
    if rng.random() < 0.5:
        padding, kernel = "SAME", tuple(rng.integers(1, 6, 2).tolist())
        window = same_window(size, kernel, stride, dilation)
    else:
        padding, kernel = (
            "VALID",
            tuple(int(rng.integers(1, (n - 1) // d + 2)) for n, d in zip(size, dilation, strict=True)),
        )
        window = valid_window(size, kernel, stride, dilation)
    options = {"padding": padding, "strideH": stride[0], "strideW": stride[1]}
    if dilated:
        options |= {"dilationHFactor": dilation[0], "dilationWFactor": dilation[1]}
    return window, options


@pytest.mark.parametrize("seed", range(60))
def test_conv2d(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = int(rng.choice([1, 1, 2]))
    image = random_int8(rng, *rng.integers(1, 9, 2), groups * rng.integers(1, 6))
    outputs = groups * int(rng.integers(1, 7))
    window, options = random_tflite_window(rng, image.shape[:2], dilated=seed % 2 == 0)
    weights = random_int8(rng, outputs, *window.kernel, image.shape[2] // groups)
    layer = Layer(rng, outputs, per_channel=outputs > 1)
    options["fusedActivationFunction"] = layer.activation
    expected = ask("CONV_2D", layer.tensors((1, *image.shape), weights, (1, *window.output, outputs), 0), options,
                   image[None])[0]  # fmt: skip
    params = make(
        Conv2dParams,
        input=Shape(*image.shape),
        output=Shape(*window.output, outputs),
        window=tern_c.window(window),
        kernel_channels=weights.shape[-1],
        input_zero_point=layer.input_zero_point,
        weights=tern_c.weights("int8", weights.reshape(outputs, -1)),
        requantization=layer.requantization(),
    )
    output = tern_c.call("tern_conv2d_int8_ref", params, image, output=expected.shape)
    np.testing.assert_array_equal(output, expected)


@pytest.mark.parametrize("seed", range(60))
def test_depthwise_conv2d(seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = random_int8(rng, *rng.integers(1, 9, 2), rng.integers(1, 6))
    multiplier = int(rng.integers(1, 4))
    outputs = image.shape[2] * multiplier
    window, options = random_tflite_window(rng, image.shape[:2], dilated=seed % 2 == 0)
    weights = random_int8(rng, 1, *window.kernel, outputs)
    layer = Layer(rng, outputs, per_channel=outputs > 1)
    options |= {"fusedActivationFunction": layer.activation, "depthMultiplier": multiplier}
    expected = ask("DEPTHWISE_CONV_2D", layer.tensors((1, *image.shape), weights, (1, *window.output, outputs), 3),
                   options, image[None])[0]  # fmt: skip
    params = make(
        DepthwiseConv2dParams,
        input=Shape(*image.shape),
        output=Shape(*window.output, outputs),
        window=tern_c.window(window),
        input_zero_point=layer.input_zero_point,
        weights=tern_c.weights("int8", weights.reshape(-1, outputs)),
        requantization=layer.requantization(),
    )
    output = tern_c.call("tern_depthwise_conv2d_int8_ref", params, image, output=expected.shape)
    np.testing.assert_array_equal(output, expected)


def run_fully_connected(layer: Layer, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    params = make(
        FullyConnectedParams,
        rows=len(x),
        inputs=x.shape[1],
        outputs=len(weights),
        input_zero_point=layer.input_zero_point,
        weights=tern_c.weights("int8", weights),
        requantization=layer.float64_requantization(),
    )
    return tern_c.call("tern_fully_connected_int8_ref", params, x, output=(len(x), len(weights)))


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("seed", range(60))
def test_fully_connected(seed: int, per_channel: bool) -> None:
    rng = np.random.default_rng(seed)
    x = random_int8(rng, rng.integers(1, 4), rng.integers(1, 80))
    outputs = int(rng.integers(2, 30))
    weights = random_int8(rng, outputs, x.shape[1])
    layer = Layer(rng, outputs, per_channel, biased=seed % 5 > 0)
    tensors = layer.tensors(x.shape, weights, (len(x), outputs), 0)
    expected = ask("FULLY_CONNECTED", tensors, {"fusedActivationFunction": layer.activation}, x)
    np.testing.assert_array_equal(run_fully_connected(layer, x, weights), expected)


def check_sums(op: str, layer: Layer, sums: np.ndarray) -> None:
    """Compares what becomes of sums: they are the biases of a layer whose weights are zero."""
    layer.activation, layer.bias = None, sums.astype(np.int32)
    real = layer.input_scale * float(layer.weight_scales[0]) / layer.output_scale
    layer.real = np.full(sums.size, real)
    layer.clamp = clamp_of(None, layer.output_scale, layer.output_zero_point)
    is_conv = op == "CONV_2D"
    x = (1, 1, 1, 1) if is_conv else (1, 1)
    weights = np.zeros((sums.size, *x[1:]), np.int8)
    expected = ask(op, layer.tensors(x, weights, (*x[:-1], sums.size), 0), {}, np.zeros(x, np.int8)).ravel()
    if is_conv:
        params = make(
            Conv2dParams,
            input=Shape(1, 1, 1),
            output=Shape(1, 1, sums.size),
            window=tern_c.window(Window((1, 1))),
            kernel_channels=1,
            input_zero_point=layer.input_zero_point,
            weights=tern_c.weights("int8", weights.reshape(-1, 1)),
            requantization=layer.requantization(),
        )
        output = tern_c.call("tern_conv2d_int8_ref", params, np.zeros(1), output=expected.shape)
    else:
        output = run_fully_connected(layer, np.zeros(x), weights).ravel()
    np.testing.assert_array_equal(output, expected)


@pytest.mark.parametrize("op", ["CONV_2D", "FULLY_CONNECTED"])
@pytest.mark.parametrize("seed", range(20))
def test_sums_beside_a_half(op: str, seed: int) -> None:
    """Where the last bit of a multiplier decides: sums within some dozens of a half's."""
    rng = np.random.default_rng(seed)
    layer = Layer(rng, 1, per_channel=False)
    layer.output_scale = float32(layer.input_scale * float(layer.weight_scales[0]) * 2.0 ** rng.uniform(22.5, 23.5))
    real = layer.input_scale * float(layer.weight_scales[0]) / layer.output_scale
    halves = rng.integers(-120, 120, 100) + 0.5
    check_sums(op, layer, (halves[:, None] / real + rng.integers(-80, 80, (100, 40))).ravel())


@pytest.mark.parametrize("op", ["CONV_2D", "FULLY_CONNECTED"])
@pytest.mark.parametrize("exponent", [-40, -33, -32, -31, -30, -20, -1, 0, 1, 5])
def test_extreme_multipliers(op: str, exponent: int) -> None:
    rng = np.random.default_rng(exponent + 40)
    layer = Layer(rng, 1, per_channel=False)
    layer.output_scale = float32(layer.input_scale * float(layer.weight_scales[0]) / 2.0 ** (exponent + 0.3))
    sums = np.clip(rng.uniform(-200, 200, 500) / 2.0**exponent, -(2**31), 2**31 - 1)
    check_sums(op, layer, sums)


@pytest.mark.parametrize("op", ["MAX_POOL_2D", "AVERAGE_POOL_2D"])
@pytest.mark.parametrize("seed", range(60))
def test_pool2d(op: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = random_int8(rng, *rng.integers(1, 9, 2), rng.integers(1, 6))
    window, options = random_tflite_window(rng, image.shape[:2], dilated=False)
    scale, zero_point, activation = random_scale(rng, -6, 1), int(rng.integers(-128, 128)), ACTIVATIONS[seed % 4]
    options |= {"filterHeight": window.kernel[0], "filterWidth": window.kernel[1]}
    shape = (*window.output, image.shape[2])
    tensors = [TensorSpec("x", (1, *image.shape), scale, zero_point), TensorSpec("y", (1, *shape), scale, zero_point)]
    expected = ask(op, tensors, options | {"fusedActivationFunction": activation}, image[None])[0]
    minimum, maximum = clamp_of(activation, scale, zero_point)
    params = make(
        Pool2dParams,
        input=Shape(*image.shape),
        output=Shape(*shape),
        window=tern_c.window(window),
        minimum=minimum,
        maximum=maximum,
    )
    name = {"MAX_POOL_2D": "tern_max_pool2d_ref", "AVERAGE_POOL_2D": "tern_average_pool2d_ref"}[op]
    np.testing.assert_array_equal(tern_c.call(name, params, image, output=shape), expected)


@pytest.mark.parametrize("same_scales", [False, True])
@pytest.mark.parametrize("seed", range(60))
def test_mean(seed: int, same_scales: bool) -> None:
    rng = np.random.default_rng(seed)
    shape = (1, *rng.integers(1, 12, 3).tolist())
    axes = [(1, 2), (2, 1), (1,), (3,), (1, 2, 3), (-1, 1)][seed % 6]
    reduced = [i in [a % 4 for a in axes] for i in range(4)]
    keep = bool(rng.integers(2))
    output = tuple(1 if r else n for n, r in zip(shape, reduced, strict=True) if keep or not r)
    scales = [random_scale(rng, -6, 2), random_scale(rng, -6, 2)]
    zero_points = rng.integers(-128, 128, 2).tolist()
    if same_scales:
        scales[1], zero_points[1] = scales[0], zero_points[0]
    x = random_int8(rng, *shape)
    tensors = [
        TensorSpec("x", shape, scales[0], zero_points[0]),
        TensorSpec("axes", (len(axes),), data=np.array(axes), dtype="int32"),
        TensorSpec("y", output, scales[1], zero_points[1]),
    ]
    expected = ask("MEAN", tensors, {"keepDims": keep}, x)
    count = int(np.prod(shape, where=reduced))
    multiplier, shift = mean_multiplier(*quantize_multiplier(scales[0] / scales[1]), count)
    params = make(
        MeanParams,
        shape=dimensions(*shape),
        reduced=(tern_c.c_uint8 * 4)(*reduced),
        input_zero_point=zero_points[0],
        output_zero_point=zero_points[1],
        multiplier=multiplier,
        shift=shift,
    )
    np.testing.assert_array_equal(tern_c.call("tern_mean_ref", params, x, output=output), expected)


@pytest.mark.parametrize("shapes", [((1, 3, 4, 5), (1, 3, 4, 5)), ((1, 3, 4, 5), (5,)), ((1, 1, 4, 1), (3, 1, 5))])
@pytest.mark.parametrize("seed", range(40))
def test_add(seed: int, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    rng = np.random.default_rng(seed)
    scales = [random_scale(rng, -9, 1) for _ in range(3)]
    zero_points = rng.integers(-128, 128, 3).tolist()
    activation = ACTIVATIONS[seed % 4]
    x = [random_int8(rng, *shape) for shape in shapes]
    output = np.broadcast_shapes(*shapes)
    tensors = [TensorSpec(*values) for values in zip("aby", (*shapes, output), scales, zero_points, strict=True)]
    expected = ask("ADD", tensors, {"fusedActivationFunction": activation}, *x)
    factors = add_scales(scales[0], scales[1], scales[2])
    minimum, maximum = clamp_of(activation, scales[2], zero_points[2])
    params = make(
        AddParams,
        shape=dimensions(*output),
        strides=(tern_c.Dimensions * 2)(*(tern_c.Dimensions(*broadcast_strides(s, output)) for s in shapes)),
        zero_point=Pair(*zero_points[:2]),
        multiplier=Pair(factors[0][0], factors[1][0]),
        shift=Pair(factors[0][1], factors[1][1]),
        left_shift=20,
        output_zero_point=zero_points[2],
        output_multiplier=factors[2][0],
        output_shift=factors[2][1],
        minimum=minimum,
        maximum=maximum,
    )
    np.testing.assert_array_equal(tern_c.call("tern_add_ref", params, *x, output=output), expected)


@pytest.mark.parametrize("seed", range(80))
def test_softmax(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = random_int8(rng, rng.integers(1, 5), rng.integers(1, 40))
    scale, beta = random_scale(rng, -12, 4), float32(rng.choice([1.0, 0.7, 3.3]))
    tensors = [TensorSpec("x", x.shape, scale, 3), TensorSpec("y", x.shape, 1 / 256, -128)]
    expected = ask("SOFTMAX", tensors, {"beta": beta}, x)
    params = SoftmaxParams(*x.shape, *softmax_scale(scale, beta))
    np.testing.assert_array_equal(tern_c.call("tern_softmax_ref", params, x, output=x.shape), expected)
