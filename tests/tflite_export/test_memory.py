import numpy as np
import pytest
from random_networks import random_network
from tflite_builder import OpSpec, TensorSpec, build_model

from tflite_export import ExportError, Graph
from tflite_export.arena import ARENA_ALIGNMENT, TENSOR_ALIGNMENT, Buffer, lower_bound, plan_arena
from tflite_export.lowering import lower
from tflite_export.memory import plan_memory


@pytest.mark.parametrize("seed", range(30))
def test_buffers_that_live_together_do_not_overlap(seed: int) -> None:
    rng = np.random.default_rng(seed)
    buffers = []
    for _ in range(rng.integers(1, 20)):
        first = int(rng.integers(0, 10))
        buffers.append(Buffer(int(rng.integers(1, 500)), first, first + int(rng.integers(0, 5))))
    plan = plan_arena(buffers)
    assert plan.size % ARENA_ALIGNMENT == 0
    assert plan.size >= lower_bound(buffers)
    for i, a in enumerate(buffers):
        assert plan.offsets[i] % TENSOR_ALIGNMENT == 0
        assert plan.offsets[i] + a.size <= plan.size
        for j, b in enumerate(buffers[:i]):
            apart = plan.offsets[i] + a.size <= plan.offsets[j] or plan.offsets[j] + b.size <= plan.offsets[i]
            assert apart or not a.overlaps(b)


def test_a_chain_needs_its_two_largest_neighbours() -> None:
    buffers = [Buffer(64, 0, 1), Buffer(256, 1, 2), Buffer(128, 2, 3), Buffer(32, 3, 4)]
    assert plan_arena(buffers).size == lower_bound(buffers) == 384


def test_no_buffers() -> None:
    assert plan_arena([]).size == ARENA_ALIGNMENT
    assert lower_bound([]) == 0


@pytest.mark.parametrize("seed", range(40))
def test_no_kernel_writes_what_is_still_needed(seed: int) -> None:
    """Replays a plan: every read finds the bytes that its tensor's producer wrote."""
    graph = Graph.read(random_network(seed))
    calls = lower(graph)
    plan = plan_memory(graph, calls)
    held: dict[tuple, int] = {}  # by byte, the tensor whose value it holds
    value: dict[int, int] = {}  # by tensor, the one that it is a reshape in place of

    def cells(tensor) -> list[tuple]:
        location = plan.locations[tensor.index]
        start = location.index if location.place == "arena" else 0
        which = 0 if location.place == "arena" else location.index
        return [(location.place, which, start + i) for i in range(tensor.size)]

    def write(tensor) -> None:
        value.setdefault(tensor.index, tensor.index)
        held.update(dict.fromkeys(cells(tensor), value[tensor.index]))

    def check(tensor) -> None:
        assert {held[cell] for cell in cells(tensor)} == {value[tensor.index]}, f"{tensor} is gone"

    for tensor in graph.inputs:
        write(tensor)
    remaining = {call.op.index for call in plan.calls}
    for call in calls:
        sources = [tensor for tensor in call.inputs if tensor.data is None]
        for tensor in sources:
            check(tensor)
        if call.op.index in remaining:
            assert not set(cells(call.output)) & {cell for tensor in sources for cell in cells(tensor)}
        else:
            assert call.function == "tern_copy_ref"
            assert cells(call.output) == cells(sources[0])
            value[call.output.index] = value[sources[0].index]
        write(call.output)
    for i, tensor in enumerate(graph.outputs):
        assert cells(tensor)[0] == ("output", i, 0)
        check(tensor)


def _reshape(inputs: list[str], outputs: list[str], steps: list[tuple[str, str]]) -> Graph:
    names = sorted({name for step in steps for name in step})
    tensors = [TensorSpec(name, (1, 4), 0.5, 0) for name in names]
    tensors.append(TensorSpec("shape", (2,), data=np.array([1, 4], np.int32), dtype="int32"))
    ops = [OpSpec("RESHAPE", [a, "shape"], [b]) for a, b in steps]
    return Graph.read(build_model(tensors, ops, inputs, outputs))


def test_reshape_from_an_input_to_an_output_is_a_copy() -> None:
    graph = _reshape(["x"], ["y"], [("x", "y")])
    plan = plan_memory(graph, lower(graph))
    assert [call.function for call in plan.calls] == ["tern_copy_ref"]


def test_two_outputs_do_not_share_bytes() -> None:
    graph = _reshape(["x"], ["y", "z"], [("x", "a"), ("a", "y"), ("y", "z")])
    plan = plan_memory(graph, lower(graph))
    assert [call.function for call in plan.calls] == ["tern_copy_ref"] * 2
    assert {plan.locations[t.index].place for t in graph.outputs} == {"output"}
    assert {plan.locations[t.index].index for t in graph.outputs} == {0, 1}


def test_output_that_is_an_input() -> None:
    graph = _reshape(["x"], ["x"], [("x", "y")])
    with pytest.raises(ExportError, match="nothing to compute"):
        plan_memory(graph, lower(graph))
