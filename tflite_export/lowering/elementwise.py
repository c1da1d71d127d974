"""Operators that compute every element of the output from the elements at its place."""

from __future__ import annotations

from tflite_export import requantization as rq
from tflite_export.errors import ExportError
from tflite_export.graph import Op
from tflite_export.kernel_call import KernelCall
from tflite_export.lowering.context import Context, Lowering
from tflite_export.lowering.op_shapes import activation, broadcast_strides, full_rank, result


def _add(op: Op, context: Context) -> list[KernelCall]:
    sources, target = (activation(op, 0), activation(op, 1)), result(op)
    shape = full_rank(op, target)
    if tuple(map(max, full_rank(op, sources[0]), full_rank(op, sources[1]))) != shape:
        raise ExportError(f"{op}: the sum of {sources[0]} and {sources[1]} is not {target}")
    (m0, s0), (m1, s1), (m_out, s_out) = rq.add_multipliers(sources, target)
    minimum, maximum = rq.activation_range(op, target)
    return [
        KernelCall(
            op=op,
            function="tern_add_ref",
            struct="tern_add_params",
            fields={
                "shape": shape,
                "strides": tuple(broadcast_strides(op, tensor, shape) for tensor in sources),
                "zero_point": tuple(tensor.zero_point for tensor in sources),
                "multiplier": (m0, m1),
                "shift": (s0, s1),
                "left_shift": rq.ADD_LEFT_SHIFT,
                "output_zero_point": target.zero_point,
                "output_multiplier": m_out,
                "output_shift": s_out,
                "minimum": minimum,
                "maximum": maximum,
            },
            inputs=sources,
            output=target,
            in_place=tuple(i for i, tensor in enumerate(sources) if tensor.size == target.size),
        )
    ]


LOWERINGS: dict[str, Lowering] = {
    "ADD": _add,
}
