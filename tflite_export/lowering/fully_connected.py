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
from tflite_export.lowering.context import Context

_SIGNIFICAND_BITS = 53
_LAYOUTS = {
    "pairs": "two rows a word",
    "split": "a row a word",
    "tables": "as places in tables of sums of four inputs",
    "split_tables": "as places in tables of sums of seven inputs",
    "fractions": "five places in tables of sums of four inputs a word",
    "split_fractions": "five places in tables of sums of four inputs a word",
}
# MAXIMUM_INPUTS of micro/
_MOST_INPUTS, _MOST_INT8_INPUTS = 2**22, 2**16
# What a layer's fractions may take beyond two bits a weight: those of a few inputs are filled up.
_FEW_BYTES = 16


def with_fast_ternary(call: KernelCall, weights: Tensor, levels: Levels, context: Context) -> KernelCall | None:
    """The call of a fast kernel for the same layer, or None where there is none.

    Args:
        call: of `tern_fully_connected_ternary_ref` or the binary one; it becomes the alternative for where memory is
            short.
        weights: the int8 weights, shape (outputs, inputs).
        levels: of these weights, in one plane.
        context: with the core to choose for.

    Returns:
        The call, or None for few weights, or where no integer scale is proven equal to TFLite's arithmetic. Binary
        weights take 2 bits instead of one there.
    """
    assert weights.data is not None
    codes = np.where(weights.data == 0, np.int8(0), levels.codes)  # one of two levels may be 0
    one_level = _one_level(codes, levels)
    split = one_level is None
    plus = levels.plus if one_level is None else one_level
    requantization = floor_requantization(call.fields, weights.data, plus, levels.minus)
    if requantization is None or weights.shape[1] > _MOST_INPUTS:
        return None
    fields: dict[str, Field] = {key: call.fields[key] for key in ("rows", "inputs", "outputs")}
    if context.core.port != "portable":
        layout, struct = "split" if split else "pairs", "pairs"
        packed = (packing.pack_split if split else packing.pack_pairs)(codes)
        block = fields["block_inputs"] = packing.block_inputs(codes, layout)
        scratch_bytes = packing.pair_scratch_bytes(codes.shape[1], block)
    else:
        layout, struct = "split_tables" if split else "tables", "tables"
        packed = (packing.pack_split_tables if split else packing.pack_tables)(codes)
        scratch_bytes = packing.table_scratch_bytes(len(codes), split=split)
    if packed.nbytes > codes.size:  # a few outputs or inputs, and much that fills them up
        return None
    return dataclasses.replace(
        call,
        function=f"tern_fully_connected_{layout}",
        struct=f"tern_fully_connected_{struct}_params",
        fields={
            **fields,
            "weights": Constant("weights", packed),
            "requantization": requantization,
        },
        weight_format=layout,
        scratch_bytes=scratch_bytes,
        reason=f"{call.weight_format}, {_LAYOUTS[layout]}: {packed.nbytes:,} bytes instead of {weights.data.nbytes:,}",
        alternatives=(call,),
    )


def with_fractions(call: KernelCall, weights: Tensor, levels: Levels) -> KernelCall | None:
    """The call of `tern_fully_connected_fractions` or `tern_fully_connected_split_fractions` for the same layer.

    Args:
        call: of `tern_fully_connected_base3_ref`; it becomes the alternative for where memory is short.
        weights: the int8 weights, shape (outputs, inputs).
        levels: of these weights, in one plane.

    Returns:
        The call, or None where no integer scale is proven equal to TFLite's arithmetic, or where much is filled up.
    """
    assert weights.data is not None
    outputs, inputs = weights.shape
    codes = np.where(weights.data == 0, np.int8(0), levels.codes)
    one_level = _one_level(codes, levels)
    split = one_level is None
    plus = levels.plus if one_level is None else one_level
    requantization = floor_requantization(call.fields, weights.data, plus, levels.minus)
    packed = (packing.pack_split_fractions if split else packing.pack_fractions)(codes)
    if requantization is None or inputs > _MOST_INPUTS or packed.nbytes > codes.size / 4 + _FEW_BYTES:
        return None
    layout = "split_fractions" if split else "fractions"
    return dataclasses.replace(
        call,
        function=f"tern_fully_connected_{layout}",
        struct="tern_fully_connected_tables_params",
        fields={
            **{key: call.fields[key] for key in ("rows", "inputs", "outputs")},
            "weights": Constant("weights", packed),
            "requantization": requantization,
        },
        weight_format=layout,
        scratch_bytes=packing.fraction_scratch_bytes(outputs, split=split),
        reason=f"{call.weight_format}, {_LAYOUTS[layout]}: {packed.nbytes:,} bytes instead of {weights.data.nbytes:,}",
        alternatives=(call,),
    )


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
