"""Activation functions."""

from __future__ import annotations

from tflite_export import requantization as rq
from tflite_export.errors import ExportError
from tflite_export.graph import Op
from tflite_export.kernel_call import KernelCall
from tflite_export.lowering.context import Context, Lowering
from tflite_export.lowering.op_shapes import activation, option, result

# The sum of more exponentials than this may overflow the kernel's 12 integer bits.
SOFTMAX_MAX_DEPTH = 8191


def _softmax(op: Op, context: Context) -> list[KernelCall]:
    source, target = activation(op, 0), result(op)
    if (target.scale, target.zero_point) != (1 / 256, -128):
        raise ExportError(f"{op}: {target} should have the scale 1/256 and the zero point -128")
    if not source.shape or source.shape != target.shape or source.shape[-1] > SOFTMAX_MAX_DEPTH:
        raise ExportError(f"{op}: {source} should have the shape of {target}, at most {SOFTMAX_MAX_DEPTH} values a row")
    multiplier, shift, difference_minimum = rq.softmax_parameters(option(op, "beta"), source)
    depth = source.shape[-1]
    return [
        KernelCall(
            op=op,
            function="tern_softmax_ref",
            struct="tern_softmax_params",
            fields={
                "rows": source.size // depth,
                "depth": depth,
                "multiplier": multiplier,
                "shift": shift,
                "difference_minimum": difference_minimum,
            },
            inputs=(source,),
            output=target,
            in_place=(0,),
        )
    ]


LOWERINGS: dict[str, Lowering] = {
    "SOFTMAX": _softmax,
}
