"""What a model weighs: bits, density, scales, multiply-accumulates and bytes of every layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from tern_keras.layers import ActivationQuantizer, kernel_specs
from tern_keras.layers.base import require_finite, stock_weights
from tern_keras.layers.kernels import KernelSpec
from tern_keras.levels import FLOAT_BITS, find_quantized
from tern_keras.quantizers import QuantizedTensor, Quantizer, alias
from tern_keras.structure import all_layers, is_composite, layer_paths, require_built, sub_layers

FLOAT_BYTES = FLOAT_BITS // 8


@dataclass(frozen=True)
class LayerProfile:
    """One layer with weights, or one kernel of a layer that has several.

    Attributes:
        name: the layer's name; with several kernels, "<layer>/<kernel>", and what is neither counts with the first.
        type: its class name.
        kernel_shape: shape of the kernel, or None for layers without one, such as batch normalisation.
        method: quantizer ("ttq"), "ternary" or "binary" for a stock layer with such a kernel, else "float32".
        bits: stored bits a weight.
        density: share of the weights that are not zero, 0 to 1; None without a kernel.
        scales: the stored scales; empty for float kernels.
        macs: multiply-accumulates for one sample, zeros counted, 0 for a look-up; None if the input size is open or
            without a kernel.
        weights: number of weights in the papers' sense: kernels and other matrices, no biases.
        parameters: number of all stored values but the scales.
        bytes: stored bytes: packed codes, scales, and everything else as float32.
    """

    name: str
    type: str
    kernel_shape: tuple[int, ...] | None
    method: str
    bits: int
    density: float | None
    scales: tuple[float, ...]
    macs: int | None
    weights: int
    parameters: int
    bytes: int


@dataclass(frozen=True)
class ModelProfile:
    """All layers with weights, in the model's order, and their totals.

    Attributes:
        name: the model's name.
        layers: one `LayerProfile` a layer, or a kernel where a layer has several.
    """

    name: str
    layers: tuple[LayerProfile, ...]

    @property
    def bytes(self) -> int:
        """Stored bytes of the model."""
        return sum(layer.bytes for layer in self.layers)

    @property
    def float_bytes(self) -> int:
        """Bytes of the model with every value as float32."""
        return FLOAT_BYTES * sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates for one sample; None if a layer's are unknown."""
        macs = [layer.macs for layer in self.layers if layer.weights]
        return None if None in macs else sum(count or 0 for count in macs)

    @property
    def compression(self) -> float:
        """True compression: float32 bytes over stored bytes, with scales, biases and normalisation as float32."""
        return self.float_bytes / self.bytes if self.bytes else 1.0

    @property
    def weights_compression(self) -> float:
        """Compression as the papers count: 32 · Σ weights / Σ weights · bits, without scales and biases."""
        bits = sum(layer.weights * layer.bits for layer in self.layers)
        return FLOAT_BITS * sum(layer.weights for layer in self.layers) / bits if bits else 1.0


def profile(model: keras.Model) -> ModelProfile:
    """Measure every layer of a model: a float one, one in training, or a finalised one.

    Args:
        model: any built Keras model; a layer called several times counts its multiply-accumulates once.

    Returns:
        The rows and totals.

    Raises:
        ValueError: the model is not built, or has NaN or infinite weights.

    Example:
        >>> from tern_keras.layers import QuantDense
        >>> model = keras.Sequential([keras.Input((64,)), QuantDense(16, kernel_quantizer="twn")])
        >>> result = profile(model)
        >>> result.layers[0].bits, result.bytes, result.macs, result.weights_compression
        (2, 324, 1024, 16.0)
    """
    require_built(model, "profile")
    rows: list[LayerProfile] = []
    steps = _steps(model)
    for layer, variables in _own_variables(model):
        require_finite(layer)
        if kernel_specs(layer):
            rows += _kernel_rows(layer, variables, steps[id(layer)])
        else:
            rows.append(_other_row(layer, variables))
    return ModelProfile(model.name, tuple(rows))


def _steps(model: keras.Model) -> dict[int, int | None]:
    """Return how often a sample meets each layer, by the layer's id: once a step of every `TimeDistributed` around it.

    None where a number of steps is open.
    """
    steps: dict[int, int | None] = {}
    for *around, layer in layer_paths(model):
        lengths = [
            wrapper.get_build_config()["input_shape"][1]
            for wrapper in around
            if isinstance(wrapper, keras.layers.TimeDistributed)
        ]
        steps[id(layer)] = None if None in lengths else math.prod(lengths)
    return steps


