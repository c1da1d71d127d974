"""Where each activation lies: planned ahead of time, so that the firmware allocates nothing.

A tensor lives from the operator that writes it to the last one that reads it. Tensors whose lives do not touch may
share bytes. What is left is a packing problem; placing the largest first at the lowest free offset is TFLite's own
heuristic and mostly reaches the lower bound, the largest sum of tensors that live at the same time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

# Kernels load activations as words.
TENSOR_ALIGNMENT = 4
# What tern.h asks of the arena itself.
ARENA_ALIGNMENT = 16


@dataclass(frozen=True)
class Buffer:
    """Bytes that are needed from operator `first` to operator `last`, both included."""

    size: int
    first: int
    last: int

    def overlaps(self, other: Buffer) -> bool:
        """Whether both live at the same time."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class ArenaPlan:
    """Offsets of the buffers, in bytes, and the size of the arena that holds them all."""

    offsets: tuple[int, ...]
    size: int


def plan_arena(buffers: Sequence[Buffer]) -> ArenaPlan:
    """Place buffers so that those that live together do not share a byte.

    Args:
        buffers: sizes in bytes, lives in operator indices.

    Returns:
        An offset for each, a multiple of 4, and the arena's size, a multiple of 16 and at least 16 (C has no arrays
        of nothing).

    Example:
        >>> from tflite_export.arena import Buffer, plan_arena
        >>> plan_arena([Buffer(100, 0, 1), Buffer(64, 1, 2), Buffer(90, 2, 3)])
        ArenaPlan(offsets=(0, 100, 0), size=176)
    """
    by_size = sorted(range(len(buffers)), key=lambda i: (-buffers[i].size, buffers[i].first, i))
    by_life = sorted(range(len(buffers)), key=lambda i: (buffers[i].first, -buffers[i].size, i))
    return min((_place(buffers, order) for order in (by_size, by_life)), key=lambda plan: plan.size)


def lower_bound(buffers: Sequence[Buffer]) -> int:
    """The largest sum of buffers that live at the same time, in bytes: no plan can need less."""
    changes: dict[int, int] = {}
    for buffer in buffers:
        changes[buffer.first] = changes.get(buffer.first, 0) + buffer.size
        changes[buffer.last + 1] = changes.get(buffer.last + 1, 0) - buffer.size
    return max(accumulate(changes[step] for step in sorted(changes)), default=0)


def _place(buffers: Sequence[Buffer], order: Iterable[int]) -> ArenaPlan:
    offsets: dict[int, int] = {}
    for index in order:
        buffer = buffers[index]
        taken = sorted(
            (offsets[other], offsets[other] + buffers[other].size)
            for other in offsets
            if buffer.overlaps(buffers[other])
        )
        offset = 0
        for start, end in taken:
            if offset + buffer.size <= start:
                break
            offset = max(offset, _round_up(end, TENSOR_ALIGNMENT))
        offsets[index] = offset
    end = max((offsets[i] + buffer.size for i, buffer in enumerate(buffers)), default=0)
    return ArenaPlan(
        tuple(offsets[i] for i in range(len(buffers))), max(ARENA_ALIGNMENT, _round_up(end, ARENA_ALIGNMENT))
    )


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
