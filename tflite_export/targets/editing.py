"""Changing a `.tflite` file: its objects are edited, what nothing refers to any more is dropped, and it is written."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tflite_export.errors import ExportError

# Constants are read where they lie in the file. TFLite's own alignment of buffers.
_ALIGNMENT = 16
# Metadata that refers to tensors by their numbers, which change.
_NUMBERED_METADATA = (b"COMPRESSION_METADATA", b"OfflineMemoryAllocation")
_TYPES = {
    "int8": schema.TensorType.INT8,
    "uint8": schema.TensorType.UINT8,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
}


class Editor:
    """The main subgraph of a `.tflite` file, to be changed.

    Args:
        content: of a file that `Graph.read` accepts.

    Raises:
        ExportError: if what `Graph.read` does not look at is damaged, or could not be kept.

    Attributes:
        model: the file's objects.
        subgraph: the main one.
    """

    def __init__(self, content: bytes) -> None:
        with _damage_refused():
            self._read(content)
        for entry in _list(self.model.metadata):
            if entry.name in _NUMBERED_METADATA:
                name = entry.name.decode()
                raise ExportError(f"the .tflite file has {name}, which packing would invalidate: add it afterwards")
        self._constants: dict[tuple[str, str, tuple[int, ...], bytes], int] = {}

    def _read(self, content: bytes) -> None:
        self.model = schema.ModelT.InitFromPackedBuf(content, 0)
        self.subgraph = self.model.subgraphs[0]
        for buffer in self.model.buffers:
            if buffer.offset > 1:  # data behind the flatbuffer moves into it
                buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
                buffer.offset = buffer.size = 0
        for subgraph in self.model.subgraphs:
            for op in subgraph.operators:
                if op.largeCustomOptionsOffset > 1:
                    op.customOptions = np.frombuffer(
                        content, np.uint8, op.largeCustomOptionsSize, op.largeCustomOptionsOffset
                    )
                    op.largeCustomOptionsOffset = op.largeCustomOptionsSize = 0

    def add_constant(self, name: str, data: np.ndarray) -> int:
        """Add a constant tensor, or find the same one that was added before.

        Args:
            name: of the tensor.
            data: of any shape and one of the types int8, uint8, int32, int64.

        Returns:
            The tensor's index.
        """
        key = name, data.dtype.name, data.shape, data.tobytes()
        if key not in self._constants:
            tensor = schema.TensorT(
                shape=list(data.shape), type=_TYPES[data.dtype.name], buffer=len(self.model.buffers), name=name
            )
            little = data.astype(data.dtype.newbyteorder("<"))
            self.model.buffers.append(schema.BufferT(data=np.frombuffer(little.tobytes(), np.uint8)))
            self.subgraph.tensors.append(tensor)
            self._constants[key] = len(self.subgraph.tensors) - 1
        return self._constants[key]

    def own_input(self, op: int, place: int) -> int:
        """Make sure that no other operator reads an operator's input: a constant that is shared is copied.

        Args:
            op: index of the operator.
            place: of the tensor among its inputs.

        Returns:
            The index of the tensor that only this input is.
        """
        index = int(self.subgraph.operators[op].inputs[place])
        readers = sum(int(np.count_nonzero(np.equal(each.inputs, index))) for each in self.subgraph.operators)
        if readers == 1:
            return index
        inputs = np.array(self.subgraph.operators[op].inputs, np.int32)
        inputs[place] = len(self.subgraph.tensors)
        self.subgraph.operators[op].inputs = inputs
        self.subgraph.tensors.append(copy.deepcopy(self.subgraph.tensors[index]))
        return int(inputs[place])

    def set_data(self, index: int, data: np.ndarray, dtype: int | None = None) -> None:
        """Give a constant other values, in a buffer of its own.

        Args:
            index: of the tensor.
            data: of the tensor's own type; or bytes of another, uint8.
            dtype: the schema's number of that other type.
        """
        tensor = self.subgraph.tensors[index]
        little = data.astype(data.dtype.newbyteorder("<"))
        self.model.buffers.append(schema.BufferT(data=np.frombuffer(little.tobytes(), np.uint8)))
        tensor.buffer = len(self.model.buffers) - 1
        tensor.type = tensor.type if dtype is None else dtype

    def set_scales(self, index: int, scales: np.ndarray) -> None:
        """Give a tensor other scales, float32, as many as it has."""
        self.subgraph.tensors[index].quantization.scale = scales

    def make_custom(self, index: int, name: str, inputs: list[int], options: bytes) -> None:
        """Make an operator a custom one with the same outputs.

        Args:
            index: of the operator.
            name: the custom operator's name.
            inputs: its tensors; -1 for one that is left out.
            options: its custom options.
        """
        op = self.subgraph.operators[index]
        op.opcodeIndex = self._custom_code(name)
        op.inputs = np.array(inputs, np.int32)
        op.builtinOptionsType, op.builtinOptions = schema.BuiltinOptions.NONE, None
        op.customOptions = np.frombuffer(options, np.uint8)

    def _custom_code(self, name: str) -> int:
        codes = self.model.operatorCodes
        for index, code in enumerate(codes):
            if code.customCode in (name, name.encode()):  # bytes in what was read
                return index
        custom = schema.BuiltinOperator.CUSTOM
        codes.append(schema.OperatorCodeT(deprecatedBuiltinCode=custom, builtinCode=custom, customCode=name))
        return len(codes) - 1

    def content(self) -> bytes:
        """The changed file.

        Raises:
            ExportError: if what `Graph.read` does not look at is damaged.
        """
        with _damage_refused():
            self._drop_unused_tensors()
            self._drop_unused_buffers()
            self._drop_unused_codes()
        return self.whole_content()

    def whole_content(self) -> bytes:
        """The changed file with all that it held: tensors keep their numbers.

        Raises:
            ExportError: if what `Graph.read` does not look at is damaged.
        """
        with _damage_refused():
            builder = _Builder(1 << 16)
            builder.Finish(self.model.Pack(builder), file_identifier=b"TFL3")
            return bytes(builder.Output())

    def _drop_unused_tensors(self) -> None:
        for number, subgraph in enumerate(self.model.subgraphs):
            signatures = [each for each in _list(self.model.signatureDefs) if each.subgraphIndex == number]
            maps = [entry for each in signatures for entry in [*_list(each.inputs), *_list(each.outputs)]]
            lists = [subgraph.inputs, subgraph.outputs]
            lists += [each for op in subgraph.operators for each in (op.inputs, op.outputs, op.intermediates)]
            used = {int(index) for indices in lists for index in _list(indices)} - {-1}
            used |= {entry.tensorIndex for entry in maps}
            new = {old: index for index, old in enumerate(sorted(used))}
            subgraph.tensors = [subgraph.tensors[old] for old in sorted(used)]
            new[-1] = -1
            subgraph.inputs, subgraph.outputs = _renumbered(subgraph.inputs, new), _renumbered(subgraph.outputs, new)
            for op in subgraph.operators:
                op.inputs, op.outputs = _renumbered(op.inputs, new), _renumbered(op.outputs, new)
                op.intermediates = _renumbered(op.intermediates, new)
            for entry in maps:
                entry.tensorIndex = new[entry.tensorIndex]

    def _drop_unused_buffers(self) -> None:
        tensors = [tensor for subgraph in self.model.subgraphs for tensor in subgraph.tensors]
        metadata = _list(self.model.metadata)
        used = {0}  # the empty one, by convention
        used |= {holder.buffer for holder in [*tensors, *metadata]} | set(_list(self.model.metadataBuffer))
        new = {old: index for index, old in enumerate(sorted(used))}
        self.model.buffers = [self.model.buffers[old] for old in sorted(used)]
        for holder in [*tensors, *metadata]:
            holder.buffer = new[holder.buffer]
        self.model.metadataBuffer = _renumbered(self.model.metadataBuffer, new)

    def _drop_unused_codes(self) -> None:
        ops = [op for subgraph in self.model.subgraphs for op in subgraph.operators]
        used = sorted({op.opcodeIndex for op in ops})
        self.model.operatorCodes = [self.model.operatorCodes[old] for old in used]
        for op in ops:
            op.opcodeIndex = used.index(op.opcodeIndex)


class _Builder(flatbuffers.Builder):
    """Writes the data of buffers aligned, and equal strings once."""

    head: int  # where the file begins so far: it is written from its end

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._strings: dict[str | bytes, int] = {}

    def CreateString(self, s: Any, encoding: str = "utf-8", errors: str = "strict") -> int:  # noqa: N802
        if s not in self._strings:
            self._strings[s] = super().CreateString(s, encoding, errors)
        return self._strings[s]

    def CreateNumpyVector(self, x: np.ndarray) -> int:  # noqa: N802
        if x.dtype != np.uint8:
            return super().CreateNumpyVector(x)
        self.StartVector(1, x.size, _ALIGNMENT)
        self.head -= x.size
        self.Bytes[self.head : self.head + x.size] = x.tobytes()
        return self.EndVector()


@contextmanager
def _damage_refused() -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # the bindings fail in many ways on what a damaged file holds
        raise ExportError(
            f"the .tflite file is damaged ({type(error).__name__}: {error}); convert the model again"
        ) from error


def _list(packed: Any) -> Any:
    return () if packed is None else packed


def _renumbered(indices: Any, new: dict[int, int]) -> Any:
    return None if indices is None else np.array([new[int(index)] for index in indices], np.int32)
