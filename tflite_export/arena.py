"""Where each activation lies: planned ahead of time, so that the firmware allocates nothing.

A buffer lives from the operator that writes it to the last one that reads it. Buffers whose lives do not touch may
share bytes. What is left is a packing problem, dynamic storage allocation. It is NP-hard, but the instances are small:
a handful of greedy orders mostly reaches the lower bound, the largest sum of buffers that live at the same time; else
a bounded search (`arena_search`) finds the optimum or comes close.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

# Kernels load activations as words.
TENSOR_ALIGNMENT = 4
# What tern.h asks of the arena itself, and what kernels may ask of their scratch.
ARENA_ALIGNMENT = 16


@dataclass(frozen=True)
class Buffer:
    """Bytes that are needed from operator `first` to operator `last`, both included.

    Attributes:
        size: bytes.
        first: operator that writes it.
        last: operator that reads it last.
        alignment: of its offset.
        profile: (operator, bytes): from this operator on so many bytes are needed, the first of them at `first`. Empty
            where all are needed throughout. Tensors that take over each other's bytes have one.
    """

    size: int
    first: int
    last: int
    alignment: int = TENSOR_ALIGNMENT
    profile: tuple[tuple[int, int], ...] = ()

    def overlaps(self, other: Buffer) -> bool:
        """Whether both live at the same time."""
        return self.first <= other.last and other.first <= self.last

    def spans(self) -> list[tuple[int, int, int]]:
        """(first, last, bytes) of every stretch of operators with the same need."""
        profile = self.profile or ((self.first, self.size),)
        ends = [step - 1 for step, _ in profile[1:]] + [self.last]
        return [(first, last, size) for (first, size), last in zip(profile, ends, strict=True)]

    def reach(self, other: Buffer) -> int:
        """How far above this one's offset another buffer must start that lies over it: 0 if they never meet."""
        if not self.overlaps(other):
            return 0
        return max(size for first, last, size in self.spans() if first <= other.last and other.first <= last)


@dataclass(frozen=True)
class ArenaPlan:
    """Offsets of the buffers, in bytes, and the size of the arena that holds them all.

    Attributes:
        offsets: one a buffer.
        size: of the arena, a multiple of `ARENA_ALIGNMENT` and at least that.
        proved_optimal: no plan needs less: the size is the lower bound, or the search has tried everything.
    """

    offsets: tuple[int, ...]
    size: int
    proved_optimal: bool


def plan_arena(buffers: Sequence[Buffer]) -> ArenaPlan:
    """Place buffers so that those that live together do not share a byte.

    The outcome depends on nothing but the buffers: effort is counted in steps of the search, not in seconds.

    Args:
        buffers: sizes in bytes, lives in operator indices.

    Returns:
        An offset for each, a multiple of its alignment, and the arena's size, a multiple of 16 and at least 16 (C has
        no arrays of nothing).

    Example:
        >>> from tflite_export.arena import Buffer, plan_arena
        >>> plan_arena([Buffer(100, 0, 1), Buffer(64, 1, 2), Buffer(90, 2, 3)])
        ArenaPlan(offsets=(0, 100, 0), size=176, proved_optimal=True)
    """
    from tflite_export.arena_search import improve  # which needs these classes

    plan = plan_greedily(buffers)
    return plan if plan.proved_optimal else improve(buffers, plan)


def plan_greedily(buffers: Sequence[Buffer]) -> ArenaPlan:
    """The best of a few orders of placing, each buffer at the lowest free offset. Arguments as in `plan_arena`."""
    bound = smallest_arena(buffers)
    placement = Placement(buffers)
    best: ArenaPlan | None = None
    for order in _orders(buffers):
        plan = placement.plan(order, bound)
        if best is None or plan.size < best.size:
            best = plan
        if best.proved_optimal:
            break
    assert best is not None
    return best


def lower_bound(buffers: Sequence[Buffer]) -> int:
    """The largest sum of buffers that live at the same time, in bytes: no plan can need less."""
    return int(live_bytes(buffers).max(initial=0))


def smallest_arena(buffers: Sequence[Buffer]) -> int:
    """The lower bound of what `plan_arena` counts: offsets and the arena itself are aligned."""
    return arena_size(int(live_bytes(buffers, TENSOR_ALIGNMENT).max(initial=0)))


