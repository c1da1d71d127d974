"""Damages `.tflite` files: the same file and seed give the same damage.

Bytes are flipped, cut and moved around, mostly outside of the constants, where a file's structure is. Or the file is
taken apart by the schema and put together again with some of its values replaced, by absurd and by plausible ones: a
plausible one leaves a valid file, which must then export to what the reference computes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

_INTEGERS = (-(2**31), -129, -128, -1, 0, 1, 2, 3, 4, 7, 8, 127, 128, 255, 1000, 65535, 65536, 2**20, 2**31 - 1)
_SCALES = (0.0, -1.0, np.nan, np.inf, -np.inf, 1e-45, 1e-38, 1.2e-38, 1e-20, 3e38, 1.0, 1 / 256)
_FLOATS = (0.0, -1.0, np.nan, np.inf, 1e-45, 3e38, 0.5, 1.0, 2.0)
_NAMES = (b"", b"\xff\xfe\x80", b"a" * 5000, "\u202e*/ \0 \\".encode(), b"x\n#include <stdio.h>")


def mutate(content: bytes, seed: int) -> bytes:
    """A damaged copy of a file.

    Args:
        content: of a `.tflite` file that is whole.
        seed: chooses the damage.
    """
    rng = np.random.default_rng(seed)
    if rng.random() < 0.35:
        return _mutate_bytes(content, rng)
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    mutations = _PLAUSIBLE if rng.random() < 0.5 else _STRUCTURE
    for _ in range(rng.integers(1, 4)):
        _pick(mutations, rng)(model, rng)
    builder = flatbuffers.Builder(len(content) + 1024)
    try:
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    except Exception:  # a value that its field cannot hold
        return _mutate_bytes(content, rng)
    packed = bytes(builder.Output())
    return _mutate_bytes(packed, rng) if rng.random() < 0.1 else packed


# --- bytes


def _mutate_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    data = bytearray(content)
    places = _structure(content) if rng.random() < 0.85 else np.arange(8, len(content))
    words = places[places % 4 == 0]
    words = words[words + 4 <= len(content)]

    def word() -> int:
        return int(rng.choice(words))

    kind = rng.integers(7)
    for _ in range(rng.integers(1, 5)):
        if kind == 0:
            data[int(rng.choice(places))] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[int(rng.choice(places))] = int(rng.integers(256))
        elif kind == 2:
            struct.pack_into("<i", data, word(), _INTEGERS[rng.integers(len(_INTEGERS))])
        elif kind == 3:
            a, b = word(), word()
            data[a : a + 4], data[b : b + 4] = data[b : b + 4], data[a : a + 4]
        elif kind == 4:  # an offset, moved by a little
            place = word()
            (old,) = struct.unpack_from("<I", data, place)
            struct.pack_into("<I", data, place, (old + int(rng.integers(-16, 17))) % 2**32)
        elif kind == 5:
            a, b = word(), word()
            size = min(int(rng.integers(4, 64)), len(data) - max(a, b))
            data[a : a + size] = data[b : b + size]
        else:
            return bytes(data[: int(rng.integers(0, len(data)))])
    return bytes(data)


def _structure(content: bytes) -> np.ndarray:
    """Positions of the bytes that are not a constant's."""
    whole = np.frombuffer(content, np.uint8)
    free = np.ones(len(content), bool)
    model = schema.Model.GetRootAs(content, 0)
    for i in range(model.BuffersLength()):
        if model.Buffers(i).DataLength():
            data = model.Buffers(i).DataAsNumpy()
            start = data.ctypes.data - whole.ctypes.data
            free[start : start + data.size] = False
    return np.flatnonzero(free)[8:]


# --- structure


def _pick(items: Sequence[Any], rng: np.random.Generator) -> Any:
    return items[rng.integers(len(items))]


def _any_tensor(model: Any, rng: np.random.Generator) -> Any:
    return _pick(model.subgraphs[0].tensors, rng)


def _any_op(model: Any, rng: np.random.Generator) -> Any:
    ops = model.subgraphs[0].operators
    return _pick(ops, rng) if ops else schema.OperatorT()


def _listed(values: Any) -> list[Any]:
    return [] if values is None else [value.item() if hasattr(value, "item") else value for value in values]


