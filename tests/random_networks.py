"""Random small int8 networks: every operator, odd shapes, awkward weights. The same seed gives the same network."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from lstm_specs import lstm_specs
from tflite_builder import OpSpec, TensorSpec, build_model

_ACTIVATIONS = (None, None, "RELU", "RELU6", "RELU_N1_TO_1")
_STEPS = (
    *("conv", "conv", "depthwise", "depthwise", "max", "average", "add", "bias", "input"),
    *("transpose conv", "pad", "concat", "split", "transpose", "resize"),
    *("unary", "unary", "binary", "prelu", "extreme"),
)
_UNARY = ("RELU", "RELU6", "RELU_N1_TO_1", "LEAKY_RELU", "HARD_SWISH", "LOGISTIC", "TANH", "QUANTIZE")
_KINDS = ("ternary", "ternary", "asymmetric", "same sign", "binary", "expansion", "int8")


def random_network(seed: int, edges: bool = True, longest: int = 4) -> bytes:
    """A `.tflite` file: convolutions, pools and additions, then maybe a mean, dense layers and a softmax.

    Weights are ternary with equal or different levels, of one sign, binary, sums of ternary ones or plain int8; a
    channel may be flipped (a negative batch-norm gain) or empty.

    Up to `longest` operators stand before the mean. With `edges` some networks have inputs and outputs of floats or
    uint8; without, all are int8.
    """
    return _Network(np.random.default_rng(seed), edges, longest, has_lstm=seed % 12 == 5).build()


@dataclass
class _Network:
    rng: np.random.Generator
    edges: bool
    longest: int
    has_lstm: bool
    tensors: list[TensorSpec] = field(default_factory=list)
    ops: list[OpSpec] = field(default_factory=list)
    inputs: list[TensorSpec] = field(default_factory=list)

    def build(self) -> bytes:
        shape = (1, *self._integers(2, 11, 2), self._integer(1, 7))
        self.inputs = [self._activation(shape)]
        current = self.inputs[0]
        for _ in range(self._integer(1, self.longest)):
            step = self._draw(_STEPS)
            current = {
                "conv": self._conv,
                "depthwise": self._depthwise,
                "max": lambda x: self._pool(x, "MAX_POOL_2D"),
                "average": lambda x: self._pool(x, "AVERAGE_POOL_2D"),
                "add": self._add_branch,
                "bias": self._add_constant,
                "input": self._add_input,
                "transpose conv": self._transpose_conv,
                "pad": self._pad,
                "concat": self._concat,
                "split": self._split,
                "transpose": self._transpose,
                "resize": self._resize,
                "unary": self._unary,
                "binary": self._binary,
                "prelu": self._prelu,
                "extreme": self._extreme,
            }[step](current)
        if self.has_lstm:
            current = self._lstm(current)
        outputs = []
        if self.rng.random() < 0.2:
            outputs.append(current)  # an output that others read as well
        tail = self.rng.choice(["mean", "reshape", "none"], p=[0.4, 0.5, 0.1])
        if tail != "none":
            current = self._mean(current) if tail == "mean" else self._reshape(current)
            for _ in range(self._integer(0, 2)):
                current = self._dense(current)
            # LiteRT's softmax of 512 or more equal values ends its process
            if self.rng.random() < 0.5 and current.shape[-1] < 512:
                current = self._softmax(current)
        outputs = [spec for spec in outputs if spec.name != current.name] + [current]
        if self.edges and self.rng.random() < 0.3:
            self._edges(outputs)
        return build_model(self.tensors, self.ops, [x.name for x in self.inputs], [y.name for y in outputs])

    def _edges(self, outputs: list[TensorSpec]) -> None:
        """Let the caller have floats or uint8, as converters do unless told otherwise."""
        kind = self._draw(["float32", "uint8"])
        for i, x in enumerate(self.inputs):
            self.inputs[i] = self._edge(x, kind)
            self.ops.insert(i, OpSpec("QUANTIZE", [self.inputs[i].name], [x.name]))
        for i, y in enumerate(outputs):
            outputs[i] = self._edge(y, kind)
            op = "DEQUANTIZE" if kind == "float32" else "QUANTIZE"
            self.ops.append(OpSpec(op, [y.name], [outputs[i].name]))

    def _edge(self, x: TensorSpec, kind: str) -> TensorSpec:
        if kind == "float32":
            return self._tensor(x.shape, None, 0, dtype=kind)
        return self._tensor(x.shape, x.scale, x.zero_point + 128, dtype=kind)

    # --- operators

    def _conv(self, x: TensorSpec) -> TensorSpec:
        _, height, width, channels = x.shape
        groups = int(self.rng.choice([g for g in range(1, channels + 1) if channels % g == 0 and g <= 3]))
        filters = groups * self._integer(1, 6)
        options, kernel, out = self._window(height, width)
        weights, scales = self._weights((filters, *kernel, channels // groups), 0)
        bias = self._bias(filters, x, scales)
        options |= {"fusedActivationFunction": self._draw(_ACTIVATIONS)}
        y = self._activation((1, *out, filters), self._output_scale(x, scales, weights, 0))
        self.ops.append(OpSpec("CONV_2D", [x.name, weights.name, *bias], [y.name], options))
        return y

    def _depthwise(self, x: TensorSpec) -> TensorSpec:
        _, height, width, channels = x.shape
        multiplier = self._integer(1, 3)
        options, kernel, out = self._window(height, width)
        weights, scales = self._weights((1, *kernel, channels * multiplier), 3)
        bias = self._bias(channels * multiplier, x, scales)
        options |= {"depthMultiplier": multiplier, "fusedActivationFunction": self._draw(_ACTIVATIONS)}
        y = self._activation((1, *out, channels * multiplier), self._output_scale(x, scales, weights, 3))
        self.ops.append(OpSpec("DEPTHWISE_CONV_2D", [x.name, weights.name, *bias], [y.name], options))
        return y

    def _pool(self, x: TensorSpec, name: str) -> TensorSpec:
        _, height, width, channels = x.shape
        options, kernel, out = self._window(height, width, dilated=False)
        options |= {"filterHeight": kernel[0], "filterWidth": kernel[1]}
        options |= {"fusedActivationFunction": self._draw(_ACTIVATIONS)}
        y = self._activation((1, *out, channels), x.scale, x.zero_point)
        self.ops.append(OpSpec(name, [x.name], [y.name], options))
        return y

    def _add_branch(self, x: TensorSpec) -> TensorSpec:
        channels = x.shape[-1]
        weights, scales = self._weights((channels, 1, 1, channels), 0)
        bias = self._bias(channels, x, scales)
        branch = self._activation(x.shape, self._output_scale(x, scales, weights, 0))
        options = {"padding": "SAME"}
        self.ops.append(OpSpec("CONV_2D", [x.name, weights.name, *bias], [branch.name], options))
        return self._add(x, branch)

    def _add_input(self, x: TensorSpec) -> TensorSpec:
        self.inputs.append(self._activation(x.shape))
        return self._add(x, self.inputs[-1])

    def _add_constant(self, x: TensorSpec) -> TensorSpec:
        shape = self._draw([x.shape[-1:], (1, 1, 1, x.shape[-1]), (1, x.shape[1], 1, 1)])
        data = self.rng.integers(-128, 128, shape).astype(np.int8)
        return self._add(x, self._tensor(shape, self._scale(), self._zero_point(), data))

    def _add(self, x: TensorSpec, other: TensorSpec) -> TensorSpec:
        scale = float(max(x.scale, other.scale) * self.rng.uniform(0.7, 2))
        y = self._activation(x.shape, scale)
        operands = [x.name, other.name] if self.rng.random() < 0.5 else [other.name, x.name]
        options = {"fusedActivationFunction": self._draw(_ACTIVATIONS)}
        self.ops.append(OpSpec("ADD", operands, [y.name], options))
        return y

    def _transpose_conv(self, x: TensorSpec) -> TensorSpec:
        _, *size, channels = x.shape
        filters, padding = self._integer(1, 5), self._draw(["SAME", "VALID"])
        kernel, strides = self._integers(1, 4, 2), self._integers(1, 2, 2)
        out = [n * s if padding == "SAME" else (n - 1) * s + k for n, s, k in zip(size, strides, kernel, strict=True)]
        shape = (1, *out, filters)
        weights, scales = self._weights((filters, *kernel, channels), 0)
        bias = self._bias(filters, x, scales)
        y = self._activation(shape, self._output_scale(x, scales, weights, 0))
        inputs = [self._constant(shape), weights.name, x.name, *bias]
        options = {"padding": padding, "strideH": strides[0], "strideW": strides[1]}
        options |= {"fusedActivationFunction": self._draw((None, "RELU", "RELU6"))}
        self.ops.append(OpSpec("TRANSPOSE_CONV", inputs, [y.name], options))
        return y

    def _pad(self, x: TensorSpec) -> TensorSpec:
        pads = [(0, 0), *(self._integers(0, 2, 2) for _ in range(2)), self._draw([(0, 0), (1, 2)])]
        y = self._like(x, tuple(n + sum(pad) for n, pad in zip(x.shape, pads, strict=True)))
        self.ops.append(OpSpec("PAD", [x.name, self._constant(pads)], [y.name]))
        return y

    def _concat(self, x: TensorSpec) -> TensorSpec:
        axis = self._integer(1, 3)
        other = self._like(x, tuple(self._integer(1, 3) if i == axis else n for i, n in enumerate(x.shape)))
        self.inputs.append(other)
        pair = self._draw([[x, other], [other, x], [x, other, x]])
        y = self._like(x, tuple(sum(z.shape[i] for z in pair) if i == axis else n for i, n in enumerate(x.shape)))
        self.ops.append(
            OpSpec("CONCATENATION", [z.name for z in pair], [y.name], {"axis": self._draw([axis, axis - 4])})
        )
        return y

    def _split(self, x: TensorSpec) -> TensorSpec:
        axis = self._draw([i for i in (1, 2, 3) if x.shape[i] % 2 == 0] or [0])
        count = 2 if axis else 1
        parts = [
            self._like(x, tuple(n // count if i == axis else n for i, n in enumerate(x.shape))) for _ in range(count)
        ]
        self.ops.append(OpSpec("SPLIT", [self._constant(axis), x.name], [y.name for y in parts], {"numSplits": count}))
        return self._add(*parts) if count == 2 else parts[0]

    def _transpose(self, x: TensorSpec) -> TensorSpec:
        order = [0, *(1 + self.rng.permutation(3)).tolist()]
        y = self._like(x, tuple(x.shape[i] for i in order))
        self.ops.append(OpSpec("TRANSPOSE", [x.name, self._constant(order)], [y.name]))
        return y

    def _resize(self, x: TensorSpec) -> TensorSpec:
        size = self._integers(1, 12, 2)
        y = self._like(x, (1, *size, x.shape[3]))
        options = self._draw([{}, {"alignCorners": True}, {"halfPixelCenters": True}])
        op = "RESIZE_BILINEAR" if size[0] % 2 else "RESIZE_NEAREST_NEIGHBOR"
        self.ops.append(OpSpec(op, [x.name, self._constant(size)], [y.name], options))
        return y

    def _unary(self, x: TensorSpec) -> TensorSpec:
        op = self._draw(_UNARY)
        scale, zero_point = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}.get(op, (x.scale * 1.3, None))
        y = self._activation(x.shape, scale, zero_point)
        self.ops.append(OpSpec(op, [x.name], [y.name], {"alpha": 0.2} if op == "LEAKY_RELU" else {}))
        return y

    def _binary(self, x: TensorSpec) -> TensorSpec:
        """With a function of itself, or with a constant a channel."""
        op = self._draw(["SUB", "MUL", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE"])
        if self.rng.random() < 0.5:
            data = self.rng.integers(-128, 128, x.shape[-1:]).astype(np.int8)
            other = self._tensor(x.shape[-1:], x.scale, x.zero_point, data)
        else:
            other = self._like(x, x.shape)
            self.ops.append(OpSpec("LEAKY_RELU", [x.name], [other.name], {"alpha": -0.7}))
        scale = {"SUB": x.scale * 1.5, "MUL": x.scale**2 * 60, "SQUARED_DIFFERENCE": x.scale**2 * 40}.get(op)
        y = self._like(x, x.shape) if scale is None else self._activation(x.shape, float(np.float32(scale)))
        self.ops.append(OpSpec(op, [x.name, other.name], [y.name]))
        return y

    def _prelu(self, x: TensorSpec) -> TensorSpec:
        shape = self._draw([(1, 1, x.shape[3]), x.shape[1:]])
        slopes = self._tensor(shape, 0.01, 0, self.rng.integers(-128, 128, shape).astype(np.int8))
        y = self._activation(x.shape, x.scale)
        self.ops.append(OpSpec("PRELU", [x.name, slopes.name], [y.name]))
        return y

    def _extreme(self, x: TensorSpec) -> TensorSpec:
        axis = self._integer(1, 2)
        y = self._like(x, tuple(1 if i == axis else n for i, n in enumerate(x.shape)))
        op = self._draw(["REDUCE_MAX", "REDUCE_MIN"])
        self.ops.append(OpSpec(op, [x.name, self._constant([axis])], [y.name], {"keepDims": True}))
        return y

    def _mean(self, x: TensorSpec) -> TensorSpec:
        axes = self._tensor((2,), None, 0, np.array([1, 2], np.int32), dtype="int32")
        keep = bool(self.rng.random() < 0.3)
        shape = (1, 1, 1, x.shape[3]) if keep else (1, x.shape[3])
        scale = float(x.scale * self.rng.uniform(0.3, 1.2))
        y = self._activation(shape, scale)
        self.ops.append(OpSpec("MEAN", [x.name, axes.name], [y.name], {"keepDims": keep}))
        return y

    def _reshape(self, x: TensorSpec) -> TensorSpec:
        size = math.prod(x.shape)
        shape = self._tensor((2,), None, 0, np.array([1, size], np.int32), dtype="int32")
        y = self._activation((1, size), x.scale, x.zero_point)
        self.ops.append(OpSpec("RESHAPE", [x.name, shape.name], [y.name], {"newShape": [1, size]}))
        return y

    def _lstm(self, x: TensorSpec) -> TensorSpec:
        """The rows of an image as a sequence, and its states as another."""
        _, height, width, channels = x.shape
        rows = self._reshaped(x, (1, height, width * channels))
        clip = self._draw([0.0, 0.5])
        tensors, op = lstm_specs(self.rng, rows, "lstm_output", self._integer(1, 7), cell_clip=clip)
        self.tensors += tensors
        self.ops.append(op)
        states = tensors[-1]
        return self._reshaped(states, (*states.shape, 1))

    def _reshaped(self, x: TensorSpec, shape: tuple) -> TensorSpec:
        sizes = self._tensor((len(shape),), None, 0, np.array(shape, np.int32), dtype="int32")
        y = self._activation(shape, x.scale, x.zero_point)
        self.ops.append(OpSpec("RESHAPE", [x.name, sizes.name], [y.name], {"newShape": list(shape)}))
        return y

    def _dense(self, x: TensorSpec) -> TensorSpec:
        units, inputs = self._integer(1, 13), math.prod(x.shape)
        weights, scales = self._weights((units, inputs), 0, per_tensor=self.rng.random() < 0.4)
        bias = self._bias(units, x, scales) if self.rng.random() < 0.7 else []  # LiteRT's convolutions need one
        y = self._activation((1, units), self._output_scale(x, scales, weights, 0))
        options = {"fusedActivationFunction": self._draw(_ACTIVATIONS)}
        self.ops.append(OpSpec("FULLY_CONNECTED", [x.name, weights.name, *bias], [y.name], options))
        return y

    def _softmax(self, x: TensorSpec) -> TensorSpec:
        y = self._activation(x.shape, 1 / 256, -128)
        self.ops.append(OpSpec("SOFTMAX", [x.name], [y.name], {"beta": float(self._draw([1.0, 0.5]))}))
        return y

    # --- parts of them

    def _window(self, height: int, width: int, dilated: bool = True) -> tuple[dict, tuple, tuple]:
        padding = self._draw(["SAME", "VALID"])
        sizes, strides, dilations, out = [], [], [], []
        for size in (height, width):
            # LiteRT allows strides with dilation only one at a time in some versions: draw one of them
            stride, dilation = self._draw([(1, 1), (1, 1), (2, 1), (3, 1), (1, 2 if dilated else 1)])
            kernel = self._integer(1, 5)
            if padding == "VALID":
                kernel = min(kernel, (size - 1) // dilation + 1)
                out.append((size - (kernel - 1) * dilation - 1) // stride + 1)
            else:
                out.append(-(-size // stride))
            sizes.append(kernel)
            strides.append(stride)
            dilations.append(dilation)
        options = {"padding": padding, "strideH": strides[0], "strideW": strides[1]}
        if dilated:
            options |= {"dilationHFactor": dilations[0], "dilationWFactor": dilations[1]}
        return options, tuple(sizes), tuple(out)

    def _weights(self, shape: tuple, axis: int, per_tensor: bool = False) -> tuple[TensorSpec, np.ndarray]:
        channels = shape[axis]
        kind = self._draw(_KINDS)
        codes = self.rng.choice([-1, 0, 1], shape, p=[0.3, 0.4, 0.3])
        column = [1] * len(shape)
        column[axis] = channels
        plus, minus = np.full(channels, 127), np.full(channels, -127)
        if kind == "asymmetric":
            minus = -self.rng.integers(1, 128, channels)
        elif kind == "same sign":
            minus = self.rng.integers(1, 127, channels)
        elif kind == "binary":
            codes = self.rng.choice([-1, 1], shape)
        flip = self.rng.choice([1, 1, -1], channels)
        data = np.where(codes > 0, (plus * flip).reshape(column), 0)
        data = np.where(codes < 0, (minus * flip).reshape(column), data)
        if kind == "expansion":
            magnitudes = self.rng.choice([0, 40, 90, 127], shape, p=[0.4, 0.2, 0.2, 0.2])
            data = np.where(data < 0, -magnitudes, magnitudes)
        if kind == "int8":
            data = self.rng.integers(-127, 128, shape)
        empty = self.rng.random(channels) < 0.1
        data = np.where(empty.reshape(column), 0, data).astype(np.int8)
        scales = self.rng.uniform(0.5, 2, 1 if per_tensor else channels).astype(np.float32) / 100
        return self._tensor(shape, scales.tolist(), 0, data, quantized_dimension=axis), scales

    def _bias(self, channels: int, x: TensorSpec, scales: np.ndarray) -> list[str]:
        data = self.rng.integers(-20000, 20000, channels).astype(np.int32)
        product = (np.float32(x.scale) * np.broadcast_to(scales, channels)).tolist()
        scale = product if scales.size > 1 else product[:1]
        return [self._tensor((channels,), scale, 0, data, dtype="int32").name]

    def _output_scale(self, x: TensorSpec, scales: np.ndarray, weights: TensorSpec, axis: int) -> float:
        """So that most outputs are inside of int8, and some are not."""
        rows = np.moveaxis(weights.data.astype(float), axis, 0).reshape(weights.shape[axis], -1)
        energy = np.linalg.norm(rows, axis=1)
        spread = float(x.scale) * 74 * float(np.max(scales)) * max(float(np.median(energy)), 1.0)
        return float(spread / self.rng.uniform(30, 90))

    def _constant(self, values) -> str:
        data = np.array(values, np.int32)
        return self._tensor(data.shape, None, 0, data, dtype="int32").name

    def _like(self, x: TensorSpec, shape: tuple) -> TensorSpec:
        """An activation quantised as x is."""
        return self._activation(shape, x.scale, x.zero_point)

    def _activation(self, shape: tuple, scale: float | None = None, zero_point: int | None = None) -> TensorSpec:
        scale = self._scale() if scale is None else scale
        return self._tensor(shape, scale, self._zero_point() if zero_point is None else zero_point)

    def _tensor(self, shape: tuple, scale, zero_point, data=None, **rest) -> TensorSpec:
        spec = TensorSpec(f"t{len(self.tensors)}", tuple(shape), scale, zero_point, data, **rest)
        self.tensors.append(spec)
        return spec

    def _scale(self) -> float:
        return float(np.float32(self.rng.uniform(0.005, 0.1)))

    def _zero_point(self) -> int:
        return int(self._draw([-128, 0, 127, self._integer(-128, 127)]))

    def _integer(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def _integers(self, low: int, high: int, count: int) -> tuple[int, ...]:
        return tuple(self._integer(low, high) for _ in range(count))

    def _draw(self, options: list | tuple):
        return options[self._integer(0, len(options) - 1)]
