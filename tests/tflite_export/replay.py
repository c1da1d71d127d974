"""Plays a memory plan through, byte by byte: every read must find what its tensor should hold."""

from __future__ import annotations

from collections.abc import Sequence

from tflite_export.graph import Graph, Tensor
from tflite_export.kernel_call import KernelCall
from tflite_export.memory import MemoryPlan

Cell = tuple[str, int, int]
Token = tuple[int, int]


def replay(graph: Graph, calls: Sequence[KernelCall], plan: MemoryPlan) -> None:
    """Asserts that the plan's calls compute what all calls would compute with memory of their own."""
    expected = _values(graph, calls)
    held: dict[Cell, object] = {}
    for tensor in graph.inputs:
        held |= dict(zip(_cells(tensor, graph, plan), expected[tensor.index], strict=True))
    for step, call in enumerate(plan.calls):
        target = _cells(call.output, graph, plan)
        for i, tensor in enumerate(call.inputs):
            if tensor.data is None:
                cells = _cells(tensor, graph, plan)
                assert [held.get(cell) for cell in cells] == expected[tensor.index], f"{tensor} is gone at {step}"
                aside = not set(cells) & set(_written(call, target))
                assert aside or (cells[0] == target[0] and i in call.in_place)
        if call.scratch_bytes:
            start = plan.scratch[step]
            assert start % 16 == 0
            assert start + call.scratch_bytes <= plan.arena_bytes
            scratch = [("arena", 0, start + i) for i in range(call.scratch_bytes)]
            touched = {
                cell
                for tensor in (*call.inputs, call.output)
                if tensor.data is None
                for cell in _cells(tensor, graph, plan)
            }
            assert not set(scratch) & touched
            held |= dict.fromkeys(scratch)
        written = _written(call, target)
        assert not any(cell[0] == "input" for cell in written), f"{call.op} writes the caller's input"
        values = expected[call.output.index]
        first = target.index(written[0])
        held |= dict(zip(written, values[first : first + len(written)], strict=True))
    for i, tensor in enumerate(graph.outputs):
        cells = _cells(tensor, graph, plan)
        assert cells[0] == ("output", i, 0)
        assert [held.get(cell) for cell in cells] == expected[tensor.index]


def _values(graph: Graph, calls: Sequence[KernelCall]) -> dict[int, list[Token]]:
    """What every byte of a tensor is: the byte of the tensor that it was computed as."""
    fresh = {t.index: t for call in calls for t in (*call.inputs, call.output)} | {t.index: t for t in graph.inputs}
    values = {index: [(index, i) for i in range(tensor.nbytes)] for index, tensor in fresh.items()}
    for call in calls:
        source, target = values[call.inputs[0].index], values[call.output.index]
        if call.source_view is not None:
            target[:] = source[call.source_view : call.source_view + len(target)]
        elif call.target_view is not None:
            target[call.target_view : call.target_view + len(source)] = source
    return values


def _written(call: KernelCall, target: list[Cell]) -> list[Cell]:
    """The cells that a call writes: a part of its output, if it does that output in parts."""
    if call.target_view is None:
        return target
    return target[call.target_view : call.target_view + call.inputs[0].nbytes]


def _cells(tensor: Tensor, graph: Graph, plan: MemoryPlan) -> list[Cell]:
    location = plan.locations[tensor.index]
    if location.place == "arena":
        assert location.index % 4 == 0
        assert location.index + tensor.nbytes <= plan.arena_bytes
        return [("arena", 0, location.index + i) for i in range(tensor.nbytes)]
    owner = (graph.inputs if location.place == "input" else graph.outputs)[location.index]
    assert 0 <= location.offset <= owner.nbytes - tensor.nbytes
    return [(location.place, location.index, location.offset + i) for i in range(tensor.nbytes)]
