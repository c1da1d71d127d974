"""Where tensors lie: views, in-place operators, parts of an output, scratch; played through byte by byte."""

from pathlib import Path

import numpy as np
import pytest
from call_builder import CallBuilder
from random_networks import random_network
from replay import replay
from tflite_builder import OpSpec, TensorSpec, build_model

from tflite_export import ExportError, Graph
from tflite_export.graph import Tensor
from tflite_export.lowering import lower
from tflite_export.memory import Location, MemoryPlan, plan_memory


def planned(build: CallBuilder, inputs: list[Tensor], outputs: list[Tensor]) -> MemoryPlan:
    graph = build.graph(inputs, outputs)
    plan = plan_memory(graph, build.calls)
    replay(graph, build.calls, plan)
    return plan


@pytest.mark.parametrize("optimize", ["speed", "size"])
@pytest.mark.parametrize("seed", range(40))
def test_no_kernel_writes_what_is_still_needed(seed: int, optimize: str) -> None:
    graph = Graph.read(random_network(seed))
    calls = lower(graph, optimize)
    replay(graph, calls, plan_memory(graph, calls))


@pytest.mark.parametrize("seed", range(150))
def test_random_calls_that_share_bytes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    build = CallBuilder()
    inputs = [build.tensor(f"x{i}", int(rng.integers(1, 8)) * 4) for i in range(rng.integers(1, 3))]
    known = [*inputs, build.tensor("constant", 16, constant=True)]
    sizes = [4, 8, 16, 6]
    for k in range(rng.integers(3, 14)):
        kind = rng.choice(["op", "op", "view", "slice", "concat", "float"])
        operands = [known[i] for i in rng.integers(max(0, len(known) - 5), len(known), rng.integers(1, 4))]
        size = operands[0].nbytes
        if kind == "op":
            made = build.tensor(f"t{k}", int(rng.choice([size, size, *sizes])))
            in_place = tuple(i for i, t in enumerate(operands) if t.nbytes >= made.nbytes and rng.random() < 0.8)
            build.call(operands, made, in_place=in_place, scratch_bytes=int(rng.choice([0, 0, 10])))
        elif kind == "view":
            made = build.tensor(f"t{k}", size)
            build.call(operands[:1], made, source_view=0)
        elif kind == "slice":
            part = int(rng.integers(1, size + 1))
            made = build.tensor(f"t{k}", part)
            build.call(operands[:1], made, source_view=int(rng.integers(0, size - part + 1)))
        elif kind == "concat":
            made = build.tensor(f"t{k}", sum(t.nbytes for t in operands))
            build.concat(operands, made)
        else:
            made = build.tensor(f"t{k}", 3, "float32")
            build.call(operands, made)
        known.append(made)
    written = [tensor for tensor in known if tensor.data is None and tensor not in inputs]
    outputs = [written[-1], *(t for t in written[:-1] if rng.random() < 0.15)]
    plan = planned(build, inputs, outputs)
    assert plan.lower_bound <= plan.arena_bytes
    assert all(buffer.offset + buffer.size <= plan.arena_bytes for buffer in plan.buffers)


def test_an_operator_in_place_needs_no_second_buffer() -> None:
    build = CallBuilder()
    x, a, b, c, y = (build.tensor(name, 64) for name in "xabcy")
    build.call([x], a)
    build.call([a], b, in_place=(0,))
    build.call([b], c, in_place=(0,))
    build.call([c], y)
    plan = planned(build, [x], [y])
    assert (plan.arena_bytes, plan.lower_bound, plan.proved_optimal) == (64, 64, True)
    assert [(buffer.name, buffer.kind) for buffer in plan.buffers] == [
        ("a", "tensor"), ("b", "in place"), ("c", "in place")
    ]  # fmt: skip


def test_a_smaller_output_in_place_gives_the_rest_back() -> None:
    build = CallBuilder()
    x, a, pooled, b, y = (build.tensor(*spec) for spec in (("x", 8), ("a", 400), ("p", 100), ("b", 300), ("y", 8)))
    build.call([x], a)
    build.call([a], pooled, in_place=(0,))
    build.call([pooled], b)
    build.call([pooled, b], y)
    assert planned(build, [x], [y]).arena_bytes == 400


