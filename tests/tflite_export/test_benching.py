"""Instructions layer by layer: exact, whole, the same in both emulators, and kept in the report."""

from collections.abc import Callable
from pathlib import Path

import pytest
from random_networks import random_network
from tflite_builder import OpSpec, TensorSpec, build_model

from tflite_export import ExportError, ExportReport, Graph, bench, export
from tflite_export.lowering import lower


def _several_kinds_of_layers() -> bytes:
    for seed in range(100):
        model = random_network(seed)
        graph = Graph.read(model)
        if len({call.function for call in lower(graph)}) > 4:
            return model
    raise AssertionError("no random network has five kinds of layers")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> ExportReport:
    return export(_several_kinds_of_layers(), tmp_path_factory.mktemp("bench"), cores=())


@pytest.mark.emulator
@pytest.mark.parametrize("board", ["mps2-an386", "microbit", "mps3-an547", "riscv-virt"])
def test_layers_add_up_to_the_whole(report: ExportReport, board: str, require_board: Callable[[str], None]) -> None:
    require_board(board)
    (found,) = [one for one in bench(report, board).benchmarks if one.board == board]
    assert len(found.layers) == len(report.layers)
    assert min(found.layers) > 0
    # a layer may keep a register more or less where the reading is called
    assert abs(sum(found.layers) - found.instructions) <= 2 * len(found.layers) + 8


@pytest.mark.emulator
def test_both_emulators_count_the_same(report: ExportReport, require_board: Callable[[str], None]) -> None:
    require_board("mps2-an386")
    counts = [bench(report, emulator=emulator).benchmarks[-1] for emulator in ("qemu", "unicorn")]
    assert counts[0].layers == counts[1].layers
    assert counts[0].instructions == counts[1].instructions


def test_figures_are_kept_a_board_once(tmp_path: Path) -> None:
    report = export(_several_kinds_of_layers(), tmp_path, cores=())
    assert report.benchmarks == ()
    for _ in range(2):
        report = bench(report, "mps2-an385", compiler="zig", emulator="unicorn")
        assert [found.board for found in report.benchmarks] == ["mps2-an385"]
    assert ExportReport.load(tmp_path) == report
    assert f"{report.benchmarks[0].instructions:,}" in (tmp_path / "report.html").read_text()


def test_c_without_layers(tmp_path: Path) -> None:
    tensors = [TensorSpec(name, (1, 4), 0.5, 0) for name in "xy"]
    model = build_model(tensors, [OpSpec("MUL", ["x", "x"], ["y"])], ["x"], ["y"])
    with pytest.raises(ExportError, match="exported without C"):
        bench(export(model, tmp_path, targets="int8"))


def test_a_source_without_the_hook(tmp_path: Path) -> None:
    report = export(random_network(0), tmp_path, cores=())
    source = tmp_path / "model.c"
    source.write_text(source.read_text().replace("    TERN_AFTER_OP(", "    (void)(", 1))
    with pytest.raises(ExportError, match=r"calls its hook \d+ times, expected"):
        bench(report, "mps2-an385", compiler="zig", emulator="unicorn")
