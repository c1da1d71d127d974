"""The report as tables that stay readable on a terminal of 100 columns."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.markup import escape
from rich.table import Table

from tflite_export.report.format import count, kernel_name, per_mac, shape
from tflite_export.report.model import Benchmark, ExportReport, Reserve
from tflite_export.report.parts import fit_parts


def overview(report: ExportReport) -> list[Table]:
    """The layers, the memory, and what the code takes."""
    if not report.layers:
        return []
    return [layer_table(report), _memory(report), *([_cores(report)] if report.cores else [])]


def tables(report: ExportReport, reserve: Reserve | None = None) -> list[Table]:
    """All tables of a report; `reserve` is what the rest of the firmware takes of a board."""
    if not report.layers:
        return []
    benchmarks = [benchmark_table(report, benchmark) for benchmark in report.benchmarks]
    return [*overview(report), _reasons(report), *benchmarks, _boards(report, reserve or Reserve())]


def layer_table(report: ExportReport) -> Table:
    """The layers: what they compute and store."""
    table = _table(f"{report.name}: {', '.join(report.targets)}", left=("", "op", "output", "format"))
    for column in ("bits", "bound", "density", "MACs", "weights", "constants", "scratch"):
        table.add_column(column, justify="right")
    for step, layer in enumerate(report.layers):
        table.add_row(
            str(step),
            layer.op.lower(),
            shape(layer.output_shape),
            layer.weights or "",
            "" if layer.bits is None else f"{layer.bits:.2f}",
            "" if layer.entropy_bits is None else f"{layer.entropy_bits:.2f}",
            "" if layer.density is None else f"{layer.density:.2f}",
            *map(count, (layer.macs, layer.weight_bytes, layer.constant_bytes, layer.scratch_bytes)),
        )
    table.add_section()
    totals = map(count, (report.macs, report.weight_bytes, report.constant_bytes))
    table.add_row("", "total", "", "", "", "", "", *totals, "")
    _caption(
        table,
        f"arena {report.arena_bytes:,} bytes, .tflite {report.tflite_bytes:,} bytes\n"
        "weights, constants, scratch: bytes; bits: a weight, stored; bound: the entropy",
    )
    return table


def _reasons(report: ExportReport) -> Table:
    table = _table(f"why these kernels, for {report.optimize} on a {report.core}", left=("", "kernel"))
    table.add_column("why", overflow="fold")
    for step, layer in enumerate(report.layers):
        if layer.reason:
            table.add_row(str(step), kernel_name(layer.kernel), escape(layer.reason))
    return table


def _memory(report: ExportReport) -> Table:
    table = _table("beside the same network with other numbers, bytes", left=("",))
    for column in ("weights", "constants", "arena", "weights / this", "arena / this"):
        table.add_column(column, justify="right")
    own = (report.weight_bytes, report.constant_bytes, report.arena_bytes)
    rows = [
        ("this export", own),
        *((v.name, (v.weight_bytes, v.constant_bytes, v.arena_bytes)) for v in report.variants),
    ]
    for name, sizes in rows:
        ratios = (f"{sizes[i] / own[i]:.2f}" if own[i] else "" for i in (0, 2))
        table.add_row(name, *map(count, sizes), *ratios)
    bound = report.arena_lower_bound
    _caption(table, f"entropy bound of the weights {report.entropy_bytes:,}, lower bound of the arena {bound:,}")
    return table


def _cores(report: ExportReport) -> Table:
    table = _table("compiled, bytes", left=("core", "compiler"))
    for column in ("code", "weights", "constants", "flash", "stack at most"):
        table.add_column(column, justify="right")
    for core in report.cores:
        table.add_row(
            core.core,
            f"{core.compiler} {core.optimize}",
            f"{core.code_bytes:,}",
            f"{report.weight_bytes:,}",
            f"{core.constant_bytes - report.weight_bytes:,}",
            f"{core.flash_bytes:,}",
            "unknown" if core.stack_bytes is None else f"{core.stack_bytes:,}",
        )
    return table


def benchmark_table(report: ExportReport, benchmark: Benchmark) -> Table:
    """Instructions and estimated cycles of the layers."""
    title = f"{report.name} on {benchmark.board} ({benchmark.core}): one inference, emulated; cycles are estimates"
    table = _table(title, left=("", "op", "output", "kernel"))
    for column in ("instructions", "a MAC", "cycles", "a MAC", "share"):
        table.add_column(column, justify="right")
    taken_by = zip(report.layers, benchmark.layers, benchmark.layer_cycles, strict=True)
    for step, (layer, taken, cycles) in enumerate(taken_by):
        table.add_row(
            str(step),
            layer.op.lower(),
            shape(layer.output_shape),
            kernel_name(layer.kernel),
            f"{taken:,}",
            per_mac(taken, layer.macs),
            f"{cycles:,}",
            per_mac(cycles, layer.macs),
            f"{cycles / benchmark.cycles:.1%}",
        )
    table.add_section()
    totals = [(f"{total:,}", per_mac(total, report.macs)) for total in (benchmark.instructions, benchmark.cycles)]
    table.add_row("", "total", "", "", *totals[0], *totals[1], "")
    _caption(table, f"{benchmark.compiler} {benchmark.optimize}, {benchmark.emulator}")
    return table


def _boards(report: ExportReport, reserve: Reserve) -> Table:
    table = _table("boards", left=("part", "board", "core"))
    for column in ("flash KiB", "RAM KiB"):
        table.add_column(column, justify="right")
    table.add_column("")
    for fit in fit_parts(report, reserve):
        part = fit.part
        table.add_row(part.name, part.board, part.core, str(part.flash_kib), str(part.ram_kib), fit.verdict)
    _caption(
        table,
        f"with {reserve.flash:,} bytes of flash and {reserve.ram:,} bytes of RAM left for the rest of the firmware",
    )
    return table


def _table(title: str, left: Iterable[str]) -> Table:
    table = Table(title=escape(title), title_justify="left", box=box.SIMPLE_HEAD, padding=0)
    for column in left:
        table.add_column(column, no_wrap=True)
    return table


def _caption(table: Table, text: str) -> None:
    table.caption, table.caption_justify = escape(text), "left"
