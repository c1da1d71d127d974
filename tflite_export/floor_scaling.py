"""Integer scales with one rounding, proven equal to float64 arithmetic for all that a layer can sum."""

from __future__ import annotations

import numpy as np

# TERN_FLOOR_MAXIMUM_SHIFT of micro/: larger ones have no room for the zero point in 32 bits.
_MAXIMUM_SHIFT = 22
_MOST = 2**31 - 1


def floor_scales(
    reals: np.ndarray, least: np.ndarray, most: np.ndarray, zero_point: int, minimum: int, maximum: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Find integer scales whose outputs equal those of float64 multipliers for every sum from `least` to `most`.

    Both ways from a sum to an output rise with the sum. So they are equal everywhere if every output value starts at
    the same sum, and each of these at most 255 starts bounds the multiplier from below and from above. A multiplier
    within all bounds is a proof; where there is none, no multiplier of 31 bits does.

    Args:
        reals: float64, shape (channels,): TFLite's multipliers, not negative.
        least: int64, shape (channels,): the smallest accumulator of a channel, bias included.
        most: int64, shape (channels,): the largest one.
        zero_point: of the output.
        minimum: the output's clamp.
        maximum: the same.

    Returns:
        (int32, int8), shape (channels,): `multiplier` and `shift` with which the output is
        floor(sum * multiplier / 2^(32 + shift) + 1/2) + zero point, clamped; or None where a channel has none.

    Example:
        >>> import numpy as np
        >>> from tflite_export.floor_scaling import floor_scales
        >>> multiplier, shift = floor_scales(np.array([0.01]), np.array([-9999]), np.array([9999]), 0, -128, 127)
        >>> (1234 * int(multiplier[0]) + 2 ** (31 + int(shift[0]))) >> 32 + int(shift[0])
        12
    """
    if least.min() < -_MOST or most.max() > _MOST:
        return None
    shifts = np.clip(-1 - np.frexp(reals)[1], 1, _MAXIMUM_SHIFT)  # multipliers of 31 bits, if they can be
    wanted = np.rint(np.ldexp(reals, 32 + shifts))
    if wanted.max() > _MOST:
        return None
    steps = np.arange(minimum + 1, maximum + 1, dtype=np.int64) - zero_point
    starts = _starts(reals[:, None], steps)
    halves = (2 * steps - 1) << (31 + shifts[:, None].astype(np.int64))
    # a start itself must reach the step, and the sum below it must not: these are bounds of the multiplier
    low, high = np.zeros(len(reals), np.int64), np.full(len(reals), _MOST, np.int64)
    for sums, reaches in ((starts, True), (starts - 1, False)):
        matters = (sums >= least[:, None]) & (sums <= most[:, None])
        divisors = np.where(sums == 0, 1, sums)
        quotient, exact = halves // divisors, halves % divisors == 0
        above = np.where(exact, quotient, quotient + 1) if reaches else quotient + 1
        below = quotient if reaches else np.where(exact, quotient - 1, quotient)
        lower = matters & ((sums > 0) if reaches else (sums < 0))
        upper = matters & ((sums < 0) if reaches else (sums > 0))
        low = np.maximum(low, np.where(lower, above, 0).max(1, initial=0))
        high = np.minimum(high, np.where(upper, below, _MOST).min(1, initial=_MOST))
        astray = (_rounded(sums, reals[:, None]) >= steps) != reaches
        if (matters & (astray | (sums == 0) & ((halves <= 0) != reaches))).any():
            return None
    if (low > high).any():
        return None
    return np.clip(wanted.astype(np.int64), low, high).astype(np.int32), shifts.astype(np.int8)


def _starts(reals: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The smallest sums whose product with a multiplier, rounded as float64 arithmetic has it, is at least `steps`."""
    with np.errstate(divide="ignore", over="ignore"):
        guesses = np.where(reals > 0, (steps - 0.5) / np.where(reals > 0, reals, 1), np.sign(steps - 0.5) * 2.0**40)
    sums = np.floor(np.clip(guesses, -(2.0**40), 2.0**40)).astype(np.int64) - 1
    found = np.full(sums.shape, 2**41, np.int64)
    for offset in (3, 2, 1, 0):
        candidates = sums + offset
        found = np.where(_rounded(candidates, reals) >= steps, candidates, found)
    return found


def _rounded(sums: np.ndarray, reals: np.ndarray) -> np.ndarray:
    """Halves away from zero, of the float64 product."""
    product = sums * reals
    whole = np.trunc(product)
    return whole + np.where(np.abs(product - whole) >= 0.5, np.sign(product), 0)
