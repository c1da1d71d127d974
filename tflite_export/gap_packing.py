"""Ternary weights as the gaps between those that are not zero, in the layout that `tern_conv.h` documents."""

from __future__ import annotations

import numpy as np

# TERN_GAP_GROUP of micro/: behind so many rows lies one that counts as 0.
GROUP = 12
_MAXIMUM_GAP = 15
_IN_WORD = 8


# The difference of two streams' sums, of at most so many steps together, is an int16.
_JOINT_STEPS = 255


def pack_gaps(
    codes: np.ndarray, minus: np.ndarray, plus: np.ndarray, exponents: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pack rows of codes as streams of gaps.

    Args:
        codes: int8, shape (channels, weights), values -1, 0, +1; at most 30,000 weights a channel, so that no stream
            is longer than a uint16 says.
        minus: int8, shape (channels,): levels of the codes -1.
        plus: int8, shape (channels,): levels of the codes +1.
        exponents: of the channels' scales, shape (channels,), from 0 to 30.

    Returns:
        What `tern_gap_weights` points to: the gaps, uint32, eight a word; and two words a channel, uint32, flat.

    Example:
        >>> import numpy as np
        >>> from tflite_export.gap_packing import pack_gaps
        >>> gaps, channels = pack_gaps(
        ...     np.array([[0, 1, 0, -1, 1, 0]], np.int8), np.array([-3]), np.array([5]), np.array([6])
        ... )
        >>> [hex(word) for word in gaps], [hex(word) for word in channels]
        (['0x30000000', '0x31000000'], ['0x20001', '0x506fd'])
    """
    words, channels = [], []
    for row, *levels, exponent in zip(codes, minus.tolist(), plus.tolist(), exponents.tolist(), strict=True):
        steps = []
        for sign in (-1, 1):
            gaps = _gaps(np.flatnonzero(row == sign))
            steps.append(len(gaps))
            nibbles = np.concatenate([np.zeros(-len(gaps) % _IN_WORD, np.uint32), gaps]).reshape(-1, _IN_WORD)
            words.append((nibbles << np.arange(0, 32, 4, dtype=np.uint32)).sum(1, dtype=np.uint32))
        joint = levels[0] == -levels[1] and sum(steps) <= _JOINT_STEPS
        channels += [
            steps[0] | steps[1] << 16,
            (levels[0] & 0xFF) | exponent << 8 | (levels[1] & 0xFF) << 16 | joint << 24,
        ]
    return np.concatenate(words), np.array(channels, np.uint32)


def _gaps(weights: np.ndarray) -> np.ndarray:
    """The steps to weights, in rising order; longer gaps step on rows of zeros."""
    rows = weights + weights // GROUP
    gaps = np.diff(rows, prepend=0)
    if gaps.size == 0 or gaps.max() <= _MAXIMUM_GAP:
        return gaps.astype(np.uint32)
    steps: list[int] = []
    at = 0
    for row in rows.tolist():
        while row - at > _MAXIMUM_GAP:
            reach = at + _MAXIMUM_GAP
            zeros = (reach - GROUP) // (GROUP + 1) * (GROUP + 1) + GROUP  # the last row of zeros within reach
            steps.append(zeros - at)
            at = zeros
        steps.append(row - at)
        at = row
    return np.array(steps, np.uint32)
