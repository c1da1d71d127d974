"""The ranges of `ActivationQuantizer` layers on their way into the int8 `.tflite`.

The converter itself calibrates every tensor, or takes the ranges of fake-quantisation operators and then loses some of
them: beside poolings, concatenations and fused activation functions, and for a model's inputs. So the layers are told
apart here. While the model is converted and calibrated each of them clips, as it will in the end, and hands its input
and its output out as outputs of the model, which the converter keeps whatever it fuses. In the calibrated float file
each layer is then cut out and its range written where the calibration left its own; the rest is the stock quantiser's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import keras
from ai_edge_litert import schema_py_generated as schema
from keras import ops

from tern_keras.cloning import clone_with
from tern_keras.layers import ActivationQuantizer
from tern_keras.ops import int8_grid
from tflite_export.errors import ExportError
from tflite_export.recurrent_ranges import (
    Operator,
    expose_unused,
    fit_lstm_states,
    hide_unused,
    joint_ranges,
    step_ranges,
)

_FILE_IDENTIFIER = b"TFL3"
# TFLite stores all operands and results of these with one scale.
_ONE_SCALE = [
    "AVERAGE_POOL_2D",
    "BATCH_TO_SPACE_ND",
    "CONCATENATION",
    "DEPTH_TO_SPACE",
    "EXPAND_DIMS",
    "GATHER",
    "GATHER_ND",
    "MAX_POOL_2D",
    "MAXIMUM",
    "MINIMUM",
    "MIRROR_PAD",
    "PACK",
    "PAD",
    "PADV2",
    "REDUCE_MAX",
    "REDUCE_MIN",
    "RESHAPE",
    "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR",
    "REVERSE_V2",
    "SLICE",
    "SPACE_TO_BATCH_ND",
    "SPACE_TO_DEPTH",
    "SPLIT",
    "SPLIT_V",
    "SQUEEZE",
    "STRIDED_SLICE",
    "TILE",
    "TRANSPOSE",
    "UNPACK",
]
# The converter may fuse these into what computes their input.
_FUSED = ("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1")
_FIXED_OUTPUT = ("L2_NORMALIZATION", "LOG_SOFTMAX", "LOGISTIC", "SOFTMAX", "TANH")
_OP_NAMES = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}


@dataclass(frozen=True)
class ActivationRange:
    """What a layer fixes of a tensor.

    Attributes:
        layer: name of the `ActivationQuantizer`.
        minimum: lower end, <= 0.
        maximum: upper end, >= 0.
    """

    layer: str
    minimum: float
    maximum: float

    def fits(self, quantization: schema.QuantizationParametersT) -> bool:
        """Return whether an int8 tensor with this quantisation has the range.

        But for rounding errors: of the scale in its last digits, of the zero point where it is a tie.
        """
        scale, zero_point = (float(tensor) for tensor in int8_grid(self.minimum, self.maximum))
        return (
            math.isclose(quantization.scale[0], scale, rel_tol=1e-5)
            and abs(quantization.zeroPoint[0] - zero_point) <= 1
        )

    def agrees(self, other: ActivationRange) -> bool:
        """Return whether both ranges are the same, whatever the layers."""
        return (self.minimum, self.maximum) == (other.minimum, other.maximum)

    def __str__(self) -> str:
        return f"'{self.layer}' [{self.minimum:.4g}, {self.maximum:.4g}]"

    @classmethod
    def of(cls, layer: ActivationQuantizer) -> ActivationRange:
        """Return the range of `layer`.

        Raises:
            ExportError: it has none yet.
        """
        try:
            return cls(layer.name, *layer.fixed_range())
        except ValueError as error:
            raise ExportError(str(error)) from error


class Tapped(keras.layers.Layer):
    """Calls a model, and returns behind its outputs the input and the output of each `ActivationQuantizer` in it.

    Args:
        model: finalised, in float32; on the TensorFlow backend.
    """

    def __init__(self, model: keras.Model) -> None:
        super().__init__(dtype="float32")
        taps: list[tuple[ActivationRange, Any, Any]] = []
        self._taps = lambda: taps  # a list itself would be copied, to be tracked
        self.model = clone_with(model, lambda layer: _clip_in_place_of(layer, taps.append), lambda old, new: None)

    def call(self, inputs: Any) -> list[Any]:
        """Return the model's outputs, then x and y of each quantizer, in the order of their calls."""
        self._taps().clear()
        outputs = self.model(inputs, training=False)
        outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
        return [*outputs, *(tensor for _, x, y in self._taps() for tensor in (x, y))]

    @property
    def ranges(self) -> list[ActivationRange]:
        """The ranges of the quantizers in the order of their calls."""
        return [interval for interval, _, _ in self._taps()]


