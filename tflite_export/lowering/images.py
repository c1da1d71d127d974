"""Operators that enlarge or rearrange images by more than a copy: padding, resizing, picking."""

from __future__ import annotations

import math

import numpy as np

from tflite_export.errors import ExportError
from tflite_export.graph import Op, Tensor
from tflite_export.kernel_call import Constant, KernelCall
from tflite_export.lowering.context import Context, Lowering
from tflite_export.lowering.op_shapes import (
    MAX_RANK,
    activation,
    constant,
    expect_same_quantization,
    expect_shape,
    full_rank,
    image_shape,
    option,
    result,
)

# Positions that a table in flash may hold.
_MAX_TABLE = 1 << 16


# RESIZE_BILINEAR counts positions in steps of 1 / 1024 of a pixel.
_ONE = 1 << 10


def _paddings(op: Op, source: Tensor, target: Tensor) -> np.ndarray:
    """How many elements go before and behind each dimension: int64 of shape (rank, 2)."""
    expect_same_quantization(op, source, target)
    paddings = np.asarray(constant(op, 1, "paddings"), np.int64)
    if paddings.shape != (len(source.shape), 2) or paddings.min() < 0:
        raise ExportError(f"{op}: its paddings {paddings.tolist()} do not fit {source}")
    expect_shape(op, target, tuple(int(sum(pads)) + n for n, pads in zip(source.shape, paddings, strict=True)))
    return paddings


def _pad(op: Op, context: Context) -> list[KernelCall]:
    source, target = activation(op, 0), result(op)
    paddings = _paddings(op, source, target)
    value = target.zero_point
    if op.name == "PADV2":
        (value,) = (int(number) for number in np.ravel(constant(op, 2, "value")))
    return [
        KernelCall(
            op=op,
            function="tern_pad_ref",
            struct="tern_pad_params",
            fields={
                "input": full_rank(op, source),
                "output": full_rank(op, target),
                "before": (0,) * (MAX_RANK - len(source.shape)) + tuple(int(before) for before, _ in paddings),
                "value": value,
            },
            inputs=(source,),
            output=target,
            source_view=None if paddings.any() else 0,
            reason="moves elements",
        )
    ]


def _mirror_pad(op: Op, context: Context) -> list[KernelCall]:
    source, target = activation(op, 0), result(op)
    paddings = _paddings(op, source, target)
    mode = option(op, "mode")
    if mode not in ("REFLECT", "SYMMETRIC"):
        raise ExportError(f"{op}: its mode {mode} is neither REFLECT nor SYMMETRIC")
    edge = int(mode == "REFLECT")  # it is not repeated
    if any(max(pads) > n - edge for n, pads in zip(source.shape, paddings, strict=True)):
        raise ExportError(f"{op}: its paddings {paddings.tolist()} are longer than what they mirror of {source}")
    # the last padded dimension is the columns, all before it are the rows
    last = max(np.flatnonzero(paddings.any(1)), default=len(source.shape) - 1)
    before, width = source.shape[:last], source.shape[last]
    _expect_table(op, max(math.prod(target.shape[:last]), target.shape[last]))
    rows, columns = (
        np.pad(np.arange(math.prod(sizes), dtype=np.int32).reshape(sizes), pads, mode.lower()).reshape(-1)
        for sizes, pads in ((before, paddings[:last]), ((width,), paddings[last : last + 1]))
    )
    shape = {"height": math.prod(before), "width": width, "channels": math.prod(source.shape[last + 1 :])}
    return [_by_position(op, "pick", shape, rows, columns)]


def _resize_nearest_neighbor(op: Op, context: Context) -> list[KernelCall]:
    shape, sizes = _resized(op)
    align, half = bool(option(op, "align_corners")), bool(option(op, "half_pixel_centers"))
    rows, columns = (
        _nearest(size, wanted, align, half)
        for size, wanted in zip((shape["height"], shape["width"]), sizes, strict=True)
    )
    return [_by_position(op, "pick", shape, rows, columns)]


def _resize_bilinear(op: Op, context: Context) -> list[KernelCall]:
    shape, sizes = _resized(op)
    align, half = bool(option(op, "align_corners")), bool(option(op, "half_pixel_centers"))
    if align and half:
        raise ExportError(f"{op}: it has both align_corners and half_pixel_centers, which exclude each other")
    rows, columns = (
        _between(op, size, wanted, align, half)
        for size, wanted in zip((shape["height"], shape["width"]), sizes, strict=True)
    )
    return [_by_position(op, "resize_bilinear", shape, rows, columns)]


