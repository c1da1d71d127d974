"""The fast fully connected layers: for which weights, on which cores, and with which parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tflite_export import connected_packing as packing
from tflite_export.floor_scaling import floor_scales
from tflite_export.graph import Tensor
from tflite_export.kernel_call import Constant, Field, KernelCall
from tflite_export.levels import Levels

_SIGNIFICAND_BITS = 53
_LAYOUTS = {
    "pairs": "two rows a word",
    "split": "a row a word",
    "tables": "as places in tables of sums of four inputs",
    "split_tables": "as places in tables of sums of seven inputs",
}
_PACK = {
    "pairs": packing.pack_pairs,
    "split": packing.pack_split,
    "tables": packing.pack_tables,
    "split_tables": packing.pack_split_tables,
}
# MAXIMUM_INPUTS of micro/
_MOST_INPUTS, _MOST_INT8_INPUTS = 2**22, 2**16


def with_fast_ternary(call: KernelCall, weights: Tensor, levels: Levels) -> list[KernelCall]:
    """The calls of fast kernels for the same layer: by multiplying pairs of rows, and by looking sums up in tables.

    Args:
        call: of `tern_fully_connected_ternary_ref` or another with packed weights.
        weights: the int8 weights, shape (outputs, inputs).
        levels: of these weights, in one plane.

    Returns:
        The calls; none where no integer scale is proven equal to TFLite's arithmetic. Binary weights take 2 bits
        instead of one there.
    """
    assert weights.data is not None
    codes = np.where(weights.data == 0, np.int8(0), levels.codes)  # one of two levels may be 0
    one_level = _one_level(codes, levels)
    plus = levels.plus if one_level is None else one_level
    requantization = floor_requantization(call.fields, weights.data, plus, levels.minus)
    if requantization is None or weights.shape[1] > _MOST_INPUTS:
        return []
    fields: dict[str, Field] = {key: call.fields[key] for key in ("rows", "inputs", "outputs")}
    split = one_level is None
    calls = []
    for layout in ("split", "split_tables") if split else ("pairs", "tables"):
        by_tables = layout.endswith("tables")
        packed = _PACK[layout](codes)
        if packed.nbytes > codes.size:  # a few outputs or inputs, and much that fills them up
            continue
        if by_tables:
            more, scratch_bytes = {}, packing.table_scratch_bytes(len(codes), split=split)
        else:
            more = {"block_inputs": packing.block_inputs(codes, layout)}
            scratch_bytes = packing.pair_scratch_bytes(codes.shape[1], more["block_inputs"])
        kind = "binary" if levels.bits == 1 else "ternary"
        calls.append(
            dataclasses.replace(
                call,
                function=f"tern_fully_connected_{layout}",
                struct=f"tern_fully_connected_{'tables' if by_tables else 'pairs'}_params",
                fields={
                    **fields,
                    **more,
                    "weights": Constant("weights", packed),
                    "requantization": requantization,
                },
                weight_format=layout,
                scratch_bytes=scratch_bytes,
                reason=f"{kind}, {_LAYOUTS[layout]}: {packed.nbytes:,} bytes instead of {weights.data.nbytes:,}",
            )
        )
    return calls


def with_fast_int8(call: KernelCall, weights: Tensor) -> KernelCall | None:
    """The call of `tern_fully_connected_int8` for the same layer, or None where that kernel cannot do it.

    Args:
        call: of `tern_fully_connected_int8_ref`; it becomes the alternative for where memory is short.
        weights: int8, shape (outputs, inputs).
    """
    assert weights.data is not None
    outputs, inputs = weights.shape
    ones = np.ones(outputs, np.int8)
    requantization = floor_requantization(call.fields, weights.data, ones, 0 * ones)
    if requantization is None or inputs > _MOST_INT8_INPUTS:
        return None
    return dataclasses.replace(
        call,
        function="tern_fully_connected_int8",
        struct="tern_fully_connected_int8_params",
        fields={
            **{key: call.fields[key] for key in ("rows", "inputs", "outputs")},
            "weights": Constant("weights", packing.pack_quads(weights.data)),
            "requantization": requantization,
        },
        scratch_bytes=2 * (inputs + -inputs % 8),
        alternatives=(call,),
    )


def _one_level(codes: np.ndarray, levels: Levels) -> np.ndarray | None:
    """The level `plus` of every output, if it has `minus` = -`plus` or only one of both; int8."""
    has_plus, has_minus = (codes > 0).any(1), (codes < 0).any(1)
    negated = -levels.minus.astype(np.int16)
    one = np.where(has_plus, levels.plus, negated)
    fits = (~has_plus | ~has_minus | (levels.plus == negated)) & (one <= 127)
    return one.astype(np.int8) if fits.all() else None


def floor_requantization(
    fields: Mapping[str, Any], rows: np.ndarray, plus: np.ndarray, minus: np.ndarray
) -> Mapping[str, Field] | None:
    """What a fast kernel wants instead of the float64 requantisation, or None where no such scale is proven equal.

    Args:
        fields: of the call of a `_ref` kernel: `input_zero_point` and `requantization`.
        rows: the int8 weights, shape (outputs, inputs).
        plus: what sums count, int8, shape (outputs,).
        minus: what the other sums count.
    """
    rows = rows.astype(np.int64)
    requantization, zero_point = fields["requantization"], fields["input_zero_point"]
    bias = np.zeros(len(rows), np.int64) if requantization["bias"] is None else requantization["bias"].data
    multiplier, shift = (requantization[key].data for key in ("multiplier", "shift"))
    reals = np.ldexp(multiplier.astype(np.float64), shift.astype(int) - _SIGNIFICAND_BITS)
    positive, negative = np.maximum(rows, 0).sum(1), np.maximum(-rows, 0).sum(1)
    below, above = 128 + zero_point, 127 - zero_point  # how far an input may be from its zero point
    scales = floor_scales(
        reals,
        bias - positive * below - negative * above,
        bias + positive * above + negative * below,
        *(requantization[key] for key in ("zero_point", "minimum", "maximum")),
    )
    folded = bias - zero_point * rows.sum(1)
    if scales is None or np.abs(folded).max() >= 2**31:
        return None
    levels = [plus.view(np.uint8), minus.view(np.uint8)]
    last = sum(byte.astype(np.uint32) << shift for byte, shift in zip([scales[1], *levels], (0, 8, 16), strict=True))
    words = np.stack([folded.astype(np.int32).view(np.uint32), scales[0].view(np.uint32), last], axis=1)
    return {
        "outputs": Constant("outputs", words.reshape(-1)),
        **{key: requantization[key] for key in ("zero_point", "minimum", "maximum")},
    }
