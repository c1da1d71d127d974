"""Ternary weights as the gaps between those that are not zero, in the layout that `tern_conv.h` documents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# TERN_GAP_GROUP of micro/: behind so many rows lies one that counts as 0.
GROUP = 12
_MAXIMUM_GAP = 15
_IN_WORD = 8


@dataclass(frozen=True, eq=False)
class GapStreams:
    """What `tern_gap_weights` points to, but the levels.

    Attributes:
        gaps: uint32, eight gaps a word.
        steps: uint16, shape (2 * channels,): lengths of the streams, of `minus` and of `plus` of each channel in turn.
    """

    gaps: np.ndarray
    steps: np.ndarray


def pack_gaps(codes: np.ndarray) -> GapStreams:
    """Pack rows of codes as streams of gaps.

    Args:
        codes: int8, shape (channels, weights), values -1, 0, +1; at most 30,000 weights a channel, so that no stream
            is longer than a uint16 says.

    Returns:
        The streams.

    Example:
        >>> import numpy as np
        >>> from tflite_export.gap_packing import pack_gaps
        >>> streams = pack_gaps(np.array([[0, 1, 0, -1, 1, 0]], np.int8))
        >>> streams.steps.tolist(), [hex(word) for word in streams.gaps]
        ([1, 2], ['0x30000000', '0x31000000'])
    """
    words, steps = [], []
    for row in codes:
        for sign in (-1, 1):
            gaps = _gaps(np.flatnonzero(row == sign))
            steps.append(len(gaps))
            nibbles = np.concatenate([np.zeros(-len(gaps) % _IN_WORD, np.uint32), gaps]).reshape(-1, _IN_WORD)
            words.append((nibbles << np.arange(0, 32, 4, dtype=np.uint32)).sum(1, dtype=np.uint32))
    return GapStreams(np.concatenate(words), np.array(steps, np.uint16))


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
