"""Integer scales and levels of the fast fully connected layers, which all of them share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tflite_export.floor_scaling import floor_scales
from tflite_export.kernel_call import Constant, Field
from tflite_export.levels import Levels

_SIGNIFICAND_BITS = 53


def one_level(codes: np.ndarray, levels: Levels) -> np.ndarray | None:
    """The level `plus` of every output, if it has `minus` = -`plus` or only one of both; int8, shape (outputs,).

    Args:
        codes: positive where a weight is `plus`, negative where it is `minus`, shape (outputs, inputs).
        levels: with the two numbers of every output.
    """
    has_plus, has_minus = (codes > 0).any(1), (codes < 0).any(1)
    negated = -levels.minus.astype(np.int16)
    one = np.where(has_plus, levels.plus, negated)
    fits = (~has_plus | ~has_minus | (levels.plus == negated)) & (one <= 127)
    return one.astype(np.int8) if fits.all() else None


def bias_of(fields: Mapping[str, Any], outputs: int) -> np.ndarray:
    """The bias of a call of a `_ref` kernel, zeros where it has none; int64, shape (outputs,)."""
    bias = fields["requantization"]["bias"]
    return np.zeros(outputs, np.int64) if bias is None else bias.data.astype(np.int64)


def floor_scales_of(fields: Mapping[str, Any], rows: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Integer scales instead of the float64 ones, proven equal for all that the inputs can add up to.

    Args:
        fields: of the call of a `_ref` kernel: `input_zero_point` and `requantization`.
        rows: the int8 weights, shape (outputs, inputs).

    Returns:
        What `floor_scales` found, or None where no such scale is proven equal.
    """
    rows = rows.astype(np.int64)
    requantization, zero_point = fields["requantization"], fields["input_zero_point"]
    bias = bias_of(fields, len(rows))
    multiplier, shift = (requantization[key].data for key in ("multiplier", "shift"))
    reals = np.ldexp(multiplier.astype(np.float64), shift.astype(int) - _SIGNIFICAND_BITS)
    positive, negative = np.maximum(rows, 0).sum(1), np.maximum(-rows, 0).sum(1)
    below, above = 128 + zero_point, 127 - zero_point  # how far an input may be from its zero point
    return floor_scales(
        reals,
        bias - positive * below - negative * above,
        bias + positive * above + negative * below,
        *(requantization[key] for key in ("zero_point", "minimum", "maximum")),
    )


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
    scales = floor_scales_of(fields, rows)
    folded = bias_of(fields, len(rows)) - fields["input_zero_point"] * rows.sum(1, dtype=np.int64)
    if scales is None or np.abs(folded).max() >= 2**31:
        return None
    requantization = fields["requantization"]
    levels = [plus.view(np.uint8), minus.view(np.uint8)]
    last = sum(byte.astype(np.uint32) << shift for byte, shift in zip([scales[1], *levels], (0, 8, 16), strict=True))
    words = np.stack([folded.astype(np.int32).view(np.uint32), scales[0].view(np.uint32), last], axis=1)
    return {
        "outputs": Constant("outputs", words.reshape(-1)),
        **{key: requantization[key] for key in ("zero_point", "minimum", "maximum")},
    }
