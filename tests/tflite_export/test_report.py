"""The report: complete, read back as written, and a page that stands alone and says the same."""

import dataclasses
import io
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from random_networks import random_network
from rich.console import Console
from tflite_builder import OpSpec, TensorSpec, build_model

from tflite_export import ExportError, ExportReport, Graph, export
from tflite_export.boards import CORES
from tflite_export.costs import entropy_bytes
from tflite_export.lowering import lower
from tflite_export.memory import plan_memory
from tflite_export.report import PARTS, Benchmark, CoreReport, Reserve, fit_parts
from tflite_export.report.terminal import layer_table

HOSTILE = '</style><script>alert("1")</script><img src=x onerror=y>&amp;'


class _Page(HTMLParser):
    """What a page holds: its elements, what they refer to, and the cells of its tables."""

    VOID = ("meta", "line", "img", "wbr")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.references: list[str] = []
        self.text: list[str] = []
        self.rows: list[list[str]] = []
        self.styles = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == [], f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        self.references += [value or "" for name, value in attrs if name in ("href", "src", "srcset", "action", "data")]
        if tag not in self.VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            self.styles += data
        else:
            self.text.append(data)
        if "td" in self._open or "th" in self._open:
            self.rows[-1][-1] += data


def _network(name: str = "y") -> bytes:
    """A ternary layer, a constant summand and a softmax."""
    rng = np.random.default_rng(0)
    weights = rng.choice(np.array([-127, 0, 127], np.int8), (8, 64), p=[0.1, 0.8, 0.1])
    tensors = [
        TensorSpec("x", (1, 64), 0.5, 3),
        TensorSpec("w", weights.shape, 0.25, 0, weights),
        TensorSpec("h", (1, 8), 0.75, -5),
        TensorSpec("constant", (1, 8), 0.5, 1, rng.integers(-128, 128, (1, 8)).astype(np.int8)),
        TensorSpec(f"sum {name}", (1, 8), 0.75, 0),
        TensorSpec(name, (1, 8), 1 / 256, -128),
    ]
    ops = [
        OpSpec("FULLY_CONNECTED", ["x", "w", ""], ["h"]),
        OpSpec("ADD", ["h", "constant"], [f"sum {name}"]),
        OpSpec("SOFTMAX", [f"sum {name}"], [name]),
    ]
    return build_model(tensors, ops, ["x"], [name])


def _measured(report: ExportReport) -> ExportReport:
    """With figures that a compiler and an emulator would give."""
    core = CoreReport("cortex-m4", "gcc 12.2.1", "-O2", 4_321, 2_468, 264, "", ("memcpy",))
    layers = tuple(range(1_001, 1_001 + len(report.layers)))
    benchmark = Benchmark(
        "mps2-an386",
        "cortex-m4",
        "gcc 12.2.1",
        "-O2",
        "qemu",
        sum(layers) + 3,
        layers,
        2 * sum(layers),
        tuple(2 * layer for layer in layers),
    )
    return dataclasses.replace(report, cores=(core,), benchmarks=(benchmark,))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> ExportReport:
    return _measured(export(_network(), tmp_path_factory.mktemp("report"), cores=()))


def test_everything_is_read_back(report: ExportReport) -> None:
    (report.folder / "report.json").write_text(report.json())
    assert ExportReport.load(report.folder) == report
    fields = json.loads(report.json())
    assert fields["schema"] == 1
    assert set(fields) == {"schema", *(f.name for f in dataclasses.fields(report))} - {"folder"}
    assert str(report.folder) not in report.json()


def test_a_report_of_another_version(tmp_path: Path) -> None:
    export(random_network(0), tmp_path, cores=())
    fields = json.loads((tmp_path / "report.json").read_text())
    (tmp_path / "report.json").write_text(json.dumps({**fields, "schema": 2}))
    with pytest.raises(ExportError, match="has the schema 2, not 1: export the model again"):
        ExportReport.load(tmp_path)
    for damaged in ("[]", "{}", json.dumps({**fields, "layers": [{"op": "ADD"}]}), json.dumps({**fields, "cores": 3})):
        (tmp_path / "report.json").write_text(damaged)
        with pytest.raises(ExportError, match="is damaged"):
            ExportReport.load(tmp_path)


def test_layers(report: ExportReport) -> None:
    dense, add, softmax = report.layers
    assert (dense.weights, dense.weight_count, dense.weight_bytes) == ("pairs", 512, 8 * 16)
    assert dense.bits == 2
    assert dense.entropy_bits is not None
    assert 0.9 < dense.entropy_bits <= dense.bits
    assert dense.reason.startswith("ternary, two rows a word: 128 bytes instead of 512; about ")
    assert (report.core, report.optimize) == ("cortex-m4", "speed")
    assert (add.constant_bytes, add.bits, softmax.bits) == (8, None, None)
    assert report.entropy_bytes == dense.entropy_bytes


