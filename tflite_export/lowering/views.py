"""A part of a tensor as a view, in the manner of NumPy: shape, strides and offset, without the elements.

NumPy itself does the arithmetic of slices, transpositions and broadcasting, on an array that owns no memory.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tflite_export.errors import ExportError
from tflite_export.graph import Op, Tensor
from tflite_export.kernel_call import KernelCall

# TERN_COPY_RANK of tern_copy.h.
_COPY_RANK = 6


def whole(tensor: Tensor) -> np.ndarray:
    """A view of all of a tensor. Its elements must not be read: there are none."""
    strides = [math.prod(tensor.shape[i + 1 :]) for i in range(len(tensor.shape))]
    return np.lib.stride_tricks.as_strided(np.zeros(1, np.int8), tensor.shape, strides)


def copy(op: Op, source: Tensor, target: Tensor, from_view: np.ndarray, to_view: np.ndarray) -> KernelCall:
    """The copy of a part of one tensor to a part of another.

    Args:
        op: the operator.
        source: the tensor that `from_view` is of.
        target: the tensor that `to_view` is of.
        from_view: what is copied, made of `whole(source)`.
        to_view: where it goes, made of `whole(target)`, of the same shape.

    Returns:
        The call; where the part is all of a tensor and lies in one piece of the other, it says that no copy is needed
        where they may share memory.

    Raises:
        ExportError: if the shapes differ, or the copy has more dimensions than the kernel.
    """
    if from_view.shape != to_view.shape:
        raise ExportError(f"{op}: {source} gives a shape of {from_view.shape} where {target} takes {to_view.shape}")
    dimensions = _merged(list(zip(from_view.shape, from_view.strides, to_view.strides, strict=True)))
    if len(dimensions) > _COPY_RANK:
        raise ExportError(f"{op}: {source} is moved to {target} along {len(dimensions)} dimensions, not {_COPY_RANK}")
    padded = [(1, 0, 0)] * (_COPY_RANK - len(dimensions)) + dimensions
    offsets = [_offset(view) for view in (from_view, to_view)]
    element_bytes = source.nbytes // source.size
    contiguous = not dimensions or (len(dimensions) == 1 and dimensions[0][1:] == (1, 1))
    return KernelCall(
        op=op,
        function="tern_copy_ref",
        struct="tern_copy_params",
        fields={
            "element_bytes": element_bytes,
            "shape": tuple(size for size, _, _ in padded),
            "input_strides": tuple(stride for _, stride, _ in padded),
            "output_strides": tuple(stride for _, _, stride in padded),
            "input_offset": offsets[0],
            "output_offset": offsets[1],
        },
        inputs=(source,),
        output=target,
        source_view=offsets[0] * element_bytes if contiguous and to_view.size == target.size else None,
        target_view=offsets[1] * element_bytes if contiguous and from_view.size == source.size else None,
        reason="moves elements",
    )


def _merged(dimensions: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Without dimensions of one element, and neighbours that step alike as one."""
    merged: list[tuple[int, int, int]] = []
    for size, *strides in dimensions:
        if size == 1:
            continue
        if merged and all(outer == inner * size for outer, inner in zip(merged[-1][1:], strides, strict=True)):
            size *= merged.pop()[0]
        merged.append((size, strides[0], strides[1]))
    return merged


def _offset(view: np.ndarray) -> int:
    """Elements between the tensor's first and the view's."""
    base: Any = view
    while base.base is not None and isinstance(base.base, np.ndarray):
        base = base.base
    return view.__array_interface__["data"][0] - base.__array_interface__["data"][0]
