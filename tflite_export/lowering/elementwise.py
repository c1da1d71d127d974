"""Operators that compute every element of the output from the elements of two inputs at its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tflite_export import requantization as rq
from tflite_export.errors import ExportError
from tflite_export.graph import Op, Tensor
from tflite_export.kernel_call import Field, KernelCall
from tflite_export.lowering.add_linear import with_linear_sum
from tflite_export.lowering.context import Context, Lowering
from tflite_export.lowering.op_shapes import (
    activation,
    broadcast_strides,
    expect_same_quantization,
    full_rank,
    result,
)


def _pair(op: Op, function: str, struct: str, fields: Mapping[str, Field]) -> list[KernelCall]:
    """The call of a kernel of two tensors, either of which may be broadcast."""
    sources, target = _operands(op)
    shape = full_rank(op, target)
    if tuple(map(max, full_rank(op, sources[0]), full_rank(op, sources[1]))) != shape:
        raise ExportError(f"{op}: {sources[0]} and {sources[1]} do not give {target}")
    return [
        KernelCall(
            op=op,
            function=function,
            struct=struct,
            fields={
                "shape": shape,
                "strides": tuple(broadcast_strides(op, tensor, shape) for tensor in sources),
                **fields,
            },
            inputs=sources,
            output=target,
            in_place=tuple(i for i, tensor in enumerate(sources) if tensor.size == target.size),
        )
    ]


def _operands(op: Op) -> tuple[tuple[Tensor, Tensor], Tensor]:
    return (activation(op, 0), activation(op, 1)), result(op)


def _add_or_sub(op: Op, context: Context) -> list[KernelCall]:
    sources, target = _operands(op)
    multipliers = rq.add_multipliers(sources, target)
    calls = _sum(op, multipliers, rq.ADD_LEFT_SHIFT, rq.activation_range(op, target))
    return [with_linear_sum(call) for call in calls]


def _squared_difference(op: Op, context: Context) -> list[KernelCall]:
    multipliers = rq.squared_difference_multipliers(*_operands(op))
    return _sum(op, multipliers, rq.SQUARED_DIFFERENCE_LEFT_SHIFT, (-128, 127))


def _sum(op: Op, multipliers: Sequence[tuple[int, int]], left_shift: int, clamp: tuple[int, int]) -> list[KernelCall]:
    """The call of a kernel of `add_ref.c`."""
    sources, target = _operands(op)
    (m0, s0), (m1, s1), (m_out, s_out) = multipliers
    minimum, maximum = clamp
    fields: dict[str, Field] = {
        "zero_point": tuple(tensor.zero_point for tensor in sources),
        "multiplier": (m0, m1),
        "shift": (s0, s1),
        "left_shift": left_shift,
        "output_zero_point": target.zero_point,
        "output_multiplier": m_out,
        "output_shift": s_out,
        "minimum": minimum,
        "maximum": maximum,
    }
    return _pair(op, f"tern_{op.name.lower()}_ref", "tern_add_params", fields)


def _mul(op: Op, context: Context) -> list[KernelCall]:
    sources, target = _operands(op)
    multiplier, shift = rq.quantize_multiplier(rq.float32_ratio([tensor.scale for tensor in sources], target.scale))
    minimum, maximum = rq.activation_range(op, target)
    fields: dict[str, Field] = {
        "zero_point": tuple(tensor.zero_point for tensor in sources),
        "output_zero_point": target.zero_point,
        "multiplier": multiplier,
        "shift": shift,
        "minimum": minimum,
        "maximum": maximum,
    }
    return _pair(op, "tern_mul_ref", "tern_mul_params", fields)


def _prelu(op: Op, context: Context) -> list[KernelCall]:
    sources, target = _operands(op)
    identity = rq.quantize_multiplier(rq.float32_ratio([sources[0].scale], target.scale))
    sloped = rq.quantize_multiplier(rq.float32_ratio([tensor.scale for tensor in sources], target.scale))
    fields: dict[str, Field] = {
        "zero_point": tuple(tensor.zero_point for tensor in sources),
        "output_zero_point": target.zero_point,
        "multiplier": (identity[0], sloped[0]),
        "shift": (identity[1], sloped[1]),
    }
    return _pair(op, "tern_prelu_ref", "tern_prelu_params", fields)


def _choice(op: Op, context: Context) -> list[KernelCall]:
    sources, target = _operands(op)
    for source in sources:
        expect_same_quantization(op, source, target)
    return _pair(op, f"tern_{op.name.lower()}_ref", "tern_choice_params", {})


LOWERINGS: dict[str, Lowering] = {
    "ADD": _add_or_sub,
    "MAXIMUM": _choice,
    "MINIMUM": _choice,
    "MUL": _mul,
    "PRELU": _prelu,
    "SQUARED_DIFFERENCE": _squared_difference,
    "SUB": _add_or_sub,
}
