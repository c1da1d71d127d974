"""Operators that sum up a part of their input: pooling, means."""

from __future__ import annotations

import math

import numpy as np

from tflite_export import requantization as rq
from tflite_export.errors import ExportError
from tflite_export.graph import Op, Tensor
from tflite_export.kernel_call import KernelCall
from tflite_export.lowering.context import Context, Lowering
from tflite_export.lowering.op_shapes import (
    MAX_RANK,
    activation,
    constant,
    expect_channels,
    expect_same_quantization,
    expect_shape,
    full_rank,
    image_shape,
    in_place_windows,
    option,
    positive_option,
    result,
    window,
)

# What `tern_*_words` sum up: channels at a time, and the most values that their sums of 16 bits hold.
_WORD = 4
_LARGEST_WINDOW = 256
# Twice the sum of so many differences of an int8 to a zero point fits an int32.
_LARGEST_COUNT = (2**31 - 1) // 512


def _pool2d(op: Op, context: Context) -> list[KernelCall]:
    source, target = activation(op, 0), result(op)
    expect_channels(op, target, image_shape(op, source)["channels"])
    # LiteRT's own tolerance; the kernels do not rescale
    if abs(source.scale - target.scale) > 1e-6 or source.zero_point != target.zero_point:
        raise ExportError(f"{op}: the scales of {source} and {target} differ")
    minimum, maximum = rq.activation_range(op, target)
    kernel = (positive_option(op, "filter_height"), positive_option(op, "filter_width"))
    geometry = window(op, source, target, *kernel)
    by_words = image_shape(op, source)["channels"] >= _WORD and math.prod(kernel) <= _LARGEST_WINDOW
    return [
        KernelCall(
            op=op,
            function=f"tern_{op.name.lower().replace('_2d', '2d')}_{'words' if by_words else 'ref'}",
            struct="tern_pool2d_params",
            fields={
                "input": image_shape(op, source),
                "output": image_shape(op, target),
                "window": geometry,
                "minimum": minimum,
                "maximum": maximum,
            },
            inputs=(source,),
            output=target,
            in_place=in_place_windows(op, source, target, geometry),
        )
    ]


def _reduction(op: Op) -> tuple[Tensor, Tensor, tuple[int, ...], int]:
    """Input and output of a reduction, which of `MAX_RANK` dimensions it takes away, and how many values become one."""
    source, target = activation(op, 0), result(op)
    axes = [int(axis) for axis in np.ravel(constant(op, 1, "axes"))]
    rank = len(source.shape)
    if not rank or any(not -rank <= axis < rank for axis in axes):
        raise ExportError(f"{op}: its axes {axes} are not dimensions of {source}")
    keep_dims = option(op, "keep_dims")
    reduced = {axis % rank for axis in axes}
    kept = [1 if axis in reduced else n for axis, n in enumerate(source.shape) if keep_dims or axis not in reduced]
    expect_shape(op, target, tuple(kept))
    marks = (0,) * (MAX_RANK - rank) + tuple(int(axis in reduced) for axis in range(rank))
    return source, target, marks, math.prod(source.shape[axis] for axis in reduced)


def _mean(op: Op, context: Context) -> list[KernelCall]:
    source, target, reduced, count = _reduction(op)
    multiplier, shift = rq.mean_multiplier(source, target, count)
    words = _blocks(full_rank(op, source), reduced)
    if words is not None and -31 <= shift <= -1:
        return [
            KernelCall(
                op=op,
                function="tern_mean_words",
                struct="tern_mean_words_params",
                fields={
                    **words,
                    "input_zero_point": source.zero_point,
                    "output_zero_point": target.zero_point,
                    "multiplier": multiplier,
                    "shift": shift,
                },
                inputs=(source,),
                output=target,
                in_place=(0,),
            )
        ]
    return [
        KernelCall(
            op=op,
            function="tern_mean_ref",
            struct="tern_mean_params",
            fields={
                "shape": full_rank(op, source),
                "reduced": reduced,
                "input_zero_point": source.zero_point,
                "output_zero_point": target.zero_point,
                "multiplier": multiplier,
                "shift": shift,
            },
            inputs=(source,),
            output=target,
            in_place=(0,),
        )
    ]


def _blocks(shape: tuple[int, ...], reduced: tuple[int, ...]) -> dict[str, int] | None:
    """`outer`, `count` and `inner` where the dimensions that are reduced lie side by side, before others; else None."""
    axes = [axis for axis, size in enumerate(shape) if reduced[axis] and size > 1]
    if not axes:
        return None
    first, last = axes[0], axes[-1]
    count, inner = math.prod(shape[first : last + 1]), math.prod(shape[last + 1 :])
    between = math.prod(size for axis, size in enumerate(shape[first : last + 1], first) if not reduced[axis])
    if between != 1 or inner < _WORD or count > _LARGEST_COUNT:
        return None
    return {"outer": math.prod(shape[:first]), "count": count, "inner": inner}


def _reduce_extreme(op: Op, context: Context) -> list[KernelCall]:
    source, target, reduced, _ = _reduction(op)
    expect_same_quantization(op, source, target)
    return [
        KernelCall(
            op=op,
            function=f"tern_{op.name.lower()}_ref",
            struct="tern_reduce_params",
            fields={"shape": full_rank(op, source), "reduced": reduced},
            inputs=(source,),
            output=target,
        )
    ]


LOWERINGS: dict[str, Lowering] = {
    "AVERAGE_POOL_2D": _pool2d,
    "MAX_POOL_2D": _pool2d,
    "MEAN": _mean,
    "REDUCE_MAX": _reduce_extreme,
    "REDUCE_MIN": _reduce_extreme,
}