def test_levels_that_layers_share(tmp_path: Path) -> None:
    """A later layer stores its codes alone; the bound is not above that."""
    weights = np.full((2, 8, 8), 5, np.int8)
    weights[1, :, 0] = 0
    tensors = [TensorSpec(name, (1, 8), 0.5, 0) for name in "xyz"]
    tensors += [TensorSpec(f"w{i}", (8, 8), 0.02, 0, weights[i]) for i in range(2)]
    ops = [OpSpec("FULLY_CONNECTED", ["x", "w0", ""], ["y"]), OpSpec("FULLY_CONNECTED", ["y", "w1", ""], ["z"])]
    layers = export(build_model(tensors, ops, ["x"], ["z"]), tmp_path, optimize="size", cores=()).layers
    assert all(layer.entropy_bytes <= layer.weight_bytes for layer in layers)
    assert layers[1].weight_bytes < layers[0].weight_bytes


def test_variants(report: ExportReport) -> None:
    float32, int8 = report.variants
    assert (float32.name, float32.weight_bytes, float32.constant_bytes) == ("float32", 4 * 512, 4 * 8)
    assert (int8.name, int8.weight_bytes, int8.constant_bytes) == ("int8", 512, report.constant_bytes)
    assert (float32.arena_bytes, int8.arena_bytes) == (64, 16)


@pytest.mark.parametrize("seed", range(20))
def test_every_buffer_is_drawn_inside_the_arena(seed: int, tmp_path: Path) -> None:
    report = export(random_network(seed), tmp_path, cores=())
    page = _Page(report.html())
    assert page.tags.count("rect") == len(report.buffers)
    for buffer in report.buffers:
        assert 0 <= buffer.first <= buffer.last < len(report.layers)
        assert buffer.offset + buffer.size <= report.arena_bytes
        kind = "" if buffer.kind == "tensor" else f" ({buffer.kind})"
        assert f"{buffer.name}{kind}\n{buffer.size:,} bytes at {buffer.offset:,}" in "".join(page.text)


def test_entropy() -> None:
    rng = np.random.default_rng(0)
    assert entropy_bytes(np.zeros((4, 100), np.int8), axis=0) == 0
    assert entropy_bytes(np.full((4, 100), 7, np.int8), axis=0) == 4  # the level of each channel
    assert entropy_bytes(np.tile(np.array([3, 3, 0, -3], np.int8), (1, 16)), axis=0) == 64 * 1.5 / 8 + 2
    everything = rng.integers(-128, 128, (2, 50)).astype(np.int8)
    assert entropy_bytes(everything, axis=0) == 100  # a code for so few is worth nothing
    uniform = rng.choice(np.array([-9, 0, 5], np.int8), (9, 3000))
    expected = 9 * (3000 * np.log2(3) / 8 + 2)
    assert entropy_bytes(uniform, axis=0) == pytest.approx(expected, rel=0.002)
    assert entropy_bytes(uniform.T.reshape(10, 300, 1, 9), axis=3) == entropy_bytes(uniform, axis=0)


@pytest.mark.parametrize("optimize", ["speed", "size"])
def test_stored_weights_are_never_below_the_bound(optimize: str) -> None:
    from tflite_export.costs import layer_reports

    compared = 0
    for seed in range(60):
        graph = Graph.read(random_network(seed))
        for layer in layer_reports(plan_memory(graph, lower(graph, optimize))):
            if layer.weights not in (None, "int8"):
                compared += 1
                assert layer.entropy_bytes <= layer.weight_bytes
    assert compared > 20