class _Clip(keras.layers.Layer):
    """Stands for an `ActivationQuantizer`; finer than its steps need not be what a calibration sees."""

    def __init__(self, name: str, interval: ActivationRange, record: Callable[[Any], None]) -> None:
        super().__init__(name=name, dtype="float32")
        self.interval = interval
        self.supports_masking = True
        self._record = record

    def call(self, x: Any) -> Any:
        y = ops.maximum(ops.minimum(x, self.interval.maximum), self.interval.minimum)
        self._record((self.interval, x, y))
        return y


def _clip_in_place_of(layer: keras.layers.Layer, record: Callable[[Any], None]) -> keras.layers.Layer | None:
    if not isinstance(layer, ActivationQuantizer):
        return None
    return _Clip(layer.name, ActivationRange.of(layer), record)


def quantize_with_ranges(calibrated: bytes, ranges: Sequence[ActivationRange]) -> bytes:
    """Quantise a calibrated float model, with ranges for its activation quantizers and recurrent layers.

    Args:
        calibrated: the `.tflite` of a `Tapped` model, or of one that needs no taps, with the calibration's ranges.
        ranges: of the taps, in their order.

    Returns:
        The int8 `.tflite`, without the taps.

    Raises:
        ExportError: if a range contradicts another, or TFLite has no way to keep it.
    """
    import tensorflow as tf

    # private: the only way to quantise a file that is calibrated already
    from tensorflow.lite.python.convert import mlir_quantize

    model = schema.ModelT.InitFromPackedBuf(calibrated, 0)
    network = _Network(model)
    tensors = network.cut_taps(len(ranges))
    fixed = _spread(network, tensors, ranges)
    operators = list(network.ops())
    tied = [[*inputs, *outputs] for name, inputs, outputs in operators if name in _ONE_SCALE]
    bounds = {**step_ranges(network.tensors), **joint_ranges(network.tensors, tied, operators)}
    bounds |= {index: (interval.minimum, interval.maximum) for index, interval in fixed.items()}
    for index, (low, high) in bounds.items():
        quantization = network.tensors[index].quantization
        quantization.min, quantization.max = [low], [high]
    fit_lstm_states(model, bounds)
    expose_unused(model)
    tflite = mlir_quantize(_packed(model), input_data_type=tf.int8, output_data_type=tf.int8)
    quantized = schema.ModelT.InitFromPackedBuf(tflite, 0)
    hide_unused(quantized)
    tflite = _packed(quantized)
    names = [tensor.name.decode() for tensor in network.tensors]
    stored = {names[index]: fixed[index] for index in tensors if not network.is_fused(index)}
    _check_kept(tflite, stored, names)
    return tflite


def _packed(model: schema.ModelT) -> bytes:
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), file_identifier=_FILE_IDENTIFIER)
    return bytes(builder.Output())


class _Network:
    """The main subgraph of a float model, to be changed in place."""

    def __init__(self, model: schema.ModelT) -> None:
        self._model = model
        self._subgraph = model.subgraphs[0]
        self._signature = model.signatureDefs[0]
        self.tensors = self._subgraph.tensors

    def cut_taps(self, count: int) -> list[int]:
        """Lead each quantizer's input around it, drop what it was made of, and return the tensors it acts on."""
        # output_0, output_1, ...: the model's own, then x and y of each tap
        outputs = sorted(self._signature.outputs, key=lambda entry: int(entry.name.rsplit(b"_", 1)[1]))
        own, taps = outputs[: len(outputs) - 2 * count], outputs[len(outputs) - 2 * count :]
        pairs = [(x.tensorIndex, y.tensorIndex) for x, y in zip(taps[::2], taps[1::2], strict=True)]
        source = {y: x for x, y in pairs if x != y}

        def around(index: int) -> int:
            while index in source:
                index = source[index]
            return index

        for op in self._subgraph.operators:
            op.inputs = [around(int(index)) for index in op.inputs]
        for entry in own:
            entry.tensorIndex = around(entry.tensorIndex)
        self._signature.outputs = own
        self._subgraph.outputs = [entry.tensorIndex for entry in own]
        self._drop_unused()
        return [around(x) for x, _ in pairs]

    def _drop_unused(self) -> None:
        needed = {int(index) for index in self._subgraph.outputs}
        kept = []
        for op in reversed(self._subgraph.operators):
            if needed.intersection(map(int, op.outputs)):
                kept.append(op)
                needed.update(map(int, op.inputs))
        self._subgraph.operators = kept[::-1]

    def ops(self) -> Iterator[Operator]:
        """Yield the name of each operator and the activations that it reads and writes, in the order of execution."""
        for op in self._subgraph.operators:
            code = self._model.operatorCodes[op.opcodeIndex]
            name = _OP_NAMES.get(max(code.builtinCode, code.deprecatedBuiltinCode), "")
            yield name, self._activations(op.inputs), self._activations(op.outputs)

    def _activations(self, indices: Sequence[int]) -> list[int]:
        present = [int(index) for index in indices if index >= 0]
        return [
            index
            for index in present
            if self.tensors[index].type == schema.TensorType.FLOAT32
            and self._model.buffers[self.tensors[index].buffer].data is None
        ]

    def is_fused(self, tensor: int) -> bool:
        """Return whether `tensor` goes into an activation function alone, and may vanish in its fusion."""
        readers = [name for name, inputs, _ in self.ops() if tensor in inputs]
        return len(readers) == 1 and readers[0] in _FUSED and tensor not in self._subgraph.outputs


