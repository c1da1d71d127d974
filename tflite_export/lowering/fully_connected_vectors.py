"""The fully connected layer for Helium: for which weights, and with which parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tflite_export.graph import Tensor
from tflite_export.kernel_call import Constant, Field, KernelCall
from tflite_export.levels import Levels
from tflite_export.lowering.floor_requantization import bias_of, floor_scales_of, one_level
from tflite_export.vector_packing import VECTOR, pack_connected_int8, pack_fields, whole_groups

# What the kernel adds to inputs where weights are of 2 bits.
_UNSIGNED = 128
# A sum of so many products of bytes still fits 32 bits.
_MOST_INPUTS = 65_536


def with_connected_vectors(call: KernelCall, weights: Tensor, levels: Levels | None) -> KernelCall | None:
    """The call of `tern_fully_connected_vectors` for the same layer, or None where that kernel cannot do it.

    Args:
        call: of a `_ref` kernel; it becomes the alternative for where memory is short.
        weights: the int8 weights, shape (outputs, inputs).
        levels: of these weights, in one plane; None for int8.

    Returns:
        The call, or None where no integer scale is proven equal to TFLite's arithmetic.
    """
    assert weights.data is not None
    fields: Mapping[str, Any] = call.fields
    scales = floor_scales_of(fields, weights.data)
    if scales is None or weights.shape[1] > _MOST_INPUTS:
        return None
    plus = minus = None
    if levels is None:
        packed = pack_connected_int8(weights.data)
    else:
        plus, minus = one_level(levels.codes, levels), None
        codes = levels.codes + 1
        if plus is None:
            plus, minus = levels.plus, levels.minus
            codes = np.where(levels.codes < 0, 2, levels.codes)
        packed = pack_fields(codes)
    sums = weights.data.sum(1, dtype=np.int64)
    bias = bias_of(fields, len(sums)) - (fields["input_zero_point"] + (0 if levels is None else _UNSIGNED)) * sums
    if np.abs(bias).max() >= 2**31:
        return None
    requantization = fields["requantization"]
    return dataclasses.replace(
        call,
        function="tern_fully_connected_vectors",
        struct="tern_fully_connected_vectors_params",
        fields={
            **{key: fields[key] for key in ("rows", "inputs", "outputs")},
            "bits": 8 if levels is None else 2,
            "weights": Constant("weights", packed),
            "plus": _levels("plus", plus),
            "minus": _levels("minus", minus),
            "bias": Constant("bias", whole_groups(bias.astype(np.int32))),
            "multiplier": Constant("multiplier", whole_groups(scales[0])),
            "shift": Constant("shift", whole_groups(-scales[1], -1)),
            **{key: requantization[key] for key in ("zero_point", "minimum", "maximum")},
        },
        scratch_bytes=-(-weights.shape[1] // VECTOR) * VECTOR,
        reason=_reason(call, weights, packed, plus),
        alternatives=(call,),
    )


def _reason(call: KernelCall, weights: Tensor, packed: np.ndarray, plus: np.ndarray | None) -> str:
    assert weights.data is not None
    if plus is None:
        return f"{call.reason}; in vectors, for Helium"
    instead = f"{packed.nbytes:,} bytes instead of {weights.data.nbytes:,}"
    return f"{call.weight_format}: {instead}; in vectors of 2 bits a weight, for Helium"


def _levels(role: str, values: np.ndarray | None) -> Field:
    return None if values is None else Constant(role, whole_groups(values))