def _changed(values: Any, replacements: Sequence[Any], rng: np.random.Generator) -> list[Any]:
    """A list with an element replaced, left out, added, repeated, or two exchanged."""
    found = _listed(values)
    kind = rng.integers(6)
    if not found or kind == 0:
        return [*found, _pick(replacements, rng)]
    place = int(rng.integers(len(found)))
    if kind == 1:
        del found[place]
    elif kind == 2:
        other = int(rng.integers(len(found)))
        found[place], found[other] = found[other], found[place]
    else:
        found[place] = _pick(replacements, rng)
    return found


def _shape(model: Any, rng: np.random.Generator) -> None:
    tensor = _any_tensor(model, rng)
    old = _listed(tensor.shape)
    near = [n + d for n in old for d in (-1, 1, n)]
    tensor.shape = _changed(old, [*_INTEGERS, *near], rng)
    if rng.random() < 0.2:
        tensor.shapeSignature = _changed(tensor.shapeSignature, _INTEGERS, rng)


def _turn(model: Any, rng: np.random.Generator) -> None:
    """Dimensions exchanged in all activations of a shape: what follows from each other still fits."""
    shape = _listed(_any_tensor(model, rng).shape)
    turned = [shape[i] for i in rng.permutation(len(shape))]
    for tensor in model.subgraphs[0].tensors:
        data = model.buffers[tensor.buffer].data if tensor.buffer < len(model.buffers) else None
        if _listed(tensor.shape) == shape and (data is None or len(data) == 0):
            tensor.shape = turned


def _type(model: Any, rng: np.random.Generator) -> None:
    _any_tensor(model, rng).type = int(rng.integers(-1, 24))


def _tensor_buffer(model: Any, rng: np.random.Generator) -> None:
    _any_tensor(model, rng).buffer = int(rng.integers(0, len(model.buffers) + 2))


def _tensor_flags(model: Any, rng: np.random.Generator) -> None:
    tensor = _any_tensor(model, rng)
    kind = rng.integers(4)
    if kind == 0:
        tensor.isVariable = not tensor.isVariable
    elif kind == 1:
        tensor.hasRank = not tensor.hasRank
    elif kind == 2:
        tensor.externalBuffer = int(rng.integers(0, 3))
    else:
        tensor.name = _pick(_NAMES, rng)


def _quantization(model: Any, rng: np.random.Generator) -> None:
    tensor = _any_tensor(model, rng)
    packed = tensor.quantization
    if packed is None or packed.scale is None or rng.random() < 0.05:
        tensor.quantization = None if packed is not None else schema.QuantizationParametersT()
        return
    scales = _listed(packed.scale)
    kind = rng.integers(3)
    if kind == 0:
        packed.scale = _changed(scales, _SCALES, rng)
    elif kind == 1:
        packed.zeroPoint = _changed(packed.zeroPoint, [*_INTEGERS, -(2**63), 2**63 - 1], rng)
    else:
        packed.quantizedDimension = int(rng.integers(-1, 5))


def _rescale(model: Any, rng: np.random.Generator) -> None:
    """Other scales, of one tensor or of all those that have one, or another zero point."""
    tensors = [tensor for tensor in model.subgraphs[0].tensors if tensor.quantization is not None]
    tensors = [tensor for tensor in tensors if tensor.quantization.scale is not None]
    if not tensors:
        return
    activations = [tensor for tensor in tensors if len(tensor.quantization.scale) == 1]
    if activations and rng.random() < 0.5:
        _pick(activations, rng).quantization.zeroPoint = [int(rng.integers(-128, 128))]
        return
    factor = float(np.exp(rng.normal(0, _pick((0.001, 0.5, 4.0), rng))))
    for tensor in tensors if rng.random() < 0.3 else [_pick(tensors, rng)]:
        tensor.quantization.scale = [float(np.float32(scale * factor)) for scale in tensor.quantization.scale]


def _revalue(model: Any, rng: np.random.Generator) -> None:
    """Other values in a constant: some of them, or copies of one that is there."""
    buffers = [buffer for buffer in model.buffers if buffer.data is not None and len(buffer.data)]
    if not buffers:
        return
    buffer = _pick(buffers, rng)
    data = np.array(buffer.data, np.uint8)
    places = rng.integers(0, data.size, int(rng.integers(1, 1 + min(200, data.size))))
    data[places] = rng.integers(0, 256, places.size) if rng.random() < 0.5 else _pick(data, rng)
    buffer.data = data


