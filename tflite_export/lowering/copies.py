"""Operators that move elements and compute nothing."""

from __future__ import annotations

import math

import numpy as np

from tflite_export.errors import ExportError
from tflite_export.graph import Op
from tflite_export.kernel_call import KernelCall
from tflite_export.lowering.context import Context, Lowering
from tflite_export.lowering.op_shapes import activation, expect_shape, result


def _reshape(op: Op, context: Context) -> list[KernelCall]:
    source, target = activation(op, 0), result(op)
    shape = op.inputs[1] if len(op.inputs) > 1 else None
    wanted = op.options.get("new_shape") if shape is None else shape.data
    if source.size != target.size or (shape is not None and wanted is None):
        raise ExportError(f"{op}: {source} cannot become {target}")
    if wanted is not None:
        sizes = np.ravel(wanted).tolist()
        rest = source.size // max(math.prod(n for n in sizes if n != -1), 1)
        expect_shape(op, target, tuple(rest if n == -1 else n for n in sizes))
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
