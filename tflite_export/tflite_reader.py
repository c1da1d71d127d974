"""From the bytes of a `.tflite` to a `Graph`.

Files come from anywhere: nothing in them is believed before it is checked. The schema's accessors look up one field at
a time, so that reading takes milliseconds and constants stay views of the file. They follow offsets without looking:
what can be endless in a crafted file is counted here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tflite_export.errors import ExportError
from tflite_export.graph import Graph, Op, Quantization, Tensor
from tflite_export.tensor_types import constant_bytes, integer_range, type_name, unpack

_FILE_IDENTIFIER = b"TFL3"
_VERSION = 3
# Kernels count elements and bytes in int32.
_MAX_BYTES = 2**31 - 1
_MAX_RANK = 32
# Tables in one vector: tensors, operators, buffers. More would be a file made to keep its reader busy.
_MAX_TABLES = 1 << 14
# Tensors may share a buffer, as those of an unrolled loop do, but all constants together stay below this and the file.
_MAX_CONSTANT_BYTES = 1 << 26

_Entry = TypeVar("_Entry")


def _enum_names(enum: type) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if isinstance(value, int)}


_OP_NAMES = _enum_names(schema.BuiltinOperator)
_OPTION_ENUMS = {
    "padding": _enum_names(schema.Padding),
    "fused_activation_function": _enum_names(schema.ActivationFunctionType),
    "mode": _enum_names(schema.MirrorPadMode),
}
_OPTION_TYPES = _enum_names(schema.BuiltinOptions)
# The options of operators whose own name is not that of their options.
_SHARED_OPTIONS = {
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"), "Pool2DOptions"),
    **dict.fromkeys(
        ("MEAN", "SUM", "REDUCE_PROD", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_ANY", "REDUCE_ALL"), "ReducerOptions"
    ),
    **dict.fromkeys(("MAXIMUM", "MINIMUM"), "MaximumMinimumOptions"),
    "L2_NORMALIZATION": "L2NormOptions",
    "UNIDIRECTIONAL_SEQUENCE_RNN": "SequenceRNNOptions",
}


def _squeezed(name: str) -> str:
    return name.replace("_", "").lower()


_OWN_OPTIONS = {_squeezed(name.removesuffix("Options")): name for name in _OPTION_TYPES.values()}


def read_graph(content: bytes) -> Graph:
    """Read a `.tflite` file; see `Graph.read`.

    Args:
        content: of the file. The graph's constants are views of it.

    Raises:
        ExportError: as `Graph.read` does.
    """
    if content[4:8] != _FILE_IDENTIFIER:
        raise ExportError(
            "not a .tflite file: it lacks the identifier TFL3; give the bytes or the path of a converted model"
        )
    try:
        return _Reader(content).graph()
    except (ExportError, MemoryError):
        raise
    except Exception as error:  # the bindings fail in many ways on offsets that point nowhere
        raise ExportError(
            f"the .tflite file is damaged or cut short ({type(error).__name__}: {error}); convert the model again"
        ) from error


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._model = schema.Model.GetRootAs(content, 0)
        self._buffers = self._entries(self._model.BuffersLength(), self._model.Buffers, "buffers")
        self._codes = self._entries(self._model.OperatorCodesLength(), self._model.OperatorCodes, "operator codes")
        # What the bytes of names and lists may add up to. In an honest file each byte belongs to one of them, at most.
        self._allowance = 2 * len(content)
        self._constant_allowance = _MAX_CONSTANT_BYTES + len(content)

    def graph(self) -> Graph:
        if self._model.Version() != _VERSION:
            raise ExportError(f"the .tflite file has the version {self._model.Version()}, not {_VERSION}")
        if self._model.SubgraphsLength() < 1:
            raise ExportError("the .tflite file has no subgraph: there is nothing to run")
        main = self._model.Subgraphs(0)
        tensors = tuple(
            self._tensor(index, tensor)
            for index, tensor in enumerate(self._entries(main.TensorsLength(), main.Tensors, "tensors"))
        )
        ops = tuple(
            self._op(index, op, tensors)
            for index, op in enumerate(self._entries(main.OperatorsLength(), main.Operators, "operators"))
        )
        inputs = self._tensors(main.InputsAsNumpy(), tensors, "an input of the graph")
        outputs = self._tensors(main.OutputsAsNumpy(), tensors, "an output of the graph")
        if not ops or not inputs or not outputs:
            raise ExportError("the .tflite file has no operator, no input or no output: there is nothing to run")
        _check_order(ops, inputs, outputs)
        return Graph(tensors, ops, inputs, outputs, self._model.SubgraphsLength())

    # --- tensors

    def _tensor(self, index: int, packed: schema.Tensor) -> Tensor:
        name = self._text(packed.Name())
        what = f"tensor {index} '{name}'"
        shape = tuple(self._list(packed.ShapeAsNumpy()))
        if len(shape) > _MAX_RANK:
            raise ExportError(f"{what} has {len(shape)} dimensions, more than {_MAX_RANK}: the file is damaged")
        if any(n < 0 for n in shape):
            raise ExportError(f"{what} has the shape {shape}: give the model a fixed input shape")
        dtype = type_name(packed.Type())
        count = math.prod(shape)
        if max(count, constant_bytes(dtype, count) or 0) > _MAX_BYTES:
            raise ExportError(f"{what} has the shape {shape}, more than {_MAX_BYTES:,} bytes: the file is damaged")
        if packed.ExternalBuffer() != 0:
            raise ExportError(f"{what} keeps its data in another file: convert the model into one file")
        if packed.Sparsity() is not None:
            raise ExportError(f"{what} is stored sparse: convert the model without sparsity")
        data = self._constant(what, shape, dtype, packed.Buffer())
        variable = packed.IsVariable()
        if variable and data is not None:
            raise ExportError(f"{what} is a constant and a variable: the file is damaged")
        quantization = self._quantization(what, shape, dtype, packed.Quantization())
        return Tensor(index, name, shape, dtype, quantization, data, variable)

    def _constant(self, what: str, shape: tuple[int, ...], dtype: str, buffer: int) -> np.ndarray | None:
        count = math.prod(shape)
        raw = self._bytes(what, buffer)
        if raw is None:
            if count:
                return None
            raw = np.empty(0, np.uint8)
        expected = constant_bytes(dtype, count)
        if expected is not None and raw.size != expected:
            raise ExportError(
                f"{what} holds {raw.size} bytes, its shape {shape} of {dtype} needs {expected}: the file is damaged"
            )
        self._constant_allowance -= max(raw.size, count)
        if self._constant_allowance < 0:
            raise ExportError("the .tflite file's constants are many times as large as the file: it is damaged")
        return unpack(raw, dtype, shape, count)

    def _bytes(self, what: str, index: int) -> np.ndarray | None:
        if index >= len(self._buffers):
            raise ExportError(f"{what} is in buffer {index}, but there are {len(self._buffers)}: the file is damaged")
        buffer = self._buffers[index]
        if index == 0:  # which stands for none
            return None
        if buffer.DataLength():
            return buffer.DataAsNumpy()
        start, size = buffer.Offset(), buffer.Size()
        if start <= 1:
            return None
        if start + size > len(self._content):  # behind the flatbuffer, where models above 2 GB keep their data
            raise ExportError(f"{what} lies beyond the end of the file, which is cut short")
        return np.frombuffer(self._content, np.uint8, size, start)

    def _quantization(
        self, what: str, shape: tuple[int, ...], dtype: str, packed: schema.QuantizationParameters | None
    ) -> Quantization | None:
        if packed is None or packed.ScaleLength() == 0:
            return None
        self._spend(4 * packed.ScaleLength() + 8 * packed.ZeroPointLength())
        scales = packed.ScaleAsNumpy()
        zero_points = packed.ZeroPointAsNumpy() if packed.ZeroPointLength() else np.zeros(scales.size, np.int64)
        axis = packed.QuantizedDimension()
        if zero_points.size != scales.size:
            raise ExportError(f"{what} has {scales.size} scales but {zero_points.size} zero points")
        if len(shape) == 1:
            axis = 0  # old converters give a bias the dimension of its weights
        if scales.size > 1 and not (0 <= axis < len(shape) and shape[axis] == scales.size):
            raise ExportError(f"{what} of shape {shape} has {scales.size} scales along dimension {axis}")
        if not np.all((scales >= np.finfo(np.float32).tiny) & (scales < np.inf)):
            raise ExportError(f"{what} has a scale that is not a positive finite number (of normal magnitude)")
        low, high = integer_range(dtype) or (0, 0)
        if high and not np.all((zero_points >= low) & (zero_points <= high)):
            raise ExportError(f"{what} has a zero point outside of {dtype}")
        return Quantization(scales, zero_points, axis if scales.size > 1 else 0)

    # --- operators

    def _op(self, index: int, packed: schema.Operator, tensors: tuple[Tensor, ...]) -> Op:
        if packed.OpcodeIndex() >= len(self._codes):
            raise ExportError(f"op {index} has the code {packed.OpcodeIndex()}, of {len(self._codes)}: it is damaged")
        code = self._codes[packed.OpcodeIndex()]
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        name = _OP_NAMES.get(builtin, f"BUILTIN_{builtin}")
        what = f"op {index} {name}"
        options = _options(what, name, packed)
        if name == "CUSTOM":
            name = f"CUSTOM {self._text(code.CustomCode())}"
            self._spend(packed.CustomOptionsLength())
            options["custom_options"] = b"" if packed.CustomOptionsIsNone() else packed.CustomOptionsAsNumpy().tobytes()
        return Op(
            index=index,
            name=name,
            inputs=self._optional_tensors(packed.InputsAsNumpy(), tensors, f"an input of {what}"),
            outputs=self._tensors(packed.OutputsAsNumpy(), tensors, f"an output of {what}"),
            options=options,
            intermediates=self._tensors(packed.IntermediatesAsNumpy(), tensors, f"an intermediate of {what}"),
        )

    def _optional_tensors(self, packed: Any, tensors: tuple[Tensor, ...], what: str) -> tuple[Tensor | None, ...]:
        indices = self._list(packed)
        for i in indices:
            if not -1 <= i < len(tensors):
                raise ExportError(f"{what} is tensor {i}, but there are {len(tensors)}: the file is damaged")
        return tuple(None if i == -1 else tensors[i] for i in indices)

    def _tensors(self, packed: Any, tensors: tuple[Tensor, ...], what: str) -> tuple[Tensor, ...]:
        found = self._optional_tensors(packed, tensors, what)
        present = tuple(tensor for tensor in found if tensor is not None)
        if len(present) != len(found):
            raise ExportError(f"{what} is left out: the file is damaged")
        return present

    # --- what the accessors return

    def _entries(self, count: int, entry: Callable[[int], _Entry | None], what: str) -> list[_Entry]:
        if count > _MAX_TABLES:
            raise ExportError(f"the .tflite file has {count:,} {what}, more than {_MAX_TABLES:,}: it is damaged")
        found = [entry(i) for i in range(count)]
        return [each for each in found if each is not None]

    def _list(self, packed: Any) -> list[int]:
        if isinstance(packed, int):  # the accessors' 0 for a vector that is not there
            return []
        self._spend(packed.nbytes)
        return packed.tolist()

    def _text(self, packed: bytes | None) -> str:
        self._spend(len(packed or b""))
        return (packed or b"").decode("utf-8", "replace")

    def _spend(self, amount: int) -> None:
        self._allowance -= amount
        if self._allowance < 0:
            raise ExportError("the .tflite file's lists and names are larger than the file: it is damaged")


def _options(what: str, name: str, packed: schema.Operator) -> dict[str, Any]:
    kind = packed.BuiltinOptionsType()
    expected = _SHARED_OPTIONS.get(name, _OWN_OPTIONS.get(_squeezed(name)))
    found = _OPTION_TYPES.get(kind, f"type {kind}")
    # TFLite takes the options of another operator for none at all
    if kind and expected and found != expected:
        raise ExportError(f"{what} has {found} where {expected} should be: the file is damaged")
    options: dict[str, Any] = {}
    for unpacked in (
        schema.BuiltinOptionsCreator(kind, packed.BuiltinOptions()),
        schema.BuiltinOptions2Creator(packed.BuiltinOptions2Type(), packed.BuiltinOptions2()),
    ):
        if unpacked is not None:
            options |= {re.sub(r"(?<!^)(?=[A-Z])", "_", key).lower(): value for key, value in vars(unpacked).items()}
    for key, names in _OPTION_ENUMS.items():
        if isinstance(options.get(key), int):
            options[key] = names.get(options[key], options[key])
    return options


def _check_order(ops: tuple[Op, ...], inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> None:
    known: set[int] = set()
    for tensor in inputs:
        _claim(tensor, known, "the graph's inputs")
    for op in ops:
        for operand in op.inputs:
            if operand is not None and not (operand.data is not None or operand.variable or operand.index in known):
                raise ExportError(f"{op} reads {operand}, which nothing has computed: the file is damaged")
        for tensor in op.outputs:
            if tensor.variable:
                raise ExportError(f"{op} computes {tensor}, which is a variable: the file is damaged")
            _claim(tensor, known, str(op))
    for tensor in outputs:
        if tensor.index not in known:
            raise ExportError(f"the output {tensor} is computed by no operator: the file is damaged")


def _claim(tensor: Tensor, known: set[int], owner: str) -> None:
    if tensor.size == 0:
        raise ExportError(f"{tensor} has no elements: give the model a fixed input shape")
    if tensor.data is not None:
        raise ExportError(f"{tensor} of {owner} is a constant: the file is damaged")
    if tensor.index in known:
        raise ExportError(f"{tensor} of {owner} is an input or computed already: the file is damaged")
    known.add(tensor.index)
