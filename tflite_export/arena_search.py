"""Better plans of an arena than the greedy ones: branch and bound, then hill climbing. Both count their steps.

The search follows MiniMalloc (Moffitt, "MiniMalloc: A Lightweight Memory Allocator for Hardware-Accelerated Machine
Learning", ASPLOS 2023): among the plans that fit there is one in which no buffer can be moved down. Placed in the order
of its offsets, every buffer lies just above those that it meets. So it is enough to try orders, with offsets that never
descend.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tflite_export.arena import (
    ARENA_ALIGNMENT,
    TENSOR_ALIGNMENT,
    ArenaPlan,
    Buffer,
    Placement,
    arena_size,
    round_up,
    smallest_arena,
)

# About a second each; on larger instances nothing is proved in that time.
_SEARCH_BUDGET = 2_000_000
_CLIMB_BUDGET = 20_000
_MOST_BUFFERS = 200


def improve(buffers: Sequence[Buffer], plan: ArenaPlan) -> ArenaPlan:
    """Look for a smaller arena.

    Args:
        buffers: as in `plan_arena`.
        plan: a plan of them.

    Returns:
        A plan that is not larger; `proved_optimal` where the search was complete.
    """
    bound = smallest_arena(buffers)
    if len(buffers) <= _MOST_BUFFERS:
        budget = _Budget(_SEARCH_BUDGET)
        while plan.size > bound:
            offsets = _Search(buffers, plan.size - ARENA_ALIGNMENT, budget).run()
            if offsets is None:
                break
            plan = _plan(buffers, offsets, bound)
        if plan.size == bound or budget.left > 0:
            return ArenaPlan(plan.offsets, plan.size, proved_optimal=True)
    return _climb(buffers, plan, bound)


def _plan(buffers: Sequence[Buffer], offsets: Sequence[int], bound: int) -> ArenaPlan:
    size = arena_size(Placement(buffers).end(offsets))
    return ArenaPlan(tuple(offsets), size, proved_optimal=size == bound)


@dataclass
class _Budget:
    left: int


class _Search:
    """Branch and bound for offsets that end at or before `capacity`, a multiple of `ARENA_ALIGNMENT`."""

    def __init__(self, buffers: Sequence[Buffer], capacity: int, budget: _Budget) -> None:
        self._capacity = capacity
        self._budget = budget
        self._alignments = [buffer.alignment for buffer in buffers]
        self._sizes = [round_up(buffer.size, TENSOR_ALIGNMENT) for buffer in buffers]
        placement = Placement(buffers)
        # of each buffer: those that it meets, and how far above its offset they start where they lie over it
        self._met = [
            list(zip(others.tolist(), above.tolist(), strict=True))
            for others, above, _ in map(placement.reaches, range(len(buffers)))
        ]
        # operators between which the set of live buffers and their needs is the same
        starts = sorted({first for buffer in buffers for first, _, _ in buffer.spans()})
        self._needs = [
            [
                (section, round_up(size, TENSOR_ALIGNMENT))
                for first, last, size in buffer.spans()
                for section, start in enumerate(starts)
                if first <= start <= last
            ]
            for buffer in buffers
        ]
        self._unplaced_bytes = [0] * len(starts)
        self._floor = [0] * len(starts)
        for needs in self._needs:
            for section, size in needs:
                self._unplaced_bytes[section] += size
        self._lowest = [0] * len(buffers)
        self._unplaced = set(range(len(buffers)))
        self._offsets = [0] * len(buffers)

    def run(self) -> list[int] | None:
        """The offsets, or None if there are none, or if the budget was spent."""
        return self._offsets if self._place_rest(0, -1) else None

    def _place_rest(self, level: int, previous: int) -> bool:
        """Place what is left at `level` or above; at `level` itself those with a larger index than `previous`."""
        if not self._unplaced:
            return True
        self._budget.left -= len(self._unplaced) + len(self._floor)
        if self._budget.left <= 0 or not self._rest_fits(level):
            return False
        # a buffer that could lie wholly below the next one would have been moved down there
        limit = min(self._lowest[i] + self._sizes[i] for i in self._unplaced)
        candidates = [
            (self._lowest[i], -self._sizes[i], i)
            for i in self._unplaced
            if self._lowest[i] < limit
            and (self._lowest[i], i) > (level, previous)
            and self._lowest[i] + self._sizes[i] <= self._capacity
        ]
        return any(self._place(offset, i) for offset, _, i in sorted(candidates))

    def _rest_fits(self, level: int) -> bool:
        return all(
            size == 0 or max(floor, level) + size <= self._capacity
            for floor, size in zip(self._floor, self._unplaced_bytes, strict=True)
        )

    def _place(self, offset: int, index: int) -> bool:
        floors = [(section, self._floor[section]) for section, _ in self._needs[index]]
        lowest = [(other, self._lowest[other]) for other, _ in self._met[index]]
        self._unplaced.remove(index)
        self._offsets[index] = offset
        for section, size in self._needs[index]:
            self._floor[section] = offset + size
            self._unplaced_bytes[section] -= size
        for other, above in self._met[index]:
            start = round_up(offset + above, self._alignments[other])
            self._lowest[other] = max(self._lowest[other], start)
        if self._place_rest(offset, index):
            return True
        self._unplaced.add(index)
        for section, floor in floors:
            self._floor[section] = floor
        for section, size in self._needs[index]:
            self._unplaced_bytes[section] += size
        for other, before in lowest:
            self._lowest[other] = before
        return False


def _climb(buffers: Sequence[Buffer], plan: ArenaPlan, bound: int) -> ArenaPlan:
    """Swap places in the order of placing, and keep what is not worse."""
    placement = Placement(buffers)
    draw = random.Random(0).random  # the same on every machine
    order = sorted(range(len(buffers)), key=lambda i: (plan.offsets[i], i))
    size = plan.size
    for _ in range(_CLIMB_BUDGET // len(buffers)):
        if plan.size == bound:
            break
        i, j = (int(draw() * len(buffers)) for _ in range(2))
        order[i], order[j] = order[j], order[i]
        tried = placement.plan(order, bound)
        if tried.size <= size:
            size = tried.size
            plan = min(plan, tried, key=lambda plan: plan.size)
        else:
            order[i], order[j] = order[j], order[i]
    return plan