def _between(op: Op, size: int, wanted: int, align_corners: bool, half_pixel_centers: bool) -> np.ndarray:
    """Where each of `wanted` positions lies among `size`, in steps of 1 / 1024 (TFLite ResizeBilinearInteger)."""
    inner, steps = (size - 1, wanted - 1) if align_corners and wanted > 1 else (size, wanted)
    scale = (_ONE * inner + steps // 2) // steps
    positions = np.arange(wanted, dtype=np.int64) * scale
    if half_pixel_centers:
        positions += scale // 2 - _ONE // 2
    # the scale is rounded: after many steps it may lead out of the image, and TFLite reads there
    if positions[-1] >= min(_ONE * size, 2**31 - _ONE):
        raise ExportError(
            f"{op}: resized from {size} to {wanted} positions, TFLite itself leaves the image: resize less"
        )
    return np.clip(positions, 0, _ONE * (size - 1)).astype(np.int32)


def _resized(op: Op) -> tuple[dict[str, int], list[int]]:
    """The shape of an image that is resized, and its new height and width."""
    source, target = activation(op, 0), result(op)
    sizes = [int(size) for size in np.ravel(constant(op, 1, "size"))]
    shape = image_shape(op, source)
    if len(sizes) != 2:
        raise ExportError(f"{op}: its size {sizes} is not a height and a width")
    expect_shape(op, target, (1, *sizes, shape["channels"]))
    _expect_table(op, max(sizes))
    expect_same_quantization(op, source, target)
    return shape, sizes


def _nearest(size: int, wanted: int, align_corners: bool, half_pixel_centers: bool) -> np.ndarray:
    """Which of `size` positions each of `wanted` takes (TFLite GetNearestNeighbor), in float32 as there."""
    scale = np.float32(size) / np.float32(wanted)
    if align_corners and wanted > 1:
        scale = np.float32(size - 1) / np.float32(wanted - 1)
    positions = (np.arange(wanted, dtype=np.float32) + np.float32(0.5 if half_pixel_centers else 0)) * scale
    whole = np.trunc(positions + np.float32(0.5)) if align_corners else np.floor(positions)
    return np.clip(whole, 0, size - 1).astype(np.int32)


def _expect_table(op: Op, positions: int) -> None:
    """Refuse what would take a table of positions larger than any model's."""
    if positions > _MAX_TABLE:
        raise ExportError(f"{op}: it takes a table of {positions:,} positions, more than {_MAX_TABLE:,}")


def _gather(op: Op, context: Context) -> list[KernelCall]:
    source, target = activation(op, 0), result(op)
    indices = np.asarray(constant(op, 1, "indices"))
    axis = int(option(op, "axis"))
    if op.options.get("batch_dims", 0) != 0:
        raise ExportError(f"{op}: batch dimensions are not supported")
    if not -len(source.shape) <= axis < len(source.shape):
        raise ExportError(f"{op}: its axis {axis} is not a dimension of {source}")
    axis %= len(source.shape)
    expect_shape(op, target, (*source.shape[:axis], *indices.shape, *source.shape[axis + 1 :]))
    expect_same_quantization(op, source, target)
    if indices.size and not 0 <= indices.min() <= indices.max() < source.shape[axis]:
        raise ExportError(f"{op}: its indices leave dimension {axis} of {source}")
    before = int(np.prod(source.shape[:axis], dtype=np.int64))
    _expect_table(op, before)
    after = int(np.prod(source.shape[axis + 1 :], dtype=np.int64))
    shape = {"height": before, "width": source.shape[axis], "channels": after}
    rows, columns = np.arange(before, dtype=np.int32), indices.reshape(-1).astype(np.int32)
    return [_by_position(op, "pick", shape, rows, columns)]


def _by_position(op: Op, kernel: str, shape: dict[str, int], rows: np.ndarray, columns: np.ndarray) -> KernelCall:
    """A kernel that makes an image of the input's at these positions."""
    return KernelCall(
        op=op,
        function=f"tern_{kernel}_ref",
        struct=f"tern_{kernel}_params",
        fields={
            "input": shape,
            "output_height": len(rows),
            "output_width": len(columns),
            "rows": Constant("rows", rows),
            "columns": Constant("columns", columns),
        },
        inputs=(activation(op, 0),),
        output=result(op),
        reason="moves elements" if kernel == "pick" else "the only kernel for it",
    )


LOWERINGS: dict[str, Lowering] = {
    "GATHER": _gather,
    "MIRROR_PAD": _mirror_pad,
    "PAD": _pad,
    "PADV2": _pad,
    "RESIZE_BILINEAR": _resize_bilinear,
    "RESIZE_NEAREST_NEIGHBOR": _resize_nearest_neighbor,
}
