"""The fast convolutions with ternary and binary weights: for which layers, and with which parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tflite_export.gap_packing import GROUP, pack_gaps
from tflite_export.graph import Tensor
from tflite_export.kernel_call import Constant, KernelCall
from tflite_export.levels import Levels
from tflite_export.lowering.doubled import doubled_bias

_ROW_BYTES = 16
# With the steps over rows of zeros a stream's length still fits a uint16.
_MOST_WEIGHTS = 30_000
# As many channels at a time have their gaps made.
_MOST_CHANNELS = 64


def with_gaps(call: KernelCall, weights: Tensor, levels: Levels) -> KernelCall | None:
    """The call of `tern_conv2d_gaps` for the same layer, or None where that kernel cannot do it.

    Args:
        call: of `tern_conv2d_ternary_ref`; it becomes the alternative for where memory is short.
        weights: the int8 weights, shape (output channels, height, width, input channels).
        levels: of these weights, in one plane of 2 bits.

    Returns:
        The call, or None for a grouped convolution, weights without zeros, or scales and
        accumulators that are out of the kernel's range.
    """
    assert weights.data is not None
    fields: Mapping[str, Any] = call.fields
    bias = _bias_of_gaps(call, weights)
    if levels.bits == 1 or bias is None:
        return None
    requantization = fields["requantization"]
    channels = weights.shape[0]
    # the kernel's scales have one bit of the shift in the doubled accumulators
    gaps, per_channel = pack_gaps(
        levels.codes.reshape(channels, -1), levels.minus, levels.plus, -1 - requantization["shift"].data
    )
    size = gaps.nbytes + per_channel.nbytes
    return dataclasses.replace(
        call,
        function="tern_conv2d_gaps",
        struct="tern_conv2d_gaps_params",
        fields={
            "input": fields["input"],
            "output": fields["output"],
            "window": fields["window"],
            "input_zero_point": fields["input_zero_point"],
            "weights": {
                "gaps": Constant("weights", gaps),
                "channels": Constant("channels", per_channel),
            },
            "bias": bias,
            "multiplier": requantization["multiplier"],
            **{key: requantization[key] for key in ("zero_point", "minimum", "maximum")},
        },
        weight_format="gaps",
        scratch_bytes=_rows_bytes(weights),
        reason=f"ternary, as gaps between nonzero weights: {size:,} bytes instead of {weights.data.nbytes:,}",
        alternatives=(call,),
    )


def with_packed_gaps(call: KernelCall, weights: Tensor) -> KernelCall | None:
    """The call of `tern_conv2d_base3_gaps` or `tern_conv2d_binary_gaps`, which make the gaps in scratch.

    Args:
        call: of `tern_conv2d_base3_ref` or `tern_conv2d_binary_ref`; it becomes the alternative.
        weights: the int8 weights, shape (output channels, height, width, input channels).

    Returns:
        The call, or None where `with_gaps` would give None for the geometry or the scales.
    """
    if _bias_of_gaps(call, weights) is None:
        return None
    channels, length = weights.shape[0], weights.size // weights.shape[0]
    rows = _rows_bytes(weights)
    most_words = (length + 2 * (length // GROUP) + 7) // 8 + 2
    words = rows // 16 + most_words + 3 * min(channels, _MOST_CHANNELS)
    return dataclasses.replace(
        call,
        function=call.function.replace("_ref", "_gaps"),
        scratch_bytes=rows + 4 * words,
        alternatives=(call,),
    )


def _bias_of_gaps(call: KernelCall, weights: Tensor) -> Constant | None:
    """The bias that the kernels take, or None for a layer that they cannot do."""
    assert weights.data is not None
    fields: Mapping[str, Any] = call.fields
    channels = weights.shape[0]
    if fields["kernel_channels"] != fields["input"]["channels"] or weights.size // channels > _MOST_WEIGHTS:
        return None
    return doubled_bias(fields, weights.data.reshape(channels, -1))


def _rows_bytes(weights: Tensor) -> int:
    length = weights.size // weights.shape[0]
    return -(-length // GROUP) * (GROUP + 1) * _ROW_BYTES + -(-weights.shape[3] // 4) * 4
