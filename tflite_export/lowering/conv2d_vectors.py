"""The convolution for Helium: for which layers, and with which parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tflite_export.graph import Tensor
from tflite_export.kernel_call import Constant, Field, KernelCall
from tflite_export.kernel_work import has_columns_in_place
from tflite_export.levels import Levels
from tflite_export.lowering.doubled import doubled_bias
from tflite_export.vector_packing import GROUP, VECTOR, pack_bits, pack_codes, pack_int8, whole_groups

# A block of positions takes so much scratch or less, but of a few positions it has at least the first number, and of
# many no more than the second: what the weights' unpacking costs is then 3 % or less.
_BLOCK_BYTES = 16 * 1024
_BLOCK_POSITIONS = (12, 96)
# Where that is too much: two triples.
_FEW_POSITIONS = 6


def with_vectors(call: KernelCall, weights: Tensor, levels: Levels | None) -> KernelCall | None:
    """The call of `tern_conv2d_vectors` for the same layer, or None where that kernel cannot do it.

    Args:
        call: of a `_ref` kernel; it becomes the last alternative for where memory is short.
        weights: the int8 weights, shape (output channels, height, width, input channels).
        levels: of these weights, in one plane; None for int8.

    Returns:
        The call, or None for a grouped convolution, or scales and accumulators that are out of the kernel's range.
    """
    assert weights.data is not None
    fields: Mapping[str, Any] = call.fields
    requantization = fields["requantization"]
    channels = weights.shape[0]
    rows = weights.data.reshape(channels, -1)
    doubled = doubled_bias(fields, rows)
    if doubled is None or fields["kernel_channels"] != fields["input"]["channels"]:
        return None
    if levels is None:
        bits, packed = 8, pack_int8(rows)
        level_fields: Mapping[str, Field] = {"plus": None, "minus": None}
    else:
        bits, codes = levels.bits, levels.codes.reshape(channels, -1)
        packed = pack_bits(codes) if bits == 1 else pack_codes(codes)
        level_fields = {key: Constant(key, whole_groups(getattr(levels, key))) for key in ("plus", "minus")}
    shifts = whole_groups(requantization["shift"].data, -1)
    fast = dataclasses.replace(
        call,
        function="tern_conv2d_vectors",
        struct="tern_conv2d_vectors_params",
        fields={
            **{key: fields[key] for key in ("input", "output", "window", "input_zero_point")},
            "bits": bits,
            "weights": Constant("weights", packed),
            **level_fields,
            "bias": Constant("bias", whole_groups(doubled.data // 2)),
            "multiplier": Constant("multiplier", whole_groups(requantization["multiplier"].data)),
            "shift": Constant("shift", shifts),
            **{key: requantization[key] for key in ("zero_point", "minimum", "maximum")},
            "block_positions": 0,
        },
        reason=_reason(call, weights, packed, levels),
    )
    row_bytes = -(-rows.shape[1] // VECTOR) * VECTOR
    few, many = (_with_positions(fast, positions, row_bytes) for positions in (_FEW_POSITIONS, _positions(row_bytes)))
    alternatives = (few, call) if few.scratch_bytes < many.scratch_bytes else (call,)
    return dataclasses.replace(many, alternatives=alternatives)


def _reason(call: KernelCall, weights: Tensor, packed: np.ndarray, levels: Levels | None) -> str:
    assert weights.data is not None
    if levels is None:
        return f"{call.reason}; in vectors, for Helium"
    size = packed.nbytes + 2 * len(whole_groups(levels.plus))
    saved = f"{size:,} bytes with the levels instead of {weights.data.nbytes:,}"
    return f"{call.weight_format}: {saved}; in vectors, for Helium"


def _positions(row_bytes: int) -> int:
    fewest, most = _BLOCK_POSITIONS
    return int(np.clip(_BLOCK_BYTES // row_bytes // 3 * 3, fewest, most))


def _with_positions(call: KernelCall, positions: int, row_bytes: int) -> KernelCall:
    fields: Mapping[str, Any] = call.fields
    columns = (
        0 if has_columns_in_place(fields) else min(positions, fields["output"]["height"] * fields["output"]["width"])
    )
    rows = 0 if fields["bits"] == 8 else GROUP
    scratch = max((columns + rows) * row_bytes, VECTOR)
    return dataclasses.replace(call, fields={**fields, "block_positions": positions}, scratch_bytes=scratch)