def test_what_is_read_later_is_not_overwritten() -> None:
    build = CallBuilder()
    x, a, b, y = (build.tensor(name, 32) for name in "xaby")
    build.call([x], a)
    build.call([a], b, in_place=(0,))
    build.call([a, b], y, in_place=(0, 1))
    plan = planned(build, [x], [y])
    assert plan.locations[a.index] != plan.locations[b.index]


def test_the_other_operand_is_overwritten_where_the_first_lives_on() -> None:
    build = CallBuilder()
    x, a, b, c, y = (build.tensor(name, 32) for name in "xabcy")
    build.call([x], a)
    build.call([x], b)
    build.call([a, b], c, in_place=(0, 1))
    build.call([a, c], y)
    plan = planned(build, [x], [y])
    assert plan.locations[c.index] == plan.locations[b.index]
    assert plan.arena_bytes == 64


def test_an_operand_read_beside_its_place_is_not_overwritten() -> None:
    build = CallBuilder()
    x, a, b, y = (build.tensor(name, 32) for name in "xaby")
    build.call([x], a)
    build.call([a, a], b, in_place=(0,))
    build.call([b], y)
    assert planned(build, [x], [y]).arena_bytes == 64


def test_the_last_operators_work_in_the_callers_output() -> None:
    build = CallBuilder()
    x, a, y = (build.tensor(name, 48) for name in "xay")
    build.call([x], a)
    build.call([a], y, in_place=(0,))
    plan = planned(build, [x], [y])
    assert plan.locations[a.index] == Location("output", 0)
    assert plan.buffers == ()


def test_the_operand_that_takes_more_room_lies_in_the_callers_output() -> None:
    build = CallBuilder()
    sizes = {"x": 8, "long": 64, "big": 96, "small": 16, "short": 64, "y": 64}
    x, long, big, small, short, y = (build.tensor(*spec) for spec in sizes.items())
    build.call([x], long)
    build.call([x], big)
    build.call([big], small)
    build.call([small], short)
    build.call([short, long], y, in_place=(0, 1))
    plan = planned(build, [x], [y])
    assert plan.locations[long.index] == Location("output", 0)
    assert plan.arena_bytes == 112


def test_the_callers_input_is_never_overwritten() -> None:
    build = CallBuilder()
    x, view, a, y = (build.tensor(name, 16) for name in ("x", "view", "a", "y"))
    build.call([x], view, source_view=0)
    build.call([view], a, in_place=(0,))
    build.call([a], y)
    plan = planned(build, [x], [y])
    assert plan.locations[view.index] == Location("input", 0)
    assert plan.locations[a.index].place == "arena"


def test_a_slice_is_a_pointer_into_its_source() -> None:
    build = CallBuilder()
    x, a, part, odd, y = (build.tensor(*spec) for spec in (("x", 16), ("a", 16), ("p", 8), ("o", 8), ("y", 8)))
    build.call([x], a)
    build.call([a], part, source_view=4)
    build.call([a], odd, source_view=5)
    build.call([part, odd], y)
    plan = planned(build, [x], [y])
    assert [call.output.name for call in plan.calls] == ["a", "o", "y"]  # an offset of 5 is not aligned
    assert plan.locations[part.index].index == plan.locations[a.index].index + 4


def test_parts_of_a_concatenation_are_computed_in_their_places() -> None:
    build = CallBuilder()
    x, a, b, both, more, y = (
        build.tensor(*spec) for spec in (("x", 8), ("a", 16), ("b", 32), ("ab", 48), ("abx", 56), ("y", 8))
    )
    build.call([x], a)
    build.call([x], b)
    build.concat([a, b], both)
    build.concat([both, x], more)  # the caller's input has to be copied
    build.call([more], y)
    plan = planned(build, [x], [y])
    assert [call.output.name for call in plan.calls] == ["a", "b", "abx", "y"]
    assert plan.locations[b.index].index == plan.locations[more.index].index + 16
    assert plan.lower_bound == 56


def test_a_part_of_two_concatenations_is_copied_into_one() -> None:
    build = CallBuilder()
    x, a, one, other, y = (build.tensor(*spec) for spec in (("x", 16), ("a", 16), ("one", 32), ("other", 32), ("y", 8)))
    build.call([x], a)
    build.concat([a, x], one)
    build.concat([a, x], other)
    build.call([one, other], y)
    plan = planned(build, [x], [y])
    assert [call.output.name for call in plan.calls] == ["a", "one", "other", "other", "y"]