def _own_variables(model: keras.Model) -> Iterator[tuple[keras.layers.Layer, list[keras.Variable]]]:
    """Yield each layer, at any depth, that has weights of its own, quantizers apart."""
    seen: set[int] = set()
    for layer in all_layers(model):
        # a layer with kernels owns those of its cell
        subs = sub_layers(layer) if is_composite(layer) else []
        inner = {id(v) for sub in subs for v in sub.weights}
        own = [v for v in stock_weights(layer) if id(v) not in inner | seen]
        seen.update(id(v) for v in own)
        # a range is no weight: it ends as the scale and zero point of a tensor
        if own and not isinstance(layer, ActivationQuantizer):
            yield layer, own


def _kernel_rows(
    layer: keras.layers.Layer, variables: list[keras.Variable], steps: int | None
) -> Iterator[LayerProfile]:
    """Yield a row a kernel; the parameters that are no kernels, such as the bias, count with the first."""
    specs = kernel_specs(layer)
    rest = _count(variables) - _count([spec.variable(layer) for spec in specs])
    for spec in specs:
        kernel = spec.variable(layer)
        name = layer.name if len(specs) == 1 else f"{layer.name}/{kernel.name}"
        yield _kernel_row(layer, spec, name, rest, steps)
        rest = 0


def _kernel_row(
    layer: keras.layers.Layer, spec: KernelSpec, name: str, other_parameters: int, steps: int | None
) -> LayerProfile:
    kernel = spec.variable(layer)
    method, quantized = _quantized(layer, spec)
    shape = tuple(kernel.shape)
    weights = math.prod(shape)
    if quantized is None:
        bits, scales, codes = FLOAT_BITS, np.empty(0), ops.convert_to_numpy(kernel)
    else:
        bits, scales, codes = quantized.bits, quantized.scales, quantized.codes
    return LayerProfile(
        name=name,
        type=type(layer).__name__,
        kernel_shape=shape,
        method=method,
        bits=bits,
        density=np.count_nonzero(codes) / weights,
        scales=tuple(float(scale) for scale in scales.ravel()),
        macs=_macs(layer, weights, steps),
        weights=weights,
        parameters=weights + other_parameters,
        bytes=math.ceil(bits * weights / 8) + FLOAT_BYTES * (scales.size + other_parameters),
    )


def _other_row(layer: keras.layers.Layer, variables: list[keras.Variable]) -> LayerProfile:
    parameters = _count(variables)
    return LayerProfile(
        name=layer.name,
        type=type(layer).__name__,
        kernel_shape=None,
        method="float32",
        bits=FLOAT_BITS,
        density=None,
        scales=(),
        macs=None,
        weights=_count([v for v in variables if len(v.shape) > 1]),
        parameters=parameters,
        bytes=FLOAT_BYTES * parameters,
    )


def _quantized(layer: keras.layers.Layer, spec: KernelSpec) -> tuple[str, QuantizedTensor | None]:
    """Return the name of a kernel's method and the quantised kernel, None where it is float."""
    quantizer = getattr(layer, spec.argument, None)
    if isinstance(quantizer, Quantizer):
        return alias(quantizer), quantizer.quantized_tensor(spec.variable(layer))
    kernel = ops.convert_to_numpy(spec.variable(layer)).astype(np.float32)
    quantized = find_quantized(kernel, spec.filter_axes(kernel.ndim))
    if quantized is None:
        return "float32", None
    return ("binary" if quantized.bits == 1 else "ternary"), quantized


def _macs(layer: keras.layers.Layer, weights: int, steps: int | None) -> int | None:
    if isinstance(layer, keras.layers.Embedding):
        return 0
    positions = (steps, *_positions(layer))
    return None if None in positions else math.prod(positions) * weights


def _positions(layer: keras.layers.Layer) -> tuple[Any, ...]:
    """Return the sizes of the axes along which the layer applies its kernels anew, None where a size is open."""
    shape = layer.get_build_config()["input_shape"]
    # a recurrent layer meets each step of the input, a transposed convolution spreads each pixel of it
    if not isinstance(layer, (keras.layers.RNN, keras.layers.Conv2DTranspose)):
        shape = layer.compute_output_shape(shape)
    return shape[2:] if getattr(layer, "data_format", None) == "channels_first" else shape[1:-1]


def _count(variables: list[keras.Variable]) -> int:
    return sum(math.prod(v.shape) for v in variables)
