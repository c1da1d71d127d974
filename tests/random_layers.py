"""Random single layers, side by side in one `.tflite`: shapes as networks have them, what kernels' costs depend on."""

from __future__ import annotations

import math

import numpy as np
from random_networks import _Network
from tflite_builder import OpSpec, TensorSpec, build_model

_CHANNELS = (1, 2, 3, 4, 8, 12, 16, 16, 24, 32, 32, 48, 64)
_MOST_MACS = 120_000
_COUNTS = {"conv": 20, "depthwise": 12, "dense": 16, "pool": 8, "mean": 3, "add": 4}


def random_layers(seed: int) -> bytes:
    """A `.tflite` file of layers with an input and an output each. The same seed gives the same layers."""
    return _Layers(np.random.default_rng([seed, 1]), edges=False, longest=0, has_lstm=False).build()


class _Layers(_Network):
    def build(self) -> bytes:
        outputs = []
        for kind, count in _COUNTS.items():
            for _ in range(count):
                outputs.append(getattr(self, f"_one_{kind}")())
        return build_model(self.tensors, self.ops, [x.name for x in self.inputs], [y.name for y in outputs])

    def _one_conv(self) -> TensorSpec:
        while True:
            channels, filters = self._draw(_CHANNELS), self._draw(_CHANNELS)
            window = self._conv_window()
            if 500 < math.prod(window[2]) * math.prod(window[1]) * channels * filters < _MOST_MACS:
                break
        options, kernel, out, size = window
        x = self._new_input((1, *size, channels))
        weights, scales = self._layer_weights((filters, *kernel, channels), 0)
        return self._layer("CONV_2D", x, weights, scales, 0, (1, *out, filters), options)

    def _one_depthwise(self) -> TensorSpec:
        channels = self._draw(_CHANNELS)
        options, kernel, out, size = self._conv_window()
        x = self._new_input((1, *size, channels))
        weights, scales = self._layer_weights((1, *kernel, channels), 3)
        return self._layer("DEPTHWISE_CONV_2D", x, weights, scales, 3, (1, *out, channels), options)

    def _one_dense(self) -> TensorSpec:
        inputs, units = (int(2 ** self.rng.uniform(1.5, 8.5)) for _ in range(2))
        x = self._new_input((1, self._draw((1, 1, 1, 1, 3)), inputs))
        weights, scales = self._layer_weights((units, inputs), 0)
        return self._layer("FULLY_CONNECTED", x, weights, scales, 0, (*x.shape[:2], units), {"keepNumDims": True})

    def _one_pool(self) -> TensorSpec:
        options, kernel, out, size = self._conv_window(dilated=False)
        x = self._new_input((1, *size, self._draw((3, 4, 7, 8, 16, 20))))
        options |= {"filterHeight": kernel[0], "filterWidth": kernel[1], **self._clamp()}
        y = self._activation((1, *out, x.shape[3]), x.scale, x.zero_point)
        self.ops.append(OpSpec(self._draw(("MAX_POOL_2D", "AVERAGE_POOL_2D")), [x.name], [y.name], options))
        return y

    def _one_mean(self) -> TensorSpec:
        return self._mean(self._new_input((1, *self._integers(1, 20, 2), self._draw((2, 4, 10, 16, 64)))))

    def _one_add(self) -> TensorSpec:
        x = self._new_input((1, *self._integers(1, 20, 2), self._integer(1, 20)))
        return self._add_input(x)

    def _new_input(self, shape: tuple[int, ...]) -> TensorSpec:
        self.inputs.append(self._activation(shape))
        return self.inputs[-1]

    def _layer(
        self,
        name: str,
        x: TensorSpec,
        weights: TensorSpec,
        scales: np.ndarray,
        axis: int,
        shape: tuple[int, ...],
        options: dict,
    ) -> TensorSpec:
        bias = self._bias(shape[-1], x, scales)
        y = self._activation(shape, self._output_scale(x, scales, weights, axis))
        self.ops.append(OpSpec(name, [x.name, weights.name, *bias], [y.name], {**options, **self._clamp()}))
        return y

    def _clamp(self) -> dict:
        return {"fusedActivationFunction": "RELU6" if self.rng.random() < 0.15 else None}

    def _conv_window(self, dilated: bool = True) -> tuple[dict, tuple, tuple, tuple]:
        size = tuple(int(2 ** self.rng.uniform(0, 4.3)) for _ in range(2))
        padding, kernel = (
            self._draw(("SAME", "SAME", "VALID")),
            self._draw(((1, 1), (1, 1), (3, 3), (3, 3), (5, 5), (2, 4))),
        )
        kernel = tuple(map(min, kernel, size))
        stride = self._draw((1, 1, 1, 2))
        out = tuple(
            -(-n // stride) if padding == "SAME" else (n - k) // stride + 1 for n, k in zip(size, kernel, strict=True)
        )
        options = {"padding": padding, "strideH": stride, "strideW": stride}
        return options, kernel, out, size

    def _layer_weights(self, shape: tuple, axis: int) -> tuple[TensorSpec, np.ndarray]:
        channels = shape[axis]
        column = [1] * len(shape)
        column[axis] = channels
        kind, zeros = self._draw(("ternary", "ternary", "levels", "binary", "int8")), self.rng.uniform(0.2, 0.9)
        codes = self.rng.choice([-1, 0, 1], shape, p=[(1 - zeros) / 2, zeros, (1 - zeros) / 2])
        if kind == "binary":
            codes = self.rng.choice([-1, 1], shape)
        below = self.rng.integers(1, 128, channels) if kind == "levels" else np.full(channels, 127)
        data = np.where(codes < 0, -below.reshape(column), 127 * codes).astype(np.int8)
        if kind == "int8":
            data = self.rng.integers(-127, 128, shape).astype(np.int8)
        scales = (self.rng.uniform(0.8, 1.2, channels) / 100).astype(np.float32)
        return self._tensor(shape, scales.tolist(), 0, data, quantized_dimension=axis), scales
