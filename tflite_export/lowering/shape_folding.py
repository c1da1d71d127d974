"""Shapes that a file computes while it runs, as the converter leaves them where the batch is open: constants here.

A graph has one sample and fixed shapes, so all of it is known beforehand.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from tflite_export.errors import ExportError
from tflite_export.graph import Graph, Op, Tensor
from tflite_export.lowering.copies import strided_view
from tflite_export.lowering.op_shapes import option

# More values than a shape has in any file that a converter makes.
_LONGEST = 16
_DTYPES = ("int32", "int64")


def fold_shapes(graph: Graph) -> list[Op]:
    """Compute what depends on shapes alone.

    Args:
        graph: of fixed shapes.

    Returns:
        The operators that are left, which read constants where they read a computed shape.

    Raises:
        ExportError: if such an operator does not fit its operands.
    """
    known: dict[int, Tensor] = {}
    kept = []
    for op in graph.ops:
        inputs = tuple(None if tensor is None else known.get(tensor.index, tensor) for tensor in op.inputs)
        if any(new is not old for new, old in zip(inputs, op.inputs, strict=True)):
            op = dataclasses.replace(op, inputs=inputs)
        if op.name not in _FOLDS or len(op.outputs) != 1 or not _is_of_shapes(op):
            kept.append(op)
            continue
        (target,) = op.outputs
        values = _FOLDS[op.name](op)
        if values.size != target.size:
            raise ExportError(f"{op}: {target} should have {values.size} elements")
        known[target.index] = dataclasses.replace(target, data=values.astype(target.dtype).reshape(target.shape))
    return kept


def _is_of_shapes(op: Op) -> bool:
    """Whether it makes a few integers of shapes or of integers that are known."""
    if not op.inputs or op.outputs[0].dtype not in _DTYPES or op.outputs[0].size > _LONGEST:
        return False
    return op.name == "SHAPE" or all(
        tensor is not None and tensor.data is not None and tensor.data.dtype.kind == "i" for tensor in op.inputs
    )


def _shape(op: Op) -> np.ndarray:
    source = op.inputs[0]
    if source is None:
        raise ExportError(f"{op}: its input 0 is missing")
    return np.array(source.shape, np.int64)


def _strided_slice(op: Op) -> np.ndarray:
    return np.asarray(strided_view(op, _constants(op)[0]))


def _pack(op: Op) -> np.ndarray:
    return _joined(op, np.stack)


def _concatenation(op: Op) -> np.ndarray:
    return _joined(op, np.concatenate)


def _joined(op: Op, join: Callable[..., np.ndarray]) -> np.ndarray:
    axis = int(option(op, "axis"))
    try:
        return join(_constants(op), axis=axis)
    except ValueError as error:  # numpy's AxisError is one too
        raise ExportError(f"{op}: its inputs cannot be joined along dimension {axis}: {error}") from error


def _constants(op: Op) -> list[np.ndarray]:
    return [tensor.data for tensor in op.inputs if tensor is not None and tensor.data is not None]


_FOLDS: Mapping[str, Callable[[Op], np.ndarray]] = {
    "CONCATENATION": _concatenation,
    "PACK": _pack,
    "SHAPE": _shape,
    "STRIDED_SLICE": _strided_slice,
}
