"""A `.tflite` file as plain dataclasses: tensors, operators, and nothing that has to be looked up.

Reading needs LiteRT's schema bindings alone, never TensorFlow, so that looking into a file takes milliseconds.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tflite_export.errors import ExportError

_FILE_IDENTIFIER = b"TFL3"
_DTYPES: dict[int, np.dtype[Any]] = {
    schema.TensorType.INT8: np.dtype("int8"),
    schema.TensorType.UINT8: np.dtype("uint8"),
    schema.TensorType.INT16: np.dtype("int16"),
    schema.TensorType.INT32: np.dtype("int32"),
    schema.TensorType.INT64: np.dtype("int64"),
    schema.TensorType.FLOAT32: np.dtype("float32"),
    schema.TensorType.BOOL: np.dtype("bool"),
}


def _enum_names(enum: type) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if isinstance(value, int)}


_OP_NAMES = _enum_names(schema.BuiltinOperator)
_TYPE_NAMES = _enum_names(schema.TensorType)
_OPTION_ENUMS = {
    "padding": _enum_names(schema.Padding),
    "fused_activation_function": _enum_names(schema.ActivationFunctionType),
}


@dataclass(frozen=True, eq=False)
class Quantization:
    """`real = scale * (q - zero_point)`, per tensor or per slice along `axis`.

    Attributes:
        scales: float32, shape (1,) or (channels,).
        zero_points: int64, of the same shape.
        axis: the dimension that the scales run along; 0 where there is one scale.
    """

    scales: np.ndarray
    zero_points: np.ndarray
    axis: int


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor: a constant where `data` is there, else an activation.

    Attributes:
        index: its place in the file's list of tensors.
        name: as the converter called it; mostly the Keras layer's path.
        shape: dimensions, the batch included.
        dtype: a numpy type's name ("int8"), or the schema's own name where numpy has none ("INT4").
        quantization: scales and zero points, or None.
        data: the constant's values in `shape`, or None.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None
    data: np.ndarray | None = field(repr=False)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements, of a type that numpy has."""
        return self.size * np.dtype(self.dtype).itemsize

    @property
    def scale(self) -> float:
        """The only scale, exactly as the file's float32."""
        return float(self._per_tensor().scales[0])

    @property
    def zero_point(self) -> int:
        """The only zero point."""
        return int(self._per_tensor().zero_points[0])

    def _per_tensor(self) -> Quantization:
        if self.quantization is None or self.quantization.scales.size != 1:
            raise ExportError(f"{self} should have one scale and zero point for the whole tensor")
        return self.quantization

    def __str__(self) -> str:
        shape = "x".join(map(str, self.shape)) or "scalar"
        return f"tensor {self.index} '{self.name}' ({self.dtype} {shape})"


@dataclass(frozen=True, eq=False)
class Op:
    """An operator.

    Attributes:
        index: its place in the order of execution.
        name: the builtin's name, such as "CONV_2D", or "CUSTOM name".
        inputs: its tensors; None for one that is left out, such as a bias.
        outputs: what it computes.
        options: the builtin's options with names in snake case; padding and activation as their enum's names.
    """

    index: int
    name: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: dict[str, Any]

    def __str__(self) -> str:
        # fused operators list the names of all that they are made of
        output = f" '{self.outputs[0].name.split(';')[0][:80]}'" if self.outputs else ""
        return f"op {self.index} {self.name}{output}"


@dataclass(frozen=True, eq=False)
class Graph:
    """The main subgraph of a `.tflite` file.

    Attributes:
        tensors: every tensor, by index.
        ops: in their order of execution.
        inputs: the activations that the caller fills.
        outputs: the activations that the caller reads.
    """

    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @classmethod
    def read(cls, model: bytes | str | Path) -> Graph:
        """Read a `.tflite` file.

        Args:
            model: the file's content, or its path.

        Returns:
            The graph of its first subgraph.

        Raises:
            ExportError: if it is not a `.tflite` file, is damaged or cut short, or holds control flow.

        Example:
            >>> from tflite_export import Graph
            >>> Graph.read(b"not a model")
            Traceback (most recent call last):
            ...
            tflite_export.errors.ExportError: not a .tflite file: it lacks the identifier TFL3; give the bytes ...
        """
        content = bytes(model) if isinstance(model, bytes | bytearray) else _read_file(Path(model))
        if content[4:8] != _FILE_IDENTIFIER:
            raise ExportError(
                "not a .tflite file: it lacks the identifier TFL3; give the bytes or the path of a converted model"
            )
        try:
            packed = schema.ModelT.InitFromPackedBuf(content, 0)
            return _graph(packed, content)
        except ExportError:
            raise
        except Exception as error:  # the bindings fail in many ways on offsets that point nowhere
            raise ExportError(
                f"the .tflite file is damaged or cut short ({type(error).__name__}: {error}); convert the model again"
            ) from error


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ExportError(f"cannot read {path}: {error.strerror}") from error


def _graph(model: schema.ModelT, content: bytes) -> Graph:
    if not model.subgraphs or len(model.subgraphs) != 1:
        count = len(model.subgraphs or ())
        raise ExportError(f"expected one subgraph, found {count}: control flow cannot be exported")
    subgraph = model.subgraphs[0]
    tensors = tuple(_tensor(index, tensor, model, content) for index, tensor in enumerate(_list(subgraph.tensors)))
    ops = tuple(_op(index, op, model, tensors) for index, op in enumerate(_list(subgraph.operators)))
    inputs = tuple(tensors[i] for i in _indices(subgraph.inputs, tensors, "an input of the graph"))
    outputs = tuple(tensors[i] for i in _indices(subgraph.outputs, tensors, "an output of the graph"))
    if not ops or not inputs or not outputs:
        raise ExportError("the .tflite file has no operator, no input or no output: there is nothing to run")
    _check_order(ops, inputs, outputs)
    return Graph(tensors, ops, inputs, outputs)