def test_a_constant_is_copied_into_a_concatenation() -> None:
    build = CallBuilder()
    x, constant, a, y = (
        build.tensor("x", 8), build.tensor("c", 8, constant=True), build.tensor("a", 16), build.tensor("y", 8)
    )  # fmt: skip
    build.concat([constant, x], a)
    build.call([a], y)
    plan = planned(build, [x], [y])
    assert [call.output.name for call in plan.calls] == ["a", "a", "y"]
    assert plan.locations[constant.index].place == "flash"


def test_sharing_that_makes_the_arena_larger_is_left_out() -> None:
    """The last part of a concatenation comes first, so that its place would hold the bytes before it."""
    build = CallBuilder()
    x, b, big, a, both, y = (
        build.tensor(*spec) for spec in (("x", 8), ("b", 16), ("big", 400), ("a", 400), ("ab", 416), ("y", 8))
    )
    build.call([x], b)
    build.call([b], big)
    build.call([big], a)
    build.concat([a, b], both)
    build.call([both], y)
    plan = planned(build, [x], [y])
    assert plan.arena_bytes <= plan.lower_bound + 16


def test_scratch_lives_during_its_call() -> None:
    build = CallBuilder()
    x, a, b, y = (build.tensor(name, 20) for name in "xaby")
    build.call([x], a, scratch_bytes=30)
    build.call([a], b)
    build.call([b], y, scratch_bytes=100)
    plan = planned(build, [x], [y])
    assert plan.scratch.keys() == {0, 2}
    assert plan.arena_bytes == 128
    assert plan.lower_bound == 120
    assert plan.peak == (2,)
    assert [(buffer.kind, buffer.first, buffer.last) for buffer in plan.buffers if buffer.size > 20] == [
        ("scratch", 0, 0), ("scratch", 2, 2)
    ]  # fmt: skip


@pytest.mark.parametrize("units", [32, 30])
def test_an_unrolled_recurrent_network(units: int) -> None:
    """Slices of the input are read where they are, steps are computed in place, and in their part of the output."""
    steps = 40
    build = CallBuilder()
    x, y, z = build.tensor("x", 8 * steps), build.tensor("y", units * steps), build.tensor("z", 4)
    state, outputs = build.tensor("state", units, constant=True), []
    for step in range(steps):
        part, gates, left, right, state_after = (
            build.tensor(f"{name}{step}", size)
            for name, size in (("x", 8), ("gates", 2 * units), ("a", units), ("b", units), ("state", units))
        )
        build.call([x], part, source_view=8 * step)
        build.call([part, state], gates)
        build.call([gates], left, source_view=0)
        build.call([gates], right, source_view=units)
        build.call([left, right], state_after, in_place=(0, 1))
        state = state_after
        outputs.append(state)
    build.concat(outputs, y)
    build.call([y], z)
    plan = planned(build, [x], [z])
    assert plan.proved_optimal
    if units % 4 == 0:
        assert len(plan.calls) == 2 * steps + 1
        assert plan.arena_bytes <= plan.lower_bound + 16


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
    graph = _reshape(["x"], ["x", "y"], [("x", "y")])
    with pytest.raises(ExportError, match="nothing to compute"):
        plan_memory(graph, lower(graph))


# The arena that TFLM reports for the same model; by tflite-micro's recording allocator on a Cortex-M4.
TFLM_ARENA_BYTES = {
    "mlperf_tiny/ad01_int8": 2580,
    "mlperf_tiny/kws_ref_model": 22820,
    "mlperf_tiny/ic_pretrainedResnet_quant": 54996,
    "mlperf_tiny/str_ww_ref_model": 16596,
    "mlperf_tiny/vww_96_int8": 100708,
    "tflm/person_detect": 82308,
}


@pytest.mark.shared
@pytest.mark.parametrize("model", TFLM_ARENA_BYTES)
def test_models_of_others_are_at_their_bound_and_below_tflm(shared_dir: Path, model: str) -> None:
    graph = Graph.read(shared_dir / "models" / f"{model}.tflite")
    calls = lower(graph)
    plan = plan_memory(graph, calls)
    assert plan.arena_bytes <= TFLM_ARENA_BYTES[model]
    assert plan.arena_bytes <= 1.02 * plan.lower_bound or plan.proved_optimal
