"""The fast convolution with int8 weights: for which layers, and with which parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tflite_export.graph import Tensor
from tflite_export.kernel_call import Constant, KernelCall
from tflite_export.lowering.doubled import doubled_bias

# On every core: four columns of int16, the bytes of one, and what its copy may write beyond.
_SLACK_BYTES = 4
_SCRATCH_BYTES_A_WORD = 4 * (4 * 2 + 1)


def with_columns(call: KernelCall, weights: Tensor) -> KernelCall | None:
    """The call of `tern_conv2d_columns` for the same layer, or None where that kernel cannot do it.

    Args:
        call: of `tern_conv2d_int8_ref`; it becomes the alternative for where memory is short.
        weights: int8, shape (output channels, height, width, input channels).

    Returns:
        The call, or None for a grouped convolution, or scales and accumulators that are out of the kernel's range.
    """
    assert weights.data is not None
    fields: Mapping[str, Any] = call.fields
    requantization = fields["requantization"]
    rows = weights.data.reshape(weights.shape[0], -1)
    bias = doubled_bias(fields, rows)
    if bias is None or fields["kernel_channels"] != fields["input"]["channels"]:
        return None
    padded = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4)))
    return dataclasses.replace(
        call,
        function="tern_conv2d_columns",
        struct="tern_conv2d_columns_params",
        fields={
            **{key: fields[key] for key in ("input", "output", "window", "input_zero_point")},
            "weights": Constant("weights", padded.reshape(-1).view("<u4")),
            "bias": bias,
            **{key: requantization[key] for key in ("multiplier", "shift", "zero_point", "minimum", "maximum")},
        },
        scratch_bytes=padded.shape[1] // 4 * _SCRATCH_BYTES_A_WORD + _SLACK_BYTES,
        alternatives=(call,),
    )
