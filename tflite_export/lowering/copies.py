"""Operators that move elements and compute nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from tflite_export.errors import ExportError
from tflite_export.graph import Op, Tensor
from tflite_export.kernel_call import KernelCall
from tflite_export.lowering.context import Context, Lowering
from tflite_export.lowering.op_shapes import (
    activation,
    constant,
    expect_same_quantization,
    expect_shape,
    option,
    result,
)
from tflite_export.lowering.views import copy, whole

_DTYPES = ("int8", "uint8", "int16", "int32", "float32", "bool")


def _operands(op: Op) -> tuple[Tensor, Tensor]:
    """The input and the output of an operator with one of each: of one type, and one quantisation."""
    source, target = activation(op, 0, _DTYPES), result(op, 0, _DTYPES)
    expect_same_quantization(op, source, target)
    return source, target


def _integers(op: Op, index: int, what: str) -> list[int]:
    return [int(value) for value in np.ravel(constant(op, index, what))]


def _axis(op: Op, axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ExportError(f"{op}: its axis {axis} is not one of {rank} dimensions")
    return axis % rank


def _copy_whole(op: Op, target_shape: Sequence[int]) -> list[KernelCall]:
    source, target = _operands(op)
    if source.size != target.size:
        raise ExportError(f"{op}: {source} cannot become {target}")
    expect_shape(op, target, tuple(target_shape))
    return [copy(op, source, target, whole(source).reshape(-1), whole(target).reshape(-1))]


def _reshape(op: Op, context: Context) -> list[KernelCall]:
    source, target = _operands(op)
    shape = op.inputs[1] if len(op.inputs) > 1 else None
    wanted = op.options.get("new_shape") if shape is None else constant(op, 1, "shape")
    if wanted is None:
        return _copy_whole(op, target.shape)
    sizes = [int(size) for size in np.ravel(wanted)]
    rest = source.size // max(math.prod(size for size in sizes if size != -1), 1)
    return _copy_whole(op, [rest if size == -1 else size for size in sizes])


def _squeeze_or_expand(op: Op, context: Context) -> list[KernelCall]:
    return _copy_whole(op, op.outputs[0].shape)


def _transpose(op: Op, context: Context) -> list[KernelCall]:
    source, target = _operands(op)
    order = _integers(op, 1, "permutation")
    if sorted(order) != list(range(len(source.shape))):
        raise ExportError(f"{op}: its permutation {order} is not one of the dimensions of {source}")
    return [copy(op, source, target, whole(source).transpose(order), whole(target))]


def _slice(op: Op, context: Context) -> list[KernelCall]:
    source, target = _operands(op)
    begins, sizes = _integers(op, 1, "begin"), _integers(op, 2, "size")
    if len(begins) != len(source.shape) or len(sizes) != len(source.shape):
        raise ExportError(f"{op}: its begin {begins} and size {sizes} should have a value a dimension of {source}")
    ends = [n if size == -1 else begin + size for begin, size, n in zip(begins, sizes, source.shape, strict=True)]
    if any(not 0 <= begin < end <= n for begin, end, n in zip(begins, ends, source.shape, strict=True)):
        raise ExportError(f"{op}: the slice from {begins} of size {sizes} leaves {source}")
    parts = tuple(slice(begin, end) for begin, end in zip(begins, ends, strict=True))
    return [copy(op, source, target, whole(source)[parts], whole(target))]


def _strided_slice(op: Op, context: Context) -> list[KernelCall]:
    source, target = _operands(op)
    view = strided_view(op, whole(source))
    if view.size != target.size:
        raise ExportError(f"{op}: the slice of {source} has the shape {view.shape}, {target} another")
    return [copy(op, source, target, view, whole(target).reshape(view.shape))]


def strided_view(op: Op, source: np.ndarray) -> np.ndarray:
    """What STRIDED_SLICE takes of an array.

    Raises:
        ExportError: if the operands do not fit each other or the array.
    """
    begins, ends, steps = (_integers(op, i, what) for i, what in enumerate(("begin", "end", "strides"), 1))
    if not len(begins) == len(ends) == len(steps) or 0 in steps:
        raise ExportError(f"{op}: its begin {begins}, end {ends} and strides {steps} do not fit together")
    masks = {key: int(option(op, f"{key}_mask")) for key in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    parts: list[Any] = []
    for i, (begin, end, step) in enumerate(zip(begins, ends, steps, strict=True)):
        marked = {key: bool(mask >> i & 1) for key, mask in masks.items()}
        if marked["ellipsis"]:
            parts.append(Ellipsis)
        elif marked["new_axis"]:
            parts.append(None)
        elif marked["shrink_axis"]:
            parts.append(begin)
        else:
            parts.append(slice(None if marked["begin"] else begin, None if marked["end"] else end, step))
    try:
        return source[tuple(parts)]
    except IndexError as error:
        raise ExportError(f"{op}: {op.inputs[0]} has no such slice: {error}") from error


def _split(op: Op, context: Context) -> list[KernelCall]:
    source = activation(op, 1, _DTYPES)
    (axis,) = _integers(op, 0, "axis")[:1] or [0]
    axis = _axis(op, axis, len(source.shape))
    size, remainder = divmod(source.shape[axis], len(op.outputs))
    if remainder:
        raise ExportError(f"{op}: {source} cannot be split in {len(op.outputs)} along dimension {axis}")
    return _parts(op, source, axis, [size] * len(op.outputs))


def _split_v(op: Op, context: Context) -> list[KernelCall]:
    source = activation(op, 0, _DTYPES)
    sizes, axes = _integers(op, 1, "sizes"), _integers(op, 2, "axis")
    axis = _axis(op, axes[0] if axes else 0, len(source.shape))
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = source.shape[axis] - sum(size for size in sizes if size != -1)
    return _parts(op, source, axis, sizes)


def _parts(op: Op, source: Tensor, axis: int, sizes: list[int]) -> list[KernelCall]:
    if len(sizes) != len(op.outputs) or sum(sizes) != source.shape[axis] or min(sizes) < 1:
        raise ExportError(f"{op}: {source} cannot be split into {sizes} along dimension {axis}")
    calls = []
    for i, (size, end) in enumerate(zip(sizes, accumulate(sizes), strict=True)):
        target = result(op, i, _DTYPES)
        expect_same_quantization(op, source, target)
        view = np.moveaxis(np.moveaxis(whole(source), axis, 0)[end - size : end], 0, axis)
        calls.append(copy(op, source, target, view, whole(target)))
    return calls


def _unpack(op: Op, context: Context) -> list[KernelCall]:
    source = activation(op, 0, _DTYPES)
    axis = _axis(op, option(op, "axis"), len(source.shape))
    if len(op.outputs) != source.shape[axis]:
        raise ExportError(f"{op}: {source} has {source.shape[axis]} parts along dimension {axis}, not as many outputs")
    calls = []
    for i, view in enumerate(np.moveaxis(whole(source), axis, 0)):
        target = result(op, i, _DTYPES)
        expect_same_quantization(op, source, target)
        calls.append(copy(op, source, target, view, whole(target)))
    return calls


def _concatenation(op: Op, context: Context) -> list[KernelCall]:
    target = result(op, 0, _DTYPES)
    axis = _axis(op, option(op, "axis"), len(target.shape))
    if op.options.get("fused_activation_function", "NONE") != "NONE":
        raise ExportError(f"{op}: a fused activation function is not supported here")
    calls, end = [], 0
    for i in range(len(op.inputs)):
        source = activation(op, i, _DTYPES)
        expect_same_quantization(op, source, target)
        if len(source.shape) != len(target.shape):
            raise ExportError(f"{op}: {source} and {target} should have as many dimensions")
        begin, end = end, end + source.shape[axis]
        view = np.moveaxis(np.moveaxis(whole(target), axis, 0)[begin:end], 0, axis)
        calls.append(copy(op, source, target, whole(source), view))
    if end != target.shape[axis]:
        raise ExportError(f"{op}: its inputs are {end} long along dimension {axis}, {target} is not")
    return calls


def _pack(op: Op, context: Context) -> list[KernelCall]:
    target = result(op, 0, _DTYPES)
    axis = _axis(op, option(op, "axis"), len(target.shape))
    if len(op.inputs) != target.shape[axis]:
        raise ExportError(f"{op}: {target} has {target.shape[axis]} parts along dimension {axis}, not as many inputs")
    calls = []
    for i, view in enumerate(np.moveaxis(whole(target), axis, 0)):
        source = activation(op, i, _DTYPES)
        expect_same_quantization(op, source, target)
        calls.append(copy(op, source, target, whole(source), view))
    return calls


def _tile(op: Op, context: Context) -> list[KernelCall]:
    source, target = _operands(op)
    times = _integers(op, 1, "multiples")
    if len(times) != len(source.shape) or min(times, default=1) < 1:
        raise ExportError(f"{op}: its multiples {times} do not fit {source}")
    expect_shape(op, target, tuple(n * k for n, k in zip(source.shape, times, strict=True)))
    pairs = [size for pair in zip(times, source.shape, strict=True) for size in pair]
    repeated = whole(source).reshape([size for n in source.shape for size in (1, n)])
    return [copy(op, source, target, np.broadcast_to(repeated, pairs), whole(target).reshape(pairs))]


def _broadcast_to(op: Op, context: Context) -> list[KernelCall]:
    source, target = _operands(op)
    expect_shape(op, target, tuple(_integers(op, 1, "shape")))
    try:
        view = np.broadcast_to(whole(source), target.shape)
    except ValueError as error:
        raise ExportError(f"{op}: {source} cannot be broadcast to {target}") from error
    return [copy(op, source, target, view, whole(target))]


def _reverse(op: Op, context: Context) -> list[KernelCall]:
    source, target = _operands(op)
    axes = [_axis(op, axis, len(source.shape)) for axis in _integers(op, 1, "axes")]
    return [copy(op, source, target, np.flip(whole(source), tuple(axes)), whole(target))]


def _space_to_depth(op: Op, context: Context) -> list[KernelCall]:
    source, target = _operands(op)
    return [copy(op, source, target, _blocks(op, source), _depths(op, target))]


def _depth_to_space(op: Op, context: Context) -> list[KernelCall]:
    source, target = _operands(op)
    return [copy(op, source, target, _depths(op, source), _blocks(op, target))]


def _blocks(op: Op, tensor: Tensor) -> np.ndarray:
    """An image as (batch, rows of blocks, columns of blocks, row in block, column in block, channel)."""
    block = option(op, "block_size")
    if len(tensor.shape) != 4 or block < 1 or tensor.shape[1] % block or tensor.shape[2] % block:
        raise ExportError(f"{op}: {tensor} does not consist of blocks of {block}")
    batch, height, width, channels = tensor.shape
    blocks = whole(tensor).reshape(batch, height // block, block, width // block, block, channels)
    return blocks.transpose(0, 1, 3, 2, 4, 5)


def _depths(op: Op, tensor: Tensor) -> np.ndarray:
    """An image whose channels hold blocks, in the order of `_blocks`."""
    block = option(op, "block_size")
    if len(tensor.shape) != 4 or block < 1 or tensor.shape[3] % block**2:
        raise ExportError(f"{op}: the channels of {tensor} do not hold blocks of {block}")
    return whole(tensor).reshape(*tensor.shape[:3], block, block, tensor.shape[3] // block**2)


LOWERINGS: dict[str, Lowering] = {
    "BROADCAST_TO": _broadcast_to,
    "CONCATENATION": _concatenation,
    "DEPTH_TO_SPACE": _depth_to_space,
    "EXPAND_DIMS": _squeeze_or_expand,
    "PACK": _pack,
    "RESHAPE": _reshape,
    "REVERSE_V2": _reverse,
    "SLICE": _slice,
    "SPACE_TO_DEPTH": _space_to_depth,
    "SPLIT": _split,
    "SPLIT_V": _split_v,
    "SQUEEZE": _squeeze_or_expand,
    "STRIDED_SLICE": _strided_slice,
    "TILE": _tile,
    "TRANSPOSE": _transpose,
    "UNPACK": _unpack,
}
