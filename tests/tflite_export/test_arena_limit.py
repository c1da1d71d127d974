"""Slower kernels with less scratch, where the arena would be too large."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
from call_builder import CallBuilder
from random_networks import random_network
from replay import replay

from tflite_export import ExportError, ExportReport, Graph, export, generate_c
from tflite_export.arena_limit import plan_within
from tflite_export.cli import main
from tflite_export.lowering import lower
from tflite_export.memory import MemoryPlan


def _chain(scratch: list[list[int]]) -> tuple[Graph, CallBuilder]:
    """A chain with 32 bytes between operators; for each the scratch of its kernels, the fastest first."""
    build = CallBuilder()
    tensors = [build.tensor(f"t{i}", 32) for i in range(len(scratch) + 1)]
    for i, sizes in enumerate(scratch):
        fastest, *others = [
            build.make([tensors[i]], tensors[i + 1], function=f"tern_{i}_{k}", scratch_bytes=size, reason="by speed")
            for k, size in enumerate(sizes)
        ]
        build.call([tensors[i]], tensors[i + 1], op=fastest.op, function=fastest.function, reason="by speed",
                   scratch_bytes=sizes[0], alternatives=tuple(others))  # fmt: skip
    return build.graph(tensors[:1], tensors[-1:]), build


def _functions(plan: MemoryPlan) -> list[str]:
    return [call.function for call in plan.calls]


def _planned(scratch: list[list[int]], limit: int | None) -> MemoryPlan:
    graph, build = _chain(scratch)
    plan = plan_within(graph, build.calls, limit)
    replay(graph, build.calls, plan)
    return plan


SCRATCH = [[200, 100, 0], [400, 300, 40], [100, 0], [0]]


def test_without_a_limit_all_are_fast() -> None:
    assert _functions(_planned(SCRATCH, None)) == ["tern_0_0", "tern_1_0", "tern_2_0", "tern_3_0"]
    assert _functions(_planned(SCRATCH, 10_000)) == ["tern_0_0", "tern_1_0", "tern_2_0", "tern_3_0"]


@pytest.mark.parametrize(
    ("limit", "chosen"),
    [
        (464, ["tern_0_0", "tern_1_0", "tern_2_0", "tern_3_0"]),
        (463, ["tern_0_0", "tern_1_1", "tern_2_0", "tern_3_0"]),
        (367, ["tern_0_0", "tern_1_2", "tern_2_0", "tern_3_0"]),
        (200, ["tern_0_1", "tern_1_2", "tern_2_0", "tern_3_0"]),
        (150, ["tern_0_1", "tern_1_2", "tern_2_1", "tern_3_0"]),
        (112, ["tern_0_2", "tern_1_2", "tern_2_1", "tern_3_0"]),
    ],
)
def test_those_at_the_peak_become_slower_first(limit: int, chosen: list[str]) -> None:
    plan = _planned(SCRATCH, limit)
    assert plan.arena_bytes <= limit
    assert _functions(plan) == chosen
    for call in plan.calls:
        assert ("exceed the arena limit" in call.reason) == (not call.function.endswith("_0"))
    assert plan.calls[1].reason.startswith("by speed")


def test_what_cannot_fit_names_the_smallest_arena_and_its_operator() -> None:
    with pytest.raises(ExportError, match=r"has 112 bytes, above the limit of 100: op 1 OP 't2' with tern_1_2 needs"):
        _planned(SCRATCH, 100)


def test_an_alternative_may_need_no_less() -> None:
    assert _functions(_planned([[64, 64, 10], [0]], 63)) == ["tern_0_2", "tern_1_0"]


def test_networks_within_a_limit() -> None:
    slower = set()
    for seed in range(16):
        graph = Graph.read(random_network(seed))
        calls = lower(graph, "size")
        limit = plan_within(graph, calls).arena_bytes - 1
        with contextlib.suppress(ExportError):
            plan = plan_within(graph, calls, limit)
            assert plan.arena_bytes <= limit
            replay(graph, calls, plan)
            slower |= {call.function for call in plan.calls if "arena limit" in call.reason}
    assert "tern_conv2d_int8_ref" in slower


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "net.tflite"
    path.write_bytes(random_network(7))
    return path


def test_the_limit_is_an_option_everywhere(model: Path, tmp_path: Path, capsys) -> None:
    arena = export(model, tmp_path / "net").arena_bytes
    assert export(model, tmp_path / "limited", arena_limit=arena).arena_bytes == arena
    with pytest.raises(ExportError, match="above the limit of 1:"):
        export(model, tmp_path / "none", arena_limit=1)
    with pytest.raises(ExportError, match="above the limit of 1:"):
        generate_c(model, tmp_path / "none", arena_limit=1)
    assert main(["export", str(model), str(tmp_path / "none"), "--arena-limit", "1"]) == 1
    assert "above the limit of 1:" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    assert main(["export", str(model), str(tmp_path / "cli"), "--arena-limit", str(arena)]) == 0


def test_the_report_tells_what_lies_where(model: Path, tmp_path: Path) -> None:
    report = export(model, tmp_path / "net")
    loaded = ExportReport.load(report.folder)
    assert loaded == report
    assert loaded.arena_proved_optimal
    assert loaded.buffers
    assert max(buffer.offset + buffer.size for buffer in loaded.buffers) <= loaded.arena_bytes
    steps = np.arange(len(loaded.layers))
    assert {buffer.first for buffer in loaded.buffers} <= set(steps.tolist())
    assert set(loaded.arena_peak) <= set(steps.tolist())
    live = [sum(b.size for b in loaded.buffers if b.first <= step <= b.last) for step in steps]
    assert loaded.arena_lower_bound <= max(live)