class TestPage:
    @pytest.mark.parametrize("name", ["y", HOSTILE, "a" * 400])
    def test_stands_alone(self, name: str, tmp_path: Path) -> None:
        page = _Page(_measured(export(_network(name), tmp_path, cores=())).html())
        assert page.references == []
        assert not {"script", "link", "iframe", "img", "object", "base", "form"} & set(page.tags)
        for word in ("http:", "https:", "url(", "@import", "//"):
            assert word not in page.styles
            assert word not in "".join(page.text)
        assert any(name in text for text in page.text)

    def test_says_what_the_json_says(self, report: ExportReport) -> None:
        fields = json.loads(report.json())
        page = _Page(report.html())
        text = "".join(page.text)
        rows = {row[0]: row for row in page.rows if row}
        for step, layer in enumerate(fields["layers"]):
            row = rows[str(step)]
            assert row[1] == layer["op"].lower() + layer["name"]
            for value in (layer["macs"], layer["weight_bytes"], layer["constant_bytes"], layer["scratch_bytes"]):
                assert not value or f"{value:,}" in row
            assert f"{fields['benchmarks'][0]['layer_cycles'][step]:,}" in row
            assert layer["reason"] in row[-1]
        (core,) = fields["cores"]
        cells = rows["cortex-m4"]
        for value in (core["code_bytes"], core["code_bytes"] + core["constant_bytes"], core["stack_bytes"]):
            assert f"{value:,}" in cells
        for value in (
            fields["arena_bytes"],
            fields["benchmarks"][0]["instructions"],
            fields["variants"][0]["arena_bytes"],
        ):
            assert f"{value:,}" in text
        for buffer in fields["buffers"]:
            kind = "" if buffer["kind"] == "tensor" else f" ({buffer['kind']})"
            assert f"{buffer['name']}{kind}\n{buffer['size']:,} bytes at {buffer['offset']:,}" in text
        for fit in fit_parts(report):
            (row,) = [row for row in page.rows if row and row[0] == f"{fit.part.name} {fit.part.board}"]
            assert row[-1] == fit.verdict

    def test_written_with_every_export(self, tmp_path: Path) -> None:
        for targets in ("int8", "c"):
            written = export(_network(), tmp_path, targets=targets, cores=())
            assert (tmp_path / "report.html").read_text() == written.html()
            _Page(written.html())

    def test_a_network_without_an_arena(self, tmp_path: Path) -> None:
        tensors = [TensorSpec("x", (1, 4), 0.1, 0), TensorSpec("y", (1, 4), 1 / 256, -128)]
        model = build_model(tensors, [OpSpec("SOFTMAX", ["x"], ["y"])], ["x"], ["y"])
        written = export(model, tmp_path, cores=())
        assert written.buffers == ()
        assert "the arena" in "".join(_Page(written.html()).text)


class TestTerminal:
    @pytest.mark.parametrize("width", [100, 140])
    def test_tables_fit_a_terminal(self, width: int, tmp_path: Path) -> None:
        wide = _measured(export(random_network(35), tmp_path, cores=()))
        console = Console(width=width, file=io.StringIO(), record=True)
        for table in wide.tables():
            console.print(table)
        text = console.export_text()
        for layer in wide.layers:
            assert layer.op.lower() in text
            assert layer.kernel.removeprefix("tern_") in text
        assert "…" not in text
        assert max(map(len, text.splitlines())) <= width

    def test_numbers(self, report: ExportReport) -> None:
        console = Console(width=100, file=io.StringIO(), record=True)
        console.print(layer_table(report))
        text = console.export_text()
        assert "fully_connected" in text
        assert "2.00" in text  # bits
        assert f"arena {report.arena_bytes} bytes" in text


class TestBoards:
    def test_catalogue(self) -> None:
        assert len(PARTS) >= 25
        assert len({part.name for part in PARTS}) == len(PARTS)
        for part in PARTS:
            assert part.built_as in CORES
            assert part.source
            assert 8 <= part.ram_kib <= part.flash_kib * 2 <= 2**15
            assert 16 <= part.mhz <= 600

    def test_verdicts_are_exact(self, report: ExportReport) -> None:
        """A part with just enough fits; a byte more of reserve and it lacks that byte."""
        (core,) = report.cores
        flash, ram = core.flash_bytes, report.arena_bytes + 64 + 8 + 264
        part = next(part for part in PARTS if part.name == "nRF51822")
        spare = Reserve(256 * 1024 - flash, 16 * 1024 - ram)
        (fit,) = fit_parts(report, spare, [part])
        assert (fit.fits, fit.verdict, fit.measured_on) == (True, "fits", "cortex-m4")
        (fit,) = fit_parts(report, Reserve(spare.flash + 1, spare.ram + 1), [part])
        assert (fit.fits, fit.missing_flash, fit.missing_ram) == (False, 1, 1)
        assert fit.verdict == "lacks 1 B flash, 1 B RAM"

    def test_the_parts_own_core_where_it_was_measured(self, report: ExportReport) -> None:
        small = dataclasses.replace(report.cores[0], core="cortex-m0", code_bytes=5_000)
        both = dataclasses.replace(report, cores=(*report.cores, small))
        fits = {fit.part.name: fit for fit in fit_parts(both)}
        assert fits["RP2040"].measured_on == "cortex-m0"
        assert fits["RP2040"].flash_bytes - fits["nRF52840"].flash_bytes == 5_000 - 4_321
        assert fits["ESP32-C3"].measured_on == "cortex-m4"

    def test_nothing_measured(self, report: ExportReport) -> None:
        fit = fit_parts(dataclasses.replace(report, cores=()), Reserve(0, 0))[0]
        assert fit.measured_on is None
        assert fit.flash_bytes == report.weight_bytes + report.constant_bytes
