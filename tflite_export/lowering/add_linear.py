"""The fast ADD and SUB: for which quantisations, and with which parameters."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tflite_export import requantization as rq
from tflite_export.kernel_call import KernelCall

# A finer one would leave outputs of no more than 9 bits, a coarser one too few bits for the multipliers.
_SHIFTS = (23, 22, 21, 20, 19, 18)
_LARGEST_MULTIPLIER = 2**23 - 1
# How far from the rounded real multipliers others are tried.
_REACH = 8
_UNBOUNDED = 2**40
_BYTES = np.arange(-128, 128, dtype=np.int64)


def with_linear_sum(call: KernelCall) -> KernelCall:
    """The call of `tern_add_linear` for the same operator, or the call itself where that kernel cannot do it.

    Args:
        call: of `tern_add_ref` or `tern_sub_ref`.
    """
    fields: Mapping[str, Any] = call.fields
    if any(tensor.shape != call.output.shape for tensor in call.inputs):
        return call
    names = ("left_shift", "output_zero_point", "output_multiplier", "output_shift", "minimum", "maximum")
    found = linear_sum(
        -1 if call.function == "tern_sub_ref" else 1,
        *(fields[name] for name in ("zero_point", "multiplier", "shift")),
        *(fields[name] for name in names),
    )
    if found is None:
        return call
    return dataclasses.replace(
        call,
        function="tern_add_linear",
        struct="tern_add_linear_params",
        fields={
            "size": math.prod(fields["shape"]),
            **found,
            "minimum": fields["minimum"],
            "maximum": fields["maximum"],
        },
    )


@functools.lru_cache(maxsize=256)
def linear_sum(
    sign: int,
    zero_point: tuple[int, int],
    multiplier: tuple[int, int],
    shift: tuple[int, int],
    left_shift: int,
    output_zero_point: int,
    output_multiplier: int,
    output_shift: int,
    minimum: int,
    maximum: int,
) -> dict[str, Any] | None:
    """Integers with which `tern_add_linear` does what `tern_add_ref` (sign 1) or `tern_sub_ref` (-1) does.

    For a given shift an output is right where the sum lies in an interval: all pairs of inputs bound the offset from
    both sides, once the multipliers are chosen. Of multipliers near the real ones the pair is taken that leaves the
    offset most room; what comes out is tried with every pair of inputs.

    Returns:
        Values of the fields `multiplier`, `offset` and `shift`; None where there are none, which is rare.
    """
    terms = [
        rq.scale_integers((_BYTES - zero_point[i]) << left_shift, multiplier[i], shift[i]) * (sign if i else 1)
        for i in (0, 1)
    ]
    sums = rq.scale_integers(terms[0][:, None] + terms[1], output_multiplier, output_shift)
    outputs = np.clip(sums + output_zero_point, minimum, maximum)
    slopes = [
        step * multiplier[i] * 2.0 ** (left_shift + shift[i] - 31) * output_multiplier * 2.0 ** (output_shift - 31)
        for i, step in enumerate((1, sign))
    ]
    for bits in _SHIFTS:
        centre = [round(slope * 2**bits) for slope in slopes]
        lowest = np.where(outputs > minimum, outputs << bits, -_UNBOUNDED)
        highest = np.where(outputs < maximum, ((outputs + 1) << bits) - 1, _UNBOUNDED)
        for multipliers, offset in _offsets(centre, lowest, highest):
            total = _BYTES[:, None] * multipliers[0] + _BYTES * multipliers[1] + offset
            if (
                max(map(abs, multipliers)) <= _LARGEST_MULTIPLIER
                and np.abs(total).max() < 2**31
                and np.array_equal(np.clip(total >> bits, minimum, maximum), outputs)
            ):
                return {"multiplier": multipliers, "offset": offset, "shift": bits}
    return None


def _offsets(centre: list[int], lowest: np.ndarray, highest: np.ndarray) -> list[tuple[tuple[int, int], int]]:
    """Multipliers near `centre` and an offset that puts the sums of the pairs between their bounds; at most one."""
    sums = _BYTES[:, None] * centre[0] + _BYTES * centre[1]
    below, above = lowest - sums, highest - sums  # what the offset is between
    # other multipliers move a sum by no more than this, so that only pairs near the extremes can be the binding ones
    margin = 2 * _REACH * 2 * 128
    from_below, from_above = (below >= below.max() - margin).nonzero(), (above <= above.min() + margin).nonzero()
    best: tuple[int, tuple[int, int], int] | None = None
    for step0, step1 in itertools.product(range(-_REACH, _REACH + 1), repeat=2):
        low, high = (
            bound[where] - step0 * _BYTES[where[0]] - step1 * _BYTES[where[1]]
            for bound, where in ((below, from_below), (above, from_above))
        )
        room = int(high.min() - low.max())
        if room >= 0 and (best is None or room > best[0]):
            best = room, (centre[0] + step0, centre[1] + step1), int(low.max()) + room // 2
    return [] if best is None else [best[1:]]
