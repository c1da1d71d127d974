"""The fast fully connected layers: for which weights, on which cores, and with which parameters."""

from __future__ import annotations

import dataclasses

import numpy as np

from tflite_export import connected_packing as packing
from tflite_export.graph import Tensor
from tflite_export.kernel_call import Constant, Field, KernelCall
from tflite_export.levels import Levels
from tflite_export.lowering.floor_requantization import floor_requantization, one_level

_LAYOUTS = {
    "pairs": "two rows a word",
    "split": "a row a word",
    "tables": "as places in tables of sums of four inputs",
    "split_tables": "as places in tables of sums of seven inputs",
    "fractions": "five places in tables of sums of four inputs a word",
    "split_fractions": "five places in tables of sums of four inputs a word",
}
_PACK = {
    "pairs": packing.pack_pairs,
    "split": packing.pack_split,
    "tables": packing.pack_tables,
    "split_tables": packing.pack_split_tables,
}
# MAXIMUM_INPUTS of micro/
_MOST_INPUTS, _MOST_INT8_INPUTS = 2**22, 2**16
# What a layer's fractions may take beyond two bits a weight: those of a few inputs are filled up.
_FEW_BYTES = 16


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
    single = one_level(codes, levels)
    plus = levels.plus if single is None else single
    requantization = floor_requantization(call.fields, weights.data, plus, levels.minus)
    if requantization is None or weights.shape[1] > _MOST_INPUTS:
        return []
    fields: dict[str, Field] = {key: call.fields[key] for key in ("rows", "inputs", "outputs")}
    split = single is None
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
    level = one_level(codes, levels)
    split = level is None
    plus = levels.plus if level is None else level
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
