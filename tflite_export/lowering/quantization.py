"""QUANTIZE and DEQUANTIZE: floats at the edges of a model, and changes of scale within."""

from __future__ import annotations

from tflite_export.errors import ExportError
from tflite_export.graph import Op, Tensor
from tflite_export.kernel_call import KernelCall
from tflite_export.lowering.context import Context, Lowering
from tflite_export.lowering.op_shapes import activation, result
from tflite_export.lowering.tables import requantize

# The enum tern_integer_type.
_TYPES = {"int8": 0, "uint8": 1, "int16": 2}


def _quantize(op: Op, context: Context) -> list[KernelCall]:
    source = activation(op, 0, ("float32", "int8", "uint8"))
    if source.dtype == "float32":
        target = result(op, 0, tuple(_TYPES))
        return [_float_call(op, "tern_quantize_ref", source, target, target)]
    return [requantize(op, source, result(op, 0, ("int8", "uint8")))]


def _dequantize(op: Op, context: Context) -> list[KernelCall]:
    source, target = activation(op, 0, tuple(_TYPES)), result(op, 0, ("float32",))
    return [_float_call(op, "tern_dequantize_ref", source, target, source)]


def _float_call(op: Op, function: str, source: Tensor, target: Tensor, integers: Tensor) -> KernelCall:
    if source.size != target.size:
        raise ExportError(f"{op}: {source} and {target} should have as many elements")
    return KernelCall(
        op=op,
        function=function,
        struct="tern_quantize_params",
        fields={
            "size": integers.size,
            "type": _TYPES[integers.dtype],
            "zero_point": integers.zero_point,
            "scale": integers.scale,
        },
        inputs=(source,),
        output=target,
        reason="float at the edge of the model",
    )


LOWERINGS: dict[str, Lowering] = {
    "DEQUANTIZE": _dequantize,
    "QUANTIZE": _quantize,
}