def _check_order(ops: tuple[Op, ...], inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> None:
    known = {tensor.index for tensor in inputs}
    for op in ops:
        for tensor in op.inputs:
            if tensor is not None and tensor.data is None and tensor.index not in known:
                raise ExportError(f"{op} reads {tensor}, which nothing has computed: the file is damaged")
        known.update(tensor.index for tensor in op.outputs)
    for tensor in outputs:
        if tensor.index not in known:
            raise ExportError(f"the output {tensor} is computed by no operator: the file is damaged")


def _tensor(index: int, tensor: schema.TensorT, model: schema.ModelT, content: bytes) -> Tensor:
    name = (tensor.name or b"").decode("utf-8", "replace")
    shape = tuple(int(n) for n in _list(tensor.shape))
    if any(n <= 0 for n in shape):
        raise ExportError(f"tensor {index} '{name}' has the shape {shape}: give the model a fixed input shape")
    dtype: np.dtype[Any] | None = _DTYPES.get(tensor.type)
    return Tensor(
        index=index,
        name=name,
        shape=shape,
        dtype=dtype.name if dtype is not None else _TYPE_NAMES.get(tensor.type, f"type {tensor.type}"),
        quantization=_quantization(index, name, shape, tensor.quantization),
        data=_constant(index, name, shape, dtype, model.buffers[tensor.buffer], content),
    )


def _constant(
    index: int,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype | None,
    buffer: schema.BufferT,
    content: bytes,
) -> np.ndarray | None:
    if buffer.offset > 1:  # models above 2 GB, and some converters, keep the data behind the flatbuffer
        raw = np.frombuffer(content, np.uint8)[buffer.offset : buffer.offset + buffer.size]
    elif buffer.data is None or len(buffer.data) == 0:
        return None
    else:
        raw = np.asarray(buffer.data, np.uint8)
    if dtype is None:  # sub-byte types: kept as they are, for whoever names the type as not supported
        return raw
    expected = math.prod(shape) * dtype.itemsize
    if raw.size != expected:
        raise ExportError(
            f"tensor {index} '{name}' holds {raw.size} bytes, its shape {shape} needs {expected}: the file is damaged"
        )
    return raw.view(dtype).reshape(shape)


def _quantization(
    index: int, name: str, shape: tuple[int, ...], packed: schema.QuantizationParametersT | None
) -> Quantization | None:
    if packed is None or packed.scale is None or len(packed.scale) == 0:
        return None
    scales = np.asarray(packed.scale, np.float32)
    zero_points = np.zeros(scales.size, np.int64)
    if packed.zeroPoint is not None and len(packed.zeroPoint):
        zero_points = np.asarray(packed.zeroPoint, np.int64)
    axis = packed.quantizedDimension
    if zero_points.size != scales.size:
        raise ExportError(f"tensor {index} '{name}' has {scales.size} scales but {zero_points.size} zero points")
    if scales.size > 1 and not (0 <= axis < len(shape) and shape[axis] == scales.size):
        raise ExportError(f"tensor {index} '{name}' of shape {shape} has {scales.size} scales along dimension {axis}")
    if not (np.isfinite(scales).all() and (scales > 0).all()):
        raise ExportError(f"tensor {index} '{name}' has a scale that is not a positive finite number")
    return Quantization(scales, zero_points, axis if scales.size > 1 else 0)


def _op(index: int, op: schema.OperatorT, model: schema.ModelT, tensors: tuple[Tensor, ...]) -> Op:
    code = model.operatorCodes[op.opcodeIndex]
    builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
    name = _OP_NAMES.get(builtin, f"BUILTIN_{builtin}")
    if name == "CUSTOM":
        name = f"CUSTOM {(code.customCode or b'').decode('utf-8', 'replace')}"
    what = f"op {index} {name}"
    return Op(
        index=index,
        name=name,
        inputs=tuple(
            None if i is None else tensors[i] for i in _optional_indices(op.inputs, tensors, f"an input of {what}")
        ),
        outputs=tuple(tensors[i] for i in _indices(op.outputs, tensors, f"an output of {what}")),
        options=_options(op.builtinOptions),
    )


def _options(packed: Any) -> dict[str, Any]:
    if packed is None:
        return {}
    options = {re.sub(r"(?<!^)(?=[A-Z])", "_", key).lower(): value for key, value in vars(packed).items()}
    return {
        key: _OPTION_ENUMS[key].get(value, value) if key in _OPTION_ENUMS else value for key, value in options.items()
    }


def _optional_indices(packed: Any, tensors: tuple[Tensor, ...], what: str) -> list[int | None]:
    indices = [None if int(i) == -1 else int(i) for i in _list(packed)]
    for i in indices:
        if i is not None and not 0 <= i < len(tensors):
            raise ExportError(f"{what} is tensor {i}, but there are {len(tensors)}: the file is damaged")
    return indices


def _indices(packed: Any, tensors: tuple[Tensor, ...], what: str) -> list[int]:
    indices = [i for i in _optional_indices(packed, tensors, what) if i is not None]
    if len(indices) != len(_list(packed)):
        raise ExportError(f"{what} is left out: the file is damaged")
    return indices


def _list(packed: Any) -> Any:
    return () if packed is None else packed
