"""Where every tensor of a model lies: in the caller's buffers, in the arena, or in flash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tflite_export.arena import Buffer, lower_bound, plan_arena
from tflite_export.errors import ExportError
from tflite_export.graph import Graph, Tensor
from tflite_export.kernel_call import KernelCall


@dataclass(frozen=True)
class Location:
    """`place` is "input", "output" (`index`: which), "arena" (`index`: offset in bytes) or "flash" (tensor index)."""

    place: str
    index: int


@dataclass(frozen=True, eq=False)
class MemoryPlan:
    """The outcome of planning.

    Attributes:
        calls: the kernel calls that remain: a reshape in place is none.
        locations: of every tensor that a remaining call touches, by tensor index.
        arena_bytes: size of the arena.
        lower_bound: the largest sum of bytes that live in the arena at the same time.
    """

    calls: tuple[KernelCall, ...]
    locations: Mapping[int, Location]
    arena_bytes: int
    lower_bound: int


def plan_memory(graph: Graph, calls: Sequence[KernelCall]) -> MemoryPlan:
    """Give every tensor a location; intermediate ones share the arena by their lifetimes.

    The first operator reads the caller's input and the last one writes the caller's output: neither is copied.

    Args:
        graph: the model.
        calls: its lowered operators.

    Returns:
        The plan.

    Raises:
        ExportError: if an output of the model is one of its inputs: there is nothing to compute.
    """
    inputs = {tensor.index: i for i, tensor in enumerate(graph.inputs)}
    outputs = {tensor.index: i for i, tensor in enumerate(graph.outputs)}
    for tensor in graph.outputs:
        if tensor.index in inputs:
            raise ExportError(f"the model's output {tensor} is its input: there is nothing to compute")
    storage, remaining = _reshape_in_place(calls, inputs, outputs)

    locations = {root: Location("output", outputs[index]) for index, root in storage.items() if index in outputs}
    locations |= {index: Location("input", i) for index, i in inputs.items()}
    locations |= {t.index: Location("flash", t.index) for call in remaining for t in call.inputs if t.data is not None}

    lives: dict[int, Buffer] = {}
    for step, call in enumerate(remaining):
        for tensor in (call.output, *call.inputs):
            root = storage[tensor.index]
            if root not in locations:
                born = lives.get(root, Buffer(tensor.size, step, step))
                lives[root] = Buffer(born.size, born.first, step)
    plan = plan_arena(list(lives.values()))
    locations |= {root: Location("arena", offset) for root, offset in zip(lives, plan.offsets, strict=True)}
    return MemoryPlan(
        calls=tuple(remaining),
        locations={index: locations[root] for index, root in storage.items() if root in locations},
        arena_bytes=plan.size,
        lower_bound=lower_bound(list(lives.values())),
    )


def _reshape_in_place(
    calls: Sequence[KernelCall], inputs: Mapping[int, int], outputs: Mapping[int, int]
) -> tuple[dict[int, int], list[KernelCall]]:
    """Let a reshaped tensor share its source's storage, named by the first tensor in it.

    A copy remains where a caller's output would have to be a caller's input, another output, or a constant.
    """
    storage: dict[int, int] = {}
    claimed = set(inputs)  # storages that belong to the caller
    remaining = []
    for call in calls:
        for tensor in call.inputs:
            storage.setdefault(tensor.index, tensor.index)
        source, target = call.inputs[0], call.output
        root = storage[source.index]
        in_place = call.source_view == 0 and source.data is None
        if in_place and not (target.index in outputs and root in claimed):
            storage[target.index] = root
        else:
            root = storage[target.index] = target.index
            remaining.append(call)
        if target.index in outputs:
            claimed.add(root)
    return storage, remaining


def tensors_in_flash(calls: Sequence[KernelCall]) -> list[Tensor]:
    """Constants that kernels read as activations, such as a summand of an ADD, each once."""
    found = {tensor.index: tensor for call in calls for tensor in call.inputs if tensor.data is not None}
    return list(found.values())
