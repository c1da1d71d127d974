"""What the fast kernels want of a layer's requantisation: doubled accumulators, and the zero point in the bias."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tflite_export.kernel_call import Constant


def doubled_bias(fields: Mapping[str, Any], rows: np.ndarray) -> Constant | None:
    """Twice the bias less the input's zero point times the weights, where `micro/src/scaling.h` can scale the sums.

    Args:
        fields: of the call of a `_ref` kernel: `input_zero_point` and `requantization`.
        rows: integers, shape (output channels, weights of a channel).

    Returns:
        int32, shape (output channels,); None where a doubled accumulator may not fit 32 bits, or where an output is
        not smaller than its accumulator.
    """
    rows = rows.astype(np.int64)
    requantization = fields["requantization"]
    shifts = requantization["shift"].data
    if shifts.min() < -31 or shifts.max() > -1:
        return None
    bias = -fields["input_zero_point"] * rows.sum(1)
    if requantization["bias"] is not None:
        bias = bias + requantization["bias"].data
    if 2 * int((np.abs(bias) + 128 * np.abs(rows).sum(1)).max()) >= 2**31:
        return None
    return Constant("bias", (2 * bias).astype(np.int32))