def live_bytes(buffers: Sequence[Buffer], alignment: int = 1) -> np.ndarray:
    """Bytes that live at each operator, every buffer rounded up to the alignment: int64, one an operator."""
    steps = max((buffer.last for buffer in buffers), default=-1) + 1
    change = np.zeros(steps + 1, np.int64)
    for buffer in buffers:
        for first, last, size in buffer.spans():
            change[first] += round_up(size, alignment)
            change[last + 1] -= round_up(size, alignment)
    return np.cumsum(change)[:steps]


def arena_size(end: int) -> int:
    """Bytes of an arena whose last buffer ends there."""
    return max(ARENA_ALIGNMENT, round_up(end, ARENA_ALIGNMENT))


def round_up(value: int, multiple: int) -> int:
    """The smallest multiple that is not below the value."""
    return -(-value // multiple) * multiple


def _orders(buffers: Sequence[Buffer]) -> Iterable[list[int]]:
    indices = range(len(buffers))
    lengths = [buffer.last - buffer.first + 1 for buffer in buffers]
    yield sorted(indices, key=lambda i: (-buffers[i].size, buffers[i].first, i))  # TFLite's own heuristic
    yield sorted(indices, key=lambda i: (buffers[i].first, -buffers[i].size, i))
    yield sorted(indices, key=lambda i: (-lengths[i], -buffers[i].size, i))
    yield sorted(indices, key=lambda i: (-buffers[i].size * lengths[i], buffers[i].first, i))
    live = live_bytes(buffers)
    crowds = [int(live[buffer.first : buffer.last + 1].max(initial=0)) for buffer in buffers]
    yield sorted(indices, key=lambda i: (-crowds[i], -buffers[i].size, i))
    yield sorted(indices, key=lambda i: (-crowds[i], -lengths[i], i))


class Placement:
    """Places buffers one after the other, each at the lowest offset that is free."""

    def __init__(self, buffers: Sequence[Buffer]) -> None:
        self._buffers = buffers
        self._sizes = np.array([buffer.size for buffer in buffers], np.int64)
        self._firsts = np.array([buffer.first for buffer in buffers], np.int64)
        self._lasts = np.array([buffer.last for buffer in buffers], np.int64)
        self._shaped = np.array([bool(buffer.profile) for buffer in buffers], bool)

    def reaches(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The buffers that meet this one; how far above it each must start; how far above each it must start."""
        buffer = self._buffers[index]
        meets = (self._firsts <= buffer.last) & (self._lasts >= buffer.first)
        meets[index] = False
        others = np.flatnonzero(meets)
        above = np.full(others.size, buffer.size, np.int64)
        below = self._sizes[others]
        shaped = np.arange(others.size) if buffer.profile else np.flatnonzero(self._shaped[others])
        for k in shaped.tolist():
            other = self._buffers[int(others[k])]
            above[k], below[k] = buffer.reach(other), other.reach(buffer)
        return others, above, below

    def offsets(self, order: Iterable[int]) -> list[int]:
        """The offsets that come of placing in this order."""
        offsets = np.full(len(self._buffers), -1, np.int64)
        for index in order:
            others, above, below = self.reaches(index)
            placed = offsets[others] >= 0
            at = offsets[others[placed]]
            offsets[index] = _lowest(at - above[placed], at + below[placed], self._buffers[index].alignment)
        return offsets.tolist()

    def plan(self, order: Iterable[int], bound: int) -> ArenaPlan:
        """The plan that comes of placing in this order; `bound`: of `smallest_arena`."""
        offsets = self.offsets(order)
        size = arena_size(self.end(offsets))
        return ArenaPlan(tuple(offsets), size, proved_optimal=size == bound)

    def end(self, offsets: Sequence[int]) -> int:
        """Where the last buffer ends."""
        return max((offset + buffer.size for offset, buffer in zip(offsets, self._buffers, strict=True)), default=0)


def _lowest(highest_below: np.ndarray, lowest_above: np.ndarray, alignment: int) -> int:
    """The lowest aligned offset that is, for each other buffer, at most the one or at least the other of its limits."""
    if not highest_below.size:
        return 0
    order = np.argsort(highest_below, kind="stable")
    # behind the first k others, in the order of their lower limits
    candidates = np.append(0, -(-np.maximum.accumulate(lowest_above[order]) // alignment) * alignment)
    fits = candidates[:-1] <= highest_below[order]
    return int(candidates[int(np.argmax(fits))] if fits.any() else candidates[-1])
