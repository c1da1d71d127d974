"""Operators that move elements and compute nothing."""

from __future__ import annotations

from tflite_export.errors import ExportError
from tflite_export.graph import Op
from tflite_export.kernel_call import KernelCall
from tflite_export.lowering.context import Context, Lowering
from tflite_export.lowering.op_shapes import activation, result


def _reshape(op: Op, context: Context) -> list[KernelCall]:
    source, target = activation(op, 0), result(op)
    if source.size != target.size:
        raise ExportError(f"{op}: {source} cannot become {target}")
    return [
        KernelCall(
            op=op,
            function="tern_reshape_ref",
            struct="tern_reshape_params",
            fields={"size": source.size},
            inputs=(source,),
            output=target,
            source_view=0,
        )
    ]


LOWERINGS: dict[str, Lowering] = {
    "RESHAPE": _reshape,
}
