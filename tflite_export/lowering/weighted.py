"""Operators with weights: convolutions and fully connected layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from tflite_export import requantization as rq
from tflite_export.errors import ExportError
from tflite_export.graph import Op, Tensor
from tflite_export.kernel_call import Constant, Field, KernelCall
from tflite_export.levels import CHANNEL_AXES
from tflite_export.lowering.choice import choose
from tflite_export.lowering.context import Context, Lowering
from tflite_export.lowering.conv2d_columns import with_columns
from tflite_export.lowering.conv2d_gaps import with_gaps, with_packed_gaps
from tflite_export.lowering.conv2d_vectors import with_vectors
from tflite_export.lowering.depthwise_lines import with_lines, with_packed_lines
from tflite_export.lowering.depthwise_vectors import with_depthwise_vectors
from tflite_export.lowering.fully_connected import with_fast_int8, with_fast_ternary, with_fractions
from tflite_export.lowering.fully_connected_vectors import with_connected_vectors
from tflite_export.lowering.op_shapes import (
    activation,
    constant,
    expect_channels,
    expect_shape,
    image_shape,
    in_place_windows,
    result,
    window,
)
from tflite_export.lowering.weight_formats import as_int8, pack_weights

# Which inputs are the activation and the bias; the weights are input 1 of every operator.
_ACTIVATION_AND_BIAS = {"TRANSPOSE_CONV": (2, 3)}
_USUALLY = (0, 2)
_MultipliersOf = Callable[[Tensor, Tensor, Tensor, int], tuple[np.ndarray, np.ndarray]]


def _conv2d(op: Op, context: Context) -> list[KernelCall]:
    source, target = activation(op, 0), result(op)
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
    calls = _calls(op, "conv2d", geometry, weights, context, rq.channel_multipliers)
    return [fast for call in calls for fast in _faster_conv2d(call, weights, context)] + calls


def _depthwise_conv2d(op: Op, context: Context) -> list[KernelCall]:
    source, target = activation(op, 0), result(op)
    weights = _weights(op, rank=4)
    _, height, width, channels = weights.shape
    if weights.shape[0] != 1 or channels % image_shape(op, source)["channels"]:
        raise ExportError(f"{op}: {weights} does not fit the channels of {source}")
    expect_channels(op, target, channels)
    sliding = window(op, source, target, height, width)
    geometry = {"input": image_shape(op, source), "output": image_shape(op, target), "window": sliding}
    calls = _calls(op, "depthwise_conv2d", geometry, weights, context, rq.channel_multipliers)
    calls = [dataclasses.replace(call, in_place=in_place_windows(op, source, target, sliding)) for call in calls]
    vectors = with_depthwise_vectors(calls[0], weights) if context.core.port == "mve" else None
    is_packed = calls[0].weight_format in ("base3", "binary") and len(context.planes[weights.index]) == 1
    packed = with_packed_lines(calls[0], weights) if is_packed else None
    return [call for call in (vectors, with_lines(calls[0], weights), packed) if call] + calls


def _fully_connected(op: Op, context: Context) -> list[KernelCall]:
    source, target = activation(op, 0), result(op)
    weights = _weights(op, rank=2)
    outputs, inputs = weights.shape
    rows, remainder = divmod(source.size, inputs)
    keep_num_dims = op.options.get("keep_num_dims", False)
    if remainder or (keep_num_dims and source.shape[-1:] != (inputs,)):
        raise ExportError(f"{op}: {weights} does not fit {source}")
    expect_shape(op, target, (*source.shape[:-1], outputs) if keep_num_dims else (rows, outputs))
    if op.options.get("weights_format", 0) != 0:
        raise ExportError(f"{op}: shuffled weights are not supported")
    geometry = {"rows": rows, "inputs": inputs, "outputs": outputs}
    calls = _calls(op, "fully_connected", geometry, weights, context, rq.float64_multipliers)
    return [fast for call in calls for fast in _faster_fully_connected(call, weights, context)] + calls


def _transpose_conv(op: Op, context: Context) -> list[KernelCall]:
    source, target = _source(op), result(op)
    weights = _weights(op, rank=4)
    channels, height, width, kernel_channels = weights.shape
    wanted = tuple(int(size) for size in np.ravel(constant(op, 0, "output shape")))
    if image_shape(op, source)["channels"] != kernel_channels or len(wanted) != 4:
        raise ExportError(f"{op}: {weights} does not fit the channels of {source}")
    expect_shape(op, target, wanted)
    expect_channels(op, target, channels)
    geometry: dict[str, Field] = {
        "input": image_shape(op, source),
        "output": image_shape(op, target),
        "window": window(op, target, source, height, width),  # it slides over the output
    }
    return _calls(op, "transpose_conv2d", geometry, weights, context, rq.channel_multipliers)[:1]


def _calls(
    op: Op,
    kernel: str,
    geometry: Mapping[str, Field],
    weights: Tensor,
    context: Context,
    multipliers_of: _MultipliersOf,
) -> list[KernelCall]:
    """The calls of `_ref` kernels: with packed weights, if they can be, and with int8."""
    source, target = _source(op), result(op)
    requantization = _requantization(op, source, weights, target, multipliers_of)
    packed = pack_weights(weights, context, CHANNEL_AXES[op.name])
    larger = f"int8, for speed: {packed.format} weights would be smaller"
    others = [] if packed.format == "int8" else [as_int8(weights, larger)]
    return [
        KernelCall(
            op=op,
            function=f"tern_{kernel}_{stored.format}_ref",
            struct=f"tern_{kernel}_params",
            fields={
                **geometry,
                "input_zero_point": source.zero_point,
                "weights": stored.fields,
                "requantization": requantization,
            },
            inputs=(source,),
            output=target,
            weight_format=stored.format,
            reason=stored.reason,
        )
        for stored in [packed, *others]
    ]


def _faster_conv2d(call: KernelCall, weights: Tensor, context: Context) -> list[KernelCall]:
    planes = context.planes.get(weights.index, ())
    is_packed, found = call.weight_format != "int8", []
    if context.core.port == "mve" and (len(planes) == 1 or not is_packed):
        # zeros are not skipped there: a vector of products takes no longer than finding them
        found.append(with_vectors(call, weights, planes[0] if is_packed else None))
    if not is_packed:
        found.append(with_columns(call, weights))
    elif len(planes) == 1:
        found.append(with_gaps(call, weights, planes[0]))
        if call.weight_format != "ternary":
            found.append(with_packed_gaps(call, weights))
    if call.weight_format == "base3":
        found.append(_with_expanded_rows(call, weights, len(planes)))
    return [fast for fast in found if fast is not None]


def _faster_fully_connected(call: KernelCall, weights: Tensor, context: Context) -> list[KernelCall]:
    planes = context.planes.get(weights.index, ())
    is_packed, found = call.weight_format != "int8", []
    if context.core.port == "mve" and (len(planes) == 1 or not is_packed):
        found.append(with_connected_vectors(call, weights, planes[0] if is_packed else None))
    if not is_packed:
        found.append(with_fast_int8(call, weights))
    elif len(planes) == 1:
        found += with_fast_ternary(call, weights, planes[0])
        if call.weight_format == "base3":
            found.append(with_fractions(call, weights, planes[0]))
    return [fast for fast in found if fast is not None]


def _with_expanded_rows(call: KernelCall, weights: Tensor, planes: int) -> KernelCall:
    """Each row of base-3 digits is expanded once; where memory is short it is taken apart at every position."""
    row_bytes = -(-weights.size // weights.shape[0] // 4)
    return dataclasses.replace(
        call,
        function="tern_conv2d_base3_expanded",
        scratch_bytes=planes * row_bytes,
        alternatives=(call,),
    )


def _source(op: Op) -> Tensor:
    return activation(op, _ACTIVATION_AND_BIAS.get(op.name, _USUALLY)[0])


def _weights(op: Op, rank: int) -> Tensor:
    tensor = op.inputs[1] if len(op.inputs) > 1 else None
    if tensor is None or tensor.data is None:
        raise ExportError(f"{op}: its weights are not a constant")
    if tensor.dtype != "int8" or tensor.quantization is None or len(tensor.shape) != rank or not tensor.size:
        raise ExportError(f"{op}: its weights {tensor} are not quantised int8 of {rank} dimensions")
    if np.any(tensor.quantization.zero_points):
        raise ExportError(f"{op}: its weights {tensor} have a zero point that is not 0")
    if tensor.quantization.scales.size > 1 and tensor.quantization.axis != CHANNEL_AXES[op.name]:
        raise ExportError(f"{op}: its weights {tensor} are not quantised along the output channels")
    return tensor


def _requantization(
    op: Op, source: Tensor, weights: Tensor, target: Tensor, multipliers_of: _MultipliersOf
) -> Mapping[str, Field]:
    channels = weights.shape[CHANNEL_AXES[op.name]]
    _, bias_index = _ACTIVATION_AND_BIAS.get(op.name, _USUALLY)
    bias = op.inputs[bias_index] if len(op.inputs) > bias_index else None
    if bias is not None and (bias.data is None or bias.dtype != "int32" or bias.size != channels):
        raise ExportError(f"{op}: its bias {bias} is not an int32 constant of {channels} values")
    multipliers, shifts = multipliers_of(source, weights, target, channels)
    _expect_int32(op, weights, bias, shifts)
    minimum, maximum = rq.activation_range(op, target)
    return {
        "bias": None if bias is None or bias.data is None else Constant("bias", bias.data.reshape(-1)),
        "multiplier": Constant("multiplier", multipliers),
        "shift": Constant("shift", shifts),
        "zero_point": target.zero_point,
        "minimum": minimum,
        "maximum": maximum,
    }


def _expect_int32(op: Op, weights: Tensor, bias: Tensor | None, shifts: np.ndarray) -> None:
    """Refuse what may leave int32 before or after it is scaled: there TFLite's kernels are not defined."""
    assert weights.data is not None
    rows = np.moveaxis(weights.data, CHANNEL_AXES[op.name], 0).reshape(len(shifts), -1)
    largest = 255 * np.abs(rows.astype(np.int64)).sum(1)
    if bias is not None and bias.data is not None:
        largest += np.abs(bias.data.reshape(-1).astype(np.int64))
    if (largest * 2.0 ** np.maximum(shifts, 0) >= 2**31).any():
        raise ExportError(f"{op}: sums of its inputs with {weights}, and its bias, may not fit 32 bits")


# All calls that compute an operator, by its name, whatever they take; those that are thought to be the faster first.
CANDIDATES: dict[str, Lowering] = {
    "CONV_2D": _conv2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv2d,
    "FULLY_CONNECTED": _fully_connected,
    "TRANSPOSE_CONV": _transpose_conv,
}


def _choose(op: Op, context: Context) -> list[KernelCall]:
    return [choose(CANDIDATES[op.name](op, context), context)]


LOWERINGS: dict[str, Lowering] = dict.fromkeys(CANDIDATES, _choose)
