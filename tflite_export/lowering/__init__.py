"""From TFLite's operators to calls of `micro/`'s kernels: which function, with which parameters and constants.

A module a family of operators. The names of the fields are those of the structs in `tern.h`, in their order. Nothing
here knows how C is written or where tensors lie.
"""

from __future__ import annotations

from tflite_export.boards import DEFAULT_CORE, get_core
from tflite_export.errors import ExportError
from tflite_export.graph import Graph
from tflite_export.kernel_call import KernelCall
from tflite_export.levels import find_planes
from tflite_export.lowering import (
    activations,
    copies,
    elementwise,
    images,
    pooling,
    quantization,
    recurrent,
    tables,
    weighted,
)
from tflite_export.lowering.context import Context, Lowering
from tflite_export.lowering.shape_folding import fold_shapes

OPTIMIZE = ("speed", "size")
# Of a model's inputs and outputs; between them all activations are int8.
INTERFACE_DTYPES = ("int8", "uint8", "int16", "float32")

LOWERINGS: dict[str, Lowering] = {
    **activations.LOWERINGS,
    **copies.LOWERINGS,
    **elementwise.LOWERINGS,
    **images.LOWERINGS,
    **pooling.LOWERINGS,
    **quantization.LOWERINGS,
    **recurrent.LOWERINGS,
    **tables.LOWERINGS,
    **weighted.LOWERINGS,
}


def lower(graph: Graph, optimize: str = "speed", core: str = DEFAULT_CORE) -> list[KernelCall]:
    """Translate every operator of a graph.

    Args:
        graph: of a fully quantised int8 model with a batch of one.
        optimize: "speed" or "size": what the choice of kernel and weight format prefers.
        core: a name of `tflite_export.boards.CORES`, which that choice is made for.

    Returns:
        Calls in the order of execution, one or more an operator.

    Raises:
        ExportError: if the core is unknown, or if any operator or tensor is not supported; all of them are named in
            one message.
    """
    context = Context(find_planes(graph), optimize, get_core(core))
    calls: list[KernelCall] = []
    problems: list[str] = []
    check_interface(graph)
    for op in fold_shapes(graph):
        lowering = LOWERINGS.get(op.name)
        if lowering is None:
            problems.append(f"{op}: no kernel for this operator")
            continue
        try:
            calls += lowering(op, context)
        except ExportError as error:
            problems.append(str(error))
    if problems:
        if any(op.name == "SHAPE" for op in graph.ops):
            problems.append("the file's batch is open, which may be why: tflite_export.convert fixes it at 1")
        raise ExportError(
            "\n  ".join(["the model cannot be exported to C:", *problems])
            + f"\nsupported are int8 models (tflite_export.convert) of {', '.join(sorted(LOWERINGS))}; "
            "the target int8 alone takes any"
        )
    return calls


def check_optimize(optimize: str) -> None:
    """Refuse what is neither "speed" nor "size".

    Raises:
        ExportError: naming both.
    """
    if optimize not in OPTIMIZE:
        raise ExportError(f"unknown optimize {optimize!r}: choose {' or '.join(OPTIMIZE)}")


def check_interface(graph: Graph) -> None:
    """Refuse a model that does not take and give integers or floats, one sample at a time.

    Raises:
        ExportError: naming every input and output that is at fault, or saying that the model is a float one.
    """
    if not any(tensor.dtype == "int8" for op in graph.ops for tensor in op.outputs):
        raise ExportError(
            "no operator of the model computes int8: give a model that is quantised (tflite_export.convert)"
        )
    problems = []
    for what, tensors in (("input", graph.inputs), ("output", graph.outputs)):
        for tensor in tensors:
            if tensor.dtype not in INTERFACE_DTYPES:
                problems.append(f"the model's {what} {tensor} is not of {', '.join(INTERFACE_DTYPES)}")
            elif tensor.dtype != "float32" and tensor.quantization is None:
                problems.append(f"the model's {what} {tensor} has no scale and zero point")
            elif tensor.quantization is not None and tensor.quantization.scales.size != 1:
                problems.append(f"the model's {what} {tensor} has {tensor.quantization.scales.size} scales, not 1")
    if len({tensor.index for tensor in graph.outputs}) < len(graph.outputs):
        problems.append("an output of the model is listed twice: list it once")
    for tensor in graph.inputs:
        if tensor.shape and tensor.shape[0] != 1:
            problems.append(f"the model's input {tensor} has a batch of {tensor.shape[0]}, not 1")
    if problems:
        raise ExportError("; ".join(problems) + ": give a model that is quantised to int8 (tflite_export.convert)")