def _op_tensors(model: Any, rng: np.random.Generator) -> None:
    op = _any_op(model, rng)
    count = len(model.subgraphs[0].tensors)
    indices = [-2, -1, *range(count), count, *_INTEGERS, *_listed(op.inputs), *_listed(op.outputs)]
    field = _pick(("inputs", "inputs", "outputs", "intermediates"), rng)
    setattr(op, field, _changed(getattr(op, field), indices, rng))


def _op_code(model: Any, rng: np.random.Generator) -> None:
    if rng.random() < 0.5:
        _any_op(model, rng).opcodeIndex = int(rng.integers(0, len(model.operatorCodes) + 1))
        return
    code = _pick(model.operatorCodes, rng)
    kind = rng.integers(3)
    if kind == 0:
        code.builtinCode = code.deprecatedBuiltinCode = int(rng.integers(0, 127))
    elif kind == 1:
        code.builtinCode = int(_pick((-1, 127, 128, 150, 210, 1000, 2**31 - 1), rng))
    else:
        code.version = int(rng.integers(-1, 9))


def _options(model: Any, rng: np.random.Generator) -> None:
    op = _any_op(model, rng)
    fields = vars(op.builtinOptions) if op.builtinOptions is not None else {}
    if not fields or rng.random() < 0.1:
        op.builtinOptionsType = int(rng.integers(0, 120))
        if rng.random() < 0.3:
            op.builtinOptionsType, op.builtinOptions = 0, None
        return
    name = _pick(sorted(fields), rng)
    value = fields[name]
    if isinstance(value, bool):
        fields[name] = not value
    elif isinstance(value, float):
        fields[name] = _pick(_FLOATS, rng)
    elif isinstance(value, int):
        fields[name] = _pick([*_INTEGERS, value + 1, value - 1, 2 * value], rng)
    elif not isinstance(value, str | bytes):
        fields[name] = _changed(value, _INTEGERS, rng)


def _order(model: Any, rng: np.random.Generator) -> None:
    ops = model.subgraphs[0].operators
    place = int(rng.integers(len(ops)))
    kind = rng.integers(3)
    if kind == 0:
        other = int(rng.integers(len(ops)))
        ops[place], ops[other] = ops[other], ops[place]
    elif kind == 1:
        ops.insert(place, ops[place])
    elif len(ops) > 1:
        del ops[place]


def _interface(model: Any, rng: np.random.Generator) -> None:
    graph = model.subgraphs[0]
    indices = [-1, *range(len(graph.tensors)), len(graph.tensors)]
    field = _pick(("inputs", "outputs"), rng)
    setattr(graph, field, _changed(getattr(graph, field), indices, rng))


def _buffer(model: Any, rng: np.random.Generator) -> None:
    buffer = _pick(model.buffers, rng)
    if buffer.data is None or rng.random() < 0.1:
        buffer.offset, buffer.size = int(_pick((0, 1, 2, 64, 2**40, 2**64 - 1), rng)), int(rng.integers(0, 64))
        return
    data = np.array(buffer.data, np.uint8)
    kind = rng.integers(5)
    if kind == 0:
        buffer.data = data[: int(rng.integers(0, data.size))] if data.size else data
    elif kind == 1:
        buffer.data = np.append(data, np.zeros(int(rng.integers(1, 9)), np.uint8))
    elif kind == 2:
        buffer.data = None
    else:
        places = rng.integers(0, data.size, min(8, data.size)) if data.size else []
        data[places] = rng.integers(0, 256, len(places))
        buffer.data = data


def _subgraphs(model: Any, rng: np.random.Generator) -> None:
    kind = rng.integers(4)
    if kind == 0:
        model.subgraphs = [*model.subgraphs, model.subgraphs[0]]
    elif kind == 1:
        model.version = int(_pick(_INTEGERS, rng)) % 2**32
    elif kind == 2:
        model.buffers = model.buffers[: int(rng.integers(len(model.buffers)))]
    else:
        model.subgraphs[0].tensors = model.subgraphs[0].tensors[: int(rng.integers(1, 9))]


_Mutation = Callable[[Any, np.random.Generator], None]
_PLAUSIBLE: tuple[_Mutation, ...] = (
    *(_rescale, _rescale, _rescale, _revalue, _revalue, _turn, _options, _order, _op_tensors, _interface),
)
_STRUCTURE: tuple[_Mutation, ...] = (
    *(_shape, _shape, _shape, _type, _tensor_buffer, _tensor_flags, _quantization, _quantization, _rescale),
    *(_op_tensors, _op_tensors, _op_code, _options, _options, _options, _order, _interface, _buffer, _buffer),
    _subgraphs,
)
