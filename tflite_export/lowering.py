"""From TFLite's operators to calls of `micro/`'s kernels: which function, with which parameters and constants.

The names of the fields are those of the structs in `tern.h`. Nothing here knows how C is written or where tensors lie.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from tflite_export import requantization as rq
from tflite_export.errors import ExportError
from tflite_export.graph import Graph, Op, Tensor
from tflite_export.kernel_call import Constant, Field, KernelCall
from tflite_export.levels import CHANNEL_AXES, Levels, find_levels
from tflite_export.op_shapes import (
    MAX_RANK,
    broadcast_strides,
    expect_channels,
    full_rank,
    image_shape,
    option,
    positive_option,
    window,
)
from tflite_export.packing import pack_rows

# The sum of more exponentials than this may overflow the kernel's 12 integer bits.
SOFTMAX_MAX_DEPTH = 8191

_MultipliersOf = Callable[[Tensor, Tensor, Tensor, int], tuple[np.ndarray, np.ndarray]]


def lower(graph: Graph) -> list[KernelCall]:
    """Translate every operator of a graph.

    Args:
        graph: of a fully quantised int8 model with a batch of one.

    Returns:
        A call an operator, in the order of execution.

    Raises:
        ExportError: if any operator or tensor is not supported. All of them are named in one message.
    """
    levels = find_levels(graph)
    calls: list[KernelCall] = []
    problems: list[str] = []
    check_interface(graph)
    for op in graph.ops:
        lowering = _LOWERINGS.get(op.name)
        if lowering is None:
            problems.append(f"{op}: no kernel for this operator")
            continue
        try:
            _check_activations(op)
            calls.append(lowering(op, levels))
        except ExportError as error:
            problems.append(str(error))
    if problems:
        raise ExportError(
            "\n  ".join(["the model cannot be exported to C:", *problems])
            + f"\nsupported are int8 models (tflite_export.convert) of {', '.join(sorted(_LOWERINGS))}; "
            "the target int8 alone takes any"
        )
    return calls


def check_interface(graph: Graph) -> None:
    """Refuse a model whose inputs and outputs are not int8, one sample at a time.

    Raises:
        ExportError: naming every input and output that is at fault.
    """
    problems = []
    for what, tensors in (("input", graph.inputs), ("output", graph.outputs)):
        for tensor in tensors:
            if tensor.dtype != "int8":
                problems.append(f"the model's {what} {tensor} is not int8")
            elif tensor.quantization is None:
                problems.append(f"the model's {what} {tensor} has no scale and zero point")
    if len({tensor.index for tensor in graph.outputs}) < len(graph.outputs):
        problems.append("an output of the model is listed twice: list it once")
    for tensor in graph.inputs:
        if tensor.shape and tensor.shape[0] != 1:
            problems.append(f"the model's input {tensor} has a batch of {tensor.shape[0]}, not 1")
    if problems:
        raise ExportError("; ".join(problems) + ": give a model that is quantised to int8 (tflite_export.convert)")


def _check_activations(op: Op) -> None:
    for tensor in (*op.inputs, *op.outputs):
        if tensor is not None and tensor.data is None:
            if tensor.dtype != "int8":
                raise ExportError(f"{op}: {tensor} is not int8")
            if not -128 <= tensor.zero_point <= 127:
                raise ExportError(f"{op}: {tensor} has the zero point {tensor.zero_point}, outside of int8")


def _activation(op: Op, index: int) -> Tensor:
    tensor = op.inputs[index] if index < len(op.inputs) else None
    if tensor is None or (tensor.data is not None and tensor.dtype != "int8"):
        raise ExportError(f"{op}: its input {index} is missing or not int8")
    return tensor


# --- operators with weights


def _conv2d(op: Op, levels: Mapping[int, Levels]) -> KernelCall:
    source, target = _activation(op, 0), op.outputs[0]
    weights = _weights(op, rank=4)
    channels, height, width, kernel_channels = weights.shape
    groups, remainder = divmod(image_shape(op, source)["channels"], kernel_channels)
    if remainder or channels % max(groups, 1):
        raise ExportError(f"{op}: {weights} does not fit the channels of {source}")
    expect_channels(op, target, channels)
    geometry: dict[str, Field] = {
        "input": image_shape(op, source),
        "output": image_shape(op, target),
        "window": window(op, source, target, height, width),
        "kernel_channels": kernel_channels,
    }
    return _call_with_weights(op, "conv2d", geometry, weights, levels, rq.channel_multipliers)


def _depthwise_conv2d(op: Op, levels: Mapping[int, Levels]) -> KernelCall:
    source, target = _activation(op, 0), op.outputs[0]
    weights = _weights(op, rank=4)
    _, height, width, channels = weights.shape
    if weights.shape[0] != 1 or channels % image_shape(op, source)["channels"]:
        raise ExportError(f"{op}: {weights} does not fit the channels of {source}")
    expect_channels(op, target, channels)
    geometry = {
        "input": image_shape(op, source),
        "output": image_shape(op, target),
        "window": window(op, source, target, height, width),
    }
    return _call_with_weights(op, "depthwise_conv2d", geometry, weights, levels, rq.channel_multipliers)


def _fully_connected(op: Op, levels: Mapping[int, Levels]) -> KernelCall:
    source, target = _activation(op, 0), op.outputs[0]
    weights = _weights(op, rank=2)
    outputs, inputs = weights.shape
    rows, remainder = divmod(source.size, inputs)
    if remainder or rows * outputs != target.size:
        raise ExportError(f"{op}: {weights} does not fit {source} and {target}")
    if op.options.get("weights_format", 0) != 0:
        raise ExportError(f"{op}: shuffled weights are not supported")
    geometry = {"rows": rows, "inputs": inputs, "outputs": outputs}
    return _call_with_weights(op, "fully_connected", geometry, weights, levels, rq.float64_multipliers)


def _call_with_weights(
    op: Op,
    kernel: str,
    geometry: Mapping[str, Field],
    weights: Tensor,
    levels: Mapping[int, Levels],
    multipliers_of: _MultipliersOf,
) -> KernelCall:
    source, target = _activation(op, 0), op.outputs[0]
    weight_format, packed = _pack(weights, levels, CHANNEL_AXES[op.name])
    return KernelCall(
        op=op,
        function=f"tern_{kernel}_{weight_format}_ref",
        struct=f"tern_{kernel}_params",
        fields={
            **geometry,
            "input_zero_point": source.zero_point,
            "weights": packed,
            "requantization": _requantization(op, source, weights, target, multipliers_of),
        },
        inputs=(source,),
        output=target,
        weight_format=weight_format,
    )


def _weights(op: Op, rank: int) -> Tensor:
    tensor = op.inputs[1] if len(op.inputs) > 1 else None
    if tensor is None or tensor.data is None:
        raise ExportError(f"{op}: its weights are not a constant")
    if tensor.dtype != "int8" or tensor.quantization is None or len(tensor.shape) != rank:
        raise ExportError(f"{op}: its weights {tensor} are not quantised int8 of {rank} dimensions")
    if np.any(tensor.quantization.zero_points):
        raise ExportError(f"{op}: its weights {tensor} have a zero point that is not 0")
    if tensor.quantization.scales.size > 1 and tensor.quantization.axis != CHANNEL_AXES[op.name]:
        raise ExportError(f"{op}: its weights {tensor} are not quantised along the output channels")
    return tensor


def _pack(weights: Tensor, levels: Mapping[int, Levels], axis: int) -> tuple[str, Mapping[str, Field]]:
    assert weights.data is not None
    channels = weights.shape[axis]
    found = levels.get(weights.index)
    if found is not None:
        # The rows of tern.h: an output channel each, but a kernel position each where the channels come last.
        rows = found.codes.reshape(-1, channels) if axis == 3 else found.codes.reshape(channels, -1)
        packed = pack_rows(rows, found.bits)
        if packed.nbytes + 2 * channels < weights.data.nbytes:
            return ("binary" if found.bits == 1 else "ternary"), {
                "data": Constant("weights", packed.reshape(-1)),
                "plus": Constant("plus", found.plus),
                "minus": Constant("minus", found.minus),
            }
    return "int8", {"data": Constant("weights", weights.data.reshape(-1)), "plus": None, "minus": None}


def _requantization(
    op: Op, source: Tensor, weights: Tensor, target: Tensor, multipliers_of: _MultipliersOf
) -> Mapping[str, Field]:
    channels = weights.shape[CHANNEL_AXES[op.name]]
    bias = op.inputs[2] if len(op.inputs) > 2 else None
    if bias is not None and (bias.data is None or bias.dtype != "int32" or bias.size != channels):
        raise ExportError(f"{op}: its bias {bias} is not an int32 constant of {channels} values")
    multipliers, shifts = multipliers_of(source, weights, target, channels)
    minimum, maximum = rq.activation_range(op, target)
    return {
        "bias": None if bias is None or bias.data is None else Constant("bias", bias.data.reshape(-1)),
        "multiplier": Constant("multiplier", multipliers),
        "shift": Constant("shift", shifts),
        "zero_point": target.zero_point,
        "minimum": minimum,
        "maximum": maximum,
    }


# --- operators without weights


def _pool2d(op: Op, levels: Mapping[int, Levels]) -> KernelCall:
    source, target = _activation(op, 0), op.outputs[0]
    expect_channels(op, target, source.shape[-1])
    # LiteRT's own tolerance; the kernels do not rescale
    if abs(source.scale - target.scale) > 1e-6 or source.zero_point != target.zero_point:
        raise ExportError(f"{op}: the scales of {source} and {target} differ")
    minimum, maximum = rq.activation_range(op, target)
    kernel = (positive_option(op, "filter_height"), positive_option(op, "filter_width"))
    return KernelCall(
        op=op,
        function="tern_max_pool2d_ref" if op.name == "MAX_POOL_2D" else "tern_average_pool2d_ref",
        struct="tern_pool2d_params",
        fields={
            "input": image_shape(op, source),
            "output": image_shape(op, target),
            "window": window(op, source, target, *kernel),
            "minimum": minimum,
            "maximum": maximum,
        },
        inputs=(source,),
        output=target,
    )


def _mean(op: Op, levels: Mapping[int, Levels]) -> KernelCall:
    source, target = _activation(op, 0), op.outputs[0]
    axes = op.inputs[1] if len(op.inputs) > 1 else None
    if axes is None or axes.data is None:
        raise ExportError(f"{op}: its axes are not a constant")
    rank = len(source.shape)
    if not rank or any(not -rank <= int(axis) < rank for axis in np.ravel(axes.data)):
        raise ExportError(f"{op}: its axes {np.ravel(axes.data).tolist()} are not dimensions of {source}")
    reduced = {int(axis) % rank for axis in np.ravel(axes.data)}
    count = math.prod(source.shape[axis] for axis in reduced)
    if target.size * count != source.size:
        raise ExportError(f"{op}: the mean of {source} over {sorted(reduced)} is not {target}")
    multiplier, shift = rq.mean_multiplier(source, target, count)
    return KernelCall(
        op=op,
        function="tern_mean_ref",
        struct="tern_mean_params",
        fields={
            "shape": full_rank(op, source),
            "reduced": (0,) * (MAX_RANK - rank) + tuple(int(axis in reduced) for axis in range(rank)),
            "input_zero_point": source.zero_point,
            "output_zero_point": target.zero_point,
            "multiplier": multiplier,
            "shift": shift,
        },
        inputs=(source,),
        output=target,
    )


def _add(op: Op, levels: Mapping[int, Levels]) -> KernelCall:
    sources, target = (_activation(op, 0), _activation(op, 1)), op.outputs[0]
    shape = full_rank(op, target)
    if tuple(map(max, full_rank(op, sources[0]), full_rank(op, sources[1]))) != shape:
        raise ExportError(f"{op}: the sum of {sources[0]} and {sources[1]} is not {target}")
    (m0, s0), (m1, s1), (m_out, s_out) = rq.add_multipliers(sources, target)
    minimum, maximum = rq.activation_range(op, target)
    return KernelCall(
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
    )


def _reshape(op: Op, levels: Mapping[int, Levels]) -> KernelCall:
    source, target = _activation(op, 0), op.outputs[0]
    if source.size != target.size:
        raise ExportError(f"{op}: {source} cannot become {target}")
    return KernelCall(
        op=op,
        function="tern_reshape_ref",
        struct="tern_reshape_params",
        fields={"size": source.size},
        inputs=(source,),
        output=target,
    )


def _softmax(op: Op, levels: Mapping[int, Levels]) -> KernelCall:
    source, target = _activation(op, 0), op.outputs[0]
    if (target.scale, target.zero_point) != (1 / 256, -128):
        raise ExportError(f"{op}: {target} should have the scale 1/256 and the zero point -128")
    if not source.shape or source.shape != target.shape or source.shape[-1] > SOFTMAX_MAX_DEPTH:
        raise ExportError(f"{op}: {source} should have the shape of {target}, at most {SOFTMAX_MAX_DEPTH} values a row")
    multiplier, shift, difference_minimum = rq.softmax_parameters(option(op, "beta"), source)
    depth = source.shape[-1]
    return KernelCall(
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
    )


_LOWERINGS: dict[str, Callable[[Op, Mapping[int, Levels]], KernelCall]] = {
    "ADD": _add,
    "AVERAGE_POOL_2D": _pool2d,
    "CONV_2D": _conv2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv2d,
    "FULLY_CONNECTED": _fully_connected,
    "MAX_POOL_2D": _pool2d,
    "MEAN": _mean,
    "RESHAPE": _reshape,
    "SOFTMAX": _softmax,
}