def _spread(network: _Network, tensors: Sequence[int], ranges: Sequence[ActivationRange]) -> dict[int, ActivationRange]:
    """Return the ranges by tensor, also for the tensors to which TFLite gives the same scale.

    The stock quantiser would choose one range for all of those, and that need not be the layer's.
    """
    fixed: dict[int, ActivationRange] = {}
    for tensor, interval in zip(tensors, ranges, strict=True):
        _fix(fixed, tensor, interval, "one tensor")
    operators = list(network.ops())
    _spread_over_one_scale(fixed, operators)
    for name, inputs, outputs in operators:
        if name in _FUSED and inputs[0] in fixed:
            fixed.setdefault(outputs[0], fixed[inputs[0]])  # on the same grid, the function is exact
    _spread_over_one_scale(fixed, operators)
    for operator in operators:
        _check_can_be_kept(fixed, *operator)
    return fixed


def _spread_over_one_scale(fixed: dict[int, ActivationRange], operators: Sequence[Operator]) -> None:
    count = -1
    while count != len(fixed):
        count = len(fixed)
        for name, inputs, outputs in operators:
            if name not in _ONE_SCALE:
                continue
            known = [index for index in outputs if index in fixed]
            if not known and all(index in fixed for index in inputs):
                known = inputs
            for index in (*inputs, *outputs) if known else ():
                _fix(fixed, index, fixed[known[0]], f"the operands and results of one {name}")


def _check_can_be_kept(
    fixed: Mapping[int, ActivationRange], name: str, inputs: Sequence[int], outputs: Sequence[int]
) -> None:
    known = [fixed[index] for index in inputs if index in fixed]
    if name in _ONE_SCALE and known and outputs[0] not in fixed:
        raise ExportError(
            f"the ActivationQuantizer {known[0]} serves some operands of a {name}, but not all, and TFLite stores them "
            "with one scale: put one ActivationQuantizer behind it, or the same one before all operands"
        )
    if name in _FIXED_OUTPUT and outputs[0] in fixed:
        raise ExportError(
            f"the ActivationQuantizer {fixed[outputs[0]]} follows a {name}, for whose result TFLite prescribes a "
            "range: leave the layer out there"
        )


def _fix(fixed: dict[int, ActivationRange], tensor: int, interval: ActivationRange, where: str) -> None:
    other = fixed.setdefault(tensor, interval)
    if not other.agrees(interval):
        raise ExportError(
            f"the ActivationQuantizers {other} and {interval} give different ranges to {where}, which TFLite stores "
            "with one scale: use one layer for both, or leave one of them out"
        )


def _check_kept(tflite: bytes, stored: Mapping[str, ActivationRange], names: Sequence[str]) -> None:
    """Raise ExportError if a tensor of the quantised file has lost its range.

    Args:
        tflite: the quantised file.
        stored: the ranges by the tensors' names in the float file.
        names: of all tensors in the float file.
    """
    tensors = schema.ModelT.InitFromPackedBuf(tflite, 0).subgraphs[0].tensors
    quantizations = {
        tensor.name.decode(): tensor.quantization
        for tensor in tensors
        if tensor.type == schema.TensorType.INT8 and tensor.quantization.scale is not None
    }
    new = quantizations.keys() - set(names)

    def heirs(name: str) -> list[str]:
        """Return the names of the tensors that are, or may be, the one of this name in the float file."""
        if name in quantizations:
            return [name]
        # a number is put behind a name that is taken; "a;b" is what a fusion calls its result a, once computed from b
        renamed = [other for other in new if re.fullmatch(re.escape(name) + r"\d*", other.partition(";")[0])]
        # a padding in a convolution, say: its tensor is gone, the one before it has the same range
        return renamed or list(quantizations)

    lost = [
        str(interval)
        for name, interval in stored.items()
        if not any(interval.fits(quantizations[heir]) for heir in heirs(name))
    ]
    if lost:
        raise ExportError(
            f"TensorFlow's converter did not keep the range of the ActivationQuantizer {', '.join(lost)}: "
            "put it behind an operator that computes, such as a convolution, an addition or their activation function"
        )
