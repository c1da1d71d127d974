"""Where every tensor of a model lies: in the caller's buffers, in the arena, or in flash."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tflite_export.arena import (
    ARENA_ALIGNMENT,
    TENSOR_ALIGNMENT,
    ArenaPlan,
    Buffer,
    arena_size,
    live_bytes,
    plan_arena,
    plan_greedily,
    round_up,
)
from tflite_export.errors import ExportError
from tflite_export.graph import Graph, Tensor
from tflite_export.kernel_call import KernelCall
from tflite_export.sharing import Share, Sharing, Storage, share

# To find a smaller arena, ways of sharing are left out one by one: calls planned so, all in all.
_TRIED_CALLS = 10_000


@dataclass(frozen=True)
class Location:
    """`place` is "input", "output" (`index`: which), "arena" (`index`: offset in bytes) or "flash" (tensor index).

    `offset` is that of a view in the caller's buffer, in bytes.
    """

    place: str
    index: int
    offset: int = 0


@dataclass(frozen=True)
class PlacedBuffer:
    """A tensor in the arena, or the scratch of a call.

    Attributes:
        name: the tensor's; for scratch that of the call's output.
        kind: "tensor"; "in place" for one that takes over the bytes of an input of its operator; "view" for one that
            is a part of another, or that another is a part of; "scratch".
        offset: bytes from the arena's start.
        size: bytes.
        first: the call that writes it, an index of the plan's calls.
        last: the call that reads it last.
    """

    name: str
    kind: str
    offset: int
    size: int
    first: int
    last: int


@dataclass(frozen=True, eq=False)
class MemoryPlan:
    """The outcome of planning.

    Attributes:
        calls: the kernel calls that remain: a view is none.
        locations: of every tensor that a remaining call touches, by tensor index.
        arena_bytes: size of the arena.
        lower_bound: the largest sum of bytes that live in the arena at the same time.
        proved_optimal: with these calls and tensors that share bytes as they do here, no arena is smaller.
        scratch: the arena offset of the working memory of a call, by its index in `calls`.
        buffers: what lies in the arena, by the order of `first`.
        fill: bytes of the arena that each call needs, gaps left out.
    """

    calls: tuple[KernelCall, ...]
    locations: Mapping[int, Location]
    arena_bytes: int
    lower_bound: int
    proved_optimal: bool = True
    scratch: Mapping[int, int] = field(default_factory=dict)
    buffers: tuple[PlacedBuffer, ...] = ()
    fill: tuple[int, ...] = ()

    @property
    def peak(self) -> tuple[int, ...]:
        """The calls that need most of the arena, as indices."""
        most = max(self.fill, default=0)
        return tuple(step for step, fill in enumerate(self.fill) if fill == most)


def plan_memory(graph: Graph, calls: Sequence[KernelCall]) -> MemoryPlan:
    """Give every tensor a location; intermediate ones and scratch share the arena by their lifetimes.

    The first operator reads the caller's input and the last one writes the caller's output: neither is copied. Views
    are no calls, and operators work in place where that makes the arena smaller.

    Args:
        graph: the model.
        calls: its lowered operators.

    Returns:
        The plan.

    Raises:
        ExportError: if an output of the model is one of its inputs: there is nothing to compute.
    """
    inputs = {tensor.index for tensor in graph.inputs}
    for tensor in graph.outputs:
        if tensor.index in inputs:
            raise ExportError(f"the model's output {tensor} is its input: there is nothing to compute")
    layout = _Layout(graph, calls)
    plan = layout.plan(plan_greedily)
    for refusal in layout.sharing.shares[: _TRIED_CALLS // len(calls)]:
        # Sharing adds no bytes that live at the same time. But it ties tensors together, which may cost gaps, and with
        # two operands to write over, only one of them can lie in the caller's output.
        at_bound = plan.size == arena_size(layout.live_bytes(TENSOR_ALIGNMENT))
        if at_bound and len(calls[refusal.step].in_place) < 2:
            continue
        other = _Layout(graph, calls, {*layout.refused, refusal})
        other_plan = other.plan(plan_greedily)
        if other_plan.size < plan.size:
            layout, plan = other, other_plan
    return layout.memory(layout.plan(plan_arena))


class _Layout:
    """Tensors that share bytes as `share` lets them, and the buffers that come of it."""

    def __init__(self, graph: Graph, calls: Sequence[KernelCall], refused: Collection[Share] = ()) -> None:
        self.refused = frozenset(refused)
        self.sharing: Sharing = share(graph, calls, self.refused)
        self._graph = graph
        views = {each.step for each in self.sharing.shares if each.kind != "in place"}
        self._steps = [step for step in range(len(calls)) if step not in views]
        self._all_calls = calls
        self._calls = tuple(calls[step] for step in self._steps)
        self._tensors = {t.index: t for call in calls for t in (*call.inputs, call.output)}
        self._storages = [storage for storage in self.sharing.storages if storage.owner is None]
        self._members = [list(filter(self._lives, storage.members.tolist())) for storage in self._storages]
        scratch = [(step, call) for step, call in enumerate(self._calls) if call.scratch_bytes]
        self._scratch_steps = [step for step, _ in scratch]
        self.buffers = [
            *map(self._buffer, self._storages, self._members),
            *(Buffer(call.scratch_bytes, step, step, ARENA_ALIGNMENT) for step, call in scratch),
        ]

    def plan(self, planner: Callable[[Sequence[Buffer]], ArenaPlan]) -> ArenaPlan:
        return planner(self.buffers)

    def _life(self, index: int) -> tuple[int, int]:
        """First and last remaining call; the first is behind the last for a view that only views are of."""
        first, last = int(self.sharing.firsts[index]), int(self.sharing.lasts[index])
        return bisect_left(self._steps, first), bisect_right(self._steps, last) - 1

    def _lives(self, index: int) -> bool:
        first, last = self._life(index)
        return first <= last

    def _extent(self, index: int) -> tuple[int, int]:
        start = int(self.sharing.starts[index])
        return start, start + self._tensors[index].nbytes

    def _buffer(self, storage: Storage, members: list[int]) -> Buffer:
        base = self._base(storage)
        lives = [self._life(index) for index in members]
        first, last = min(life[0] for life in lives), max(life[1] for life in lives)
        needs = np.zeros(last - first + 1, np.int64)
        for index, (begin, end) in zip(members, lives, strict=True):
            part = needs[begin - first : end - first + 1]
            np.maximum(part, self._extent(index)[1] - base, out=part)
        changes = [0, *(np.flatnonzero(np.diff(needs)) + 1).tolist()]
        profile = tuple((first + step, int(needs[step])) for step in changes) if len(changes) > 1 else ()
        return Buffer(int(needs.max()), first, last, profile=profile)

    def _base(self, storage: Storage) -> int:
        return int(self.sharing.starts[storage.members].min())

    def live_bytes(self, alignment: int = 1) -> int:
        """The largest sum of bytes that live at the same time: gaps between tensors in a storage do not count."""
        needs = live_bytes(self.buffers, alignment)
        most = 0
        for step in np.argsort(-needs, kind="stable").tolist():
            if needs[step] <= most:
                break
            most = max(most, self._live_bytes_at(step, alignment))
        return most

    def _live_bytes_at(self, step: int, alignment: int) -> int:
        total = round_up(self._calls[step].scratch_bytes, alignment)
        for members in self._members:
            alive = [index for index in members if self._life(index)[0] <= step <= self._life(index)[1]]
            total += round_up(_union(map(self._extent, alive)), alignment)
        return total

    def _fill(self) -> tuple[int, ...]:
        fill = live_bytes(self.buffers).tolist()
        return (*fill, *[0] * (len(self._calls) - len(fill)))

    def memory(self, plan: ArenaPlan) -> MemoryPlan:
        """The plan in terms of tensors."""
        offsets = plan.offsets[: len(self._storages)]
        scratch = dict(zip(self._scratch_steps, plan.offsets[len(self._storages) :], strict=True))
        locations = {t.index: Location("flash", t.index) for call in self._calls for t in tensors_in_flash([call])}
        for storage in self.sharing.storages:
            if storage.owner is not None:
                locations |= self._in_callers_buffer(storage, storage.owner)
        for storage, members, offset in zip(self._storages, self._members, offsets, strict=True):
            base = self._base(storage)
            locations |= {i: Location("arena", offset + self._extent(i)[0] - base) for i in members}
        return MemoryPlan(
            calls=self._calls,
            locations=locations,
            arena_bytes=plan.size,
            lower_bound=self.live_bytes(),
            proved_optimal=plan.proved_optimal,
            scratch=scratch,
            buffers=self._placed(locations, scratch),
            fill=self._fill(),
        )

    def _in_callers_buffer(self, storage: Storage, owner: int) -> dict[int, Location]:
        callers = [("input", t.index, i) for i, t in enumerate(self._graph.inputs)]
        callers += [("output", t.index, i) for i, t in enumerate(self._graph.outputs)]
        place, which = next((place, i) for place, index, i in callers if index == owner)
        start = int(self.sharing.starts[owner])
        return {i: Location(place, which, int(self.sharing.starts[i]) - start) for i in storage.members.tolist()}

    def _placed(self, locations: Mapping[int, Location], scratch: Mapping[int, int]) -> tuple[PlacedBuffer, ...]:
        kinds: dict[int, str] = {}
        for each in self.sharing.shares:
            call = self._all_calls[each.step]
            tensor = call.inputs[0] if each.kind == "target view" else call.output
            kinds[tensor.index] = "in place" if each.kind == "in place" else "view"
        placed = [
            PlacedBuffer(
                self._tensors[index].name,
                kinds.get(index, "tensor"),
                locations[index].index,
                self._tensors[index].nbytes,
                *self._life(index),
            )
            for members in self._members
            for index in members
        ]
        placed += [
            PlacedBuffer(self._calls[step].output.name, "scratch", offset, self._calls[step].scratch_bytes, step, step)
            for step, offset in scratch.items()
        ]
        return tuple(sorted(placed, key=lambda buffer: (buffer.first, buffer.offset, buffer.last)))


def _union(extents: Iterable[tuple[int, int]]) -> int:
    """Bytes that at least one of the extents covers."""
    total, end = 0, None
    for start, stop in sorted(extents):
        start = start if end is None else max(start, end)
        total += max(0, stop - start)
        end = stop if end is None else max(end, stop)
    return total


def tensors_in_flash(calls: Sequence[KernelCall]) -> list[Tensor]:
    """Constants that kernels read as activations, such as a summand of an ADD, each once."""
    found = {tensor.index: tensor for call in calls for tensor in call.inputs if tensor.data is not None}
    return list(found.values())
