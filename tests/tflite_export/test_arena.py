"""Offsets of buffers: nothing overlaps, and no arena is smaller."""

import itertools
import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tflite_export.arena import (
    ARENA_ALIGNMENT,
    ArenaPlan,
    Buffer,
    lower_bound,
    plan_arena,
    plan_greedily,
    smallest_arena,
)

properties = settings(deadline=None, derandomize=True, database=None, max_examples=60)


@st.composite
def buffers(draw, sizes, steps=12, alignments=(4, 4, 16)):
    first = draw(st.integers(0, steps - 1))
    last = draw(st.integers(first, min(first + 4, steps - 1)))
    profile = ()
    if draw(st.integers(0, 3)) == 0:
        profile = tuple((step, draw(sizes)) for step in range(first, last + 1))
    size = max((size for _, size in profile), default=0) or draw(sizes)
    return Buffer(size, first, last, draw(st.sampled_from(alignments)), profile)


def check(placed: list[Buffer], plan: ArenaPlan) -> None:
    assert plan.size % ARENA_ALIGNMENT == 0
    assert all(offset % buffer.alignment == 0 for buffer, offset in zip(placed, plan.offsets, strict=True))
    ends = [offset + buffer.size for buffer, offset in zip(placed, plan.offsets, strict=True)]
    assert max(ends, default=0) <= plan.size
    for step in range(max((buffer.last for buffer in placed), default=0) + 1):
        taken = sorted(
            (offset, offset + size)
            for buffer, offset in zip(placed, plan.offsets, strict=True)
            for first, last, size in buffer.spans()
            if first <= step <= last
        )
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(taken))


@properties
@given(st.lists(buffers(st.integers(1, 500)), max_size=24))
def test_buffers_that_live_together_do_not_overlap(placed: list[Buffer]) -> None:
    plan, greedy = plan_arena(placed), plan_greedily(placed)
    check(placed, plan)
    check(placed, greedy)
    assert lower_bound(placed) <= smallest_arena(placed) <= plan.size <= greedy.size
    assert plan == plan_arena(placed)
    assert plan.proved_optimal or plan.size > smallest_arena(placed)


@properties
@given(st.lists(buffers(st.sampled_from([16, 32, 48]), steps=6, alignments=(4, 16)), min_size=1, max_size=5))
def test_nothing_is_smaller(placed: list[Buffer]) -> None:
    """Against every combination of offsets: sums of sizes, so multiples of 16."""
    plan = plan_arena(placed)
    assert plan.proved_optimal
    assert plan.size == smallest_by_trying(placed, plan.size)


def smallest_by_trying(placed: list[Buffer], enough: int) -> int:
    grid = np.indices([enough // 16] * len(placed)) * 16
    valid = np.ones(grid.shape[1:], bool)
    for (i, a), (j, b) in itertools.combinations(enumerate(placed), 2):
        for step in range(max(a.first, b.first), min(a.last, b.last) + 1):
            sizes = [next(size for first, last, size in c.spans() if first <= step <= last) for c in (a, b)]
            valid &= (grid[i] + sizes[0] <= grid[j]) | (grid[j] + sizes[1] <= grid[i])
    ends = np.max([grid[i] + buffer.size for i, buffer in enumerate(placed)], axis=0)
    return int(ends[valid].min())


def test_a_chain_needs_its_two_largest_neighbours() -> None:
    chain = [Buffer(64, 0, 1), Buffer(256, 1, 2), Buffer(128, 2, 3), Buffer(32, 3, 4)]
    assert plan_arena(chain).size == lower_bound(chain) == 384


def test_a_buffer_that_shrinks_leaves_room() -> None:
    pooled = Buffer(400, 0, 3, profile=((0, 400), (1, 100)))
    placed = [pooled, Buffer(300, 1, 2)]
    assert plan_arena(placed).size == lower_bound(placed) == 400


def test_no_buffers() -> None:
    assert plan_arena([]) == ArenaPlan((), ARENA_ALIGNMENT, True)
    assert lower_bound([]) == 0


def random_buffers(seed: int, count: int, steps: int) -> list[Buffer]:
    rng = np.random.default_rng(seed)
    firsts = rng.integers(0, steps, count)
    return [
        Buffer(int(rng.integers(1, 500)), int(first), min(steps - 1, int(first + rng.integers(0, 5))))
        for first in firsts
    ]


def test_the_search_finds_what_greedy_orders_miss() -> None:
    instances = [random_buffers(seed, 30, 20) for seed in range(12)]
    greedy, plans = ([planner(placed) for placed in instances] for planner in (plan_greedily, plan_arena))
    assert sum(plan.proved_optimal for plan in greedy) < sum(plan.proved_optimal for plan in plans)
    assert all(plan.size <= 1.02 * smallest_arena(placed) for plan, placed in zip(plans, instances, strict=True))


def test_the_bound_can_be_out_of_reach() -> None:
    """Then it is proved that nothing is smaller: no two of these alignments leave room for the third buffer."""
    placed = [Buffer(20, 0, 1, 16), Buffer(20, 0, 3, 16), Buffer(16, 0, 2)]
    plan = plan_arena(placed)
    assert (plan.size, smallest_arena(placed), plan.proved_optimal) == (80, 64, True)


def test_thousands_of_buffers_take_seconds() -> None:
    """As an unrolled recurrent network has: short lives, and a few that last."""
    rng = np.random.default_rng(0)
    placed = [Buffer(int(rng.integers(8, 300)), i, min(3999, i + int(rng.integers(1, 4)))) for i in range(4000)]
    placed += [Buffer(64, i, 3999) for i in range(0, 4000, 40)]
    start = time.process_time()
    plan = plan_arena(placed)
    assert time.process_time() - start < 20
    assert plan.size <= 1.02 * smallest_arena(placed)
