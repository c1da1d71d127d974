"""The report as one page: no script, no other file, nothing from the network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from tflite_export.report.format import count, kernel_name, per_mac, shape
from tflite_export.report.model import CoreReport, ExportReport, LayerReport, Reserve, Variant
from tflite_export.report.parts import Fit, fit_parts
from tflite_export.report.pictures import arena_picture, kib

_STYLE = Path(__file__).with_name("style.css")


def page(report: ExportReport, reserve: Reserve | None = None) -> str:
    """The page.

    Args:
        report: of an export.
        reserve: what the rest of the firmware takes, for the table of boards.

    Returns:
        HTML.
    """
    sections = [_head(report)]
    if report.layers:
        sections += [_cards(report), _flash(report), _arena(report), _layers(report)]
        sections += [_boards(report, Reserve() if reserve is None else reserve)]
    sections.append(_about(report))
    title = escape(f"{report.name}: what it costs")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{_STYLE.read_text()}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(sections)
        + "\n</main>\n</body>\n</html>\n"
    )


def _head(report: ExportReport) -> str:
    def ends(tensors: Sequence) -> str:
        return ", ".join(f'<span class="name">{escape(t.name)}</span> {shape(t.shape)}' for t in tensors)

    return (
        '<header><div class="over">tern-keras export report</div>'
        f"<h1>{escape(report.name)}</h1>"
        f'<p class="facts">{ends(report.inputs)} &rarr; {ends(report.outputs)}</p>'
        f'<p class="facts">targets {", ".join(map(escape, report.targets))}; '
        f"kernels chosen for {report.optimize} on a {report.core}; "
        f"{_bytes(report.tflite_bytes)} as .tflite; tern-keras {escape(report.version)}</p></header>"
    )


def _cards(report: ExportReport) -> str:
    core = next(iter(report.cores), None)
    int8, float32 = _variant(report, "int8").weight_bytes, _variant(report, "float32").weight_bytes
    smaller = f"int8 takes {_times(int8, report.weight_bytes)}, float32 {_times(float32, report.weight_bytes)}"
    cards = []
    if core is not None:
        stack = "unknown stack" if core.stack_bytes is None else f"stack at most {_bytes(core.stack_bytes)}"
        cards.append(("flash", kib(core.flash_bytes), f"weights, constants and code, {core.core}"))
        ram = report.arena_bytes + report.interface_bytes + (core.stack_bytes or 0)
        cards.append(("RAM", kib(ram), f"arena {kib(report.arena_bytes)}, {stack}"))
    else:
        cards.append(("arena", kib(report.arena_bytes), "RAM between the layers"))
    cards.append(("weights", kib(report.weight_bytes), smaller))
    cards.append(("multiply-accumulates", f"{report.macs:,}", f"{len(report.layers)} steps"))
    for benchmark in report.benchmarks[:1]:
        note = (
            f"{per_mac(benchmark.cycles, report.macs)} a MAC, {benchmark.core}, {benchmark.instructions:,} instructions"
        )
        cards.append(("cycles, estimated", f"{benchmark.cycles:,}", note))
    return (
        '<div class="cards">'
        + "".join(
            f'<div class="card"><div class="label">{label}</div><div class="value">{value}</div>'
            f'<div class="note">{escape(note)}</div></div>'
            for label, value, note in cards
        )
        + "</div>"
    )


def _flash(report: ExportReport) -> str:
    rows = []
    for variant in reversed(report.variants):
        rows.append((variant.name, [("w", variant.weight_bytes), ("c", variant.constant_bytes)], "without code"))
    own = [("w", report.weight_bytes), ("c", report.constant_bytes)]
    if report.cores:
        rows = [(f"this, {core.core}", [*own, *_rest(report, core)], "") for core in report.cores] + rows
    else:
        rows.insert(0, ("this export", own, "without code"))
    legend = (("w", "weights and levels"), ("c", "biases, multipliers, shifts"), ("p", "parameters"), ("k", "code"))
    head = ("core", "compiler", "code", "weights", "constants", "parameters", "flash", "stack at most")
    body = [
        (
            core.core,
            f"{core.compiler} {core.optimize}",
            *(f"{value:,}" for value in (core.code_bytes, report.weight_bytes, report.constant_bytes)),
            f"{_rest(report, core)[0][1]:,}",
            f"{core.flash_bytes:,}",
            "unknown" if core.stack_bytes is None else f"{core.stack_bytes:,}",
        )
        for core in report.cores
    ]
    bound = (
        f"<p class='soft after'>The weights take {report.weight_bytes:,} bytes. A code made for every channel, by the "
        f"entropy of its weights, would take {report.entropy_bytes:,} bytes or more.</p>"
    )
    return (
        "<section><h2>Flash</h2>"
        f"<p class='soft'>Beside it the same network with int8 and with float32 weights.</p>{_bars(rows)}"
        f"{_legend(legend)}"
        + (f"<h3>Compiled, bytes</h3>{_table(head, body, text=2)}" if body else "")
        + f"{bound}</section>"
    )


def _rest(report: ExportReport, core: CoreReport) -> list[tuple[str, int]]:
    return [("p", core.constant_bytes - report.weight_bytes - report.constant_bytes), ("k", core.code_bytes)]


def _arena(report: ExportReport) -> str:
    rows = [("this export", [("k", report.arena_bytes)], "")]
    rows += [(variant.name, [("k", variant.arena_bytes)], "") for variant in reversed(report.variants)]
    excess = report.arena_bytes / report.arena_lower_bound - 1 if report.arena_lower_bound else 0
    above = (
        "the least that any plan needs" if excess < 0.0005 else f"{excess:.1%} above the largest sum of live tensors"
    )
    if report.arena_proved_optimal and excess >= 0.0005:
        above += ", proved to be the least"
    width = max(900, 32 * len(report.layers))
    picture = f'<div class="scroll"><div style="min-width:{width}px">{arena_picture(report)}</div></div>'
    return (
        "<section><h2>RAM: the arena</h2>"
        f"<p class='soft'>{report.arena_bytes:,} bytes, {above}. Inputs and outputs, "
        f"{report.interface_bytes:,} bytes, are the caller's.</p>"
        + (picture if report.buffers else "")
        + f"<h3>Beside it</h3>{_bars(rows)}</section>"
    )


def _layers(report: ExportReport) -> str:
    benchmarks = report.benchmarks
    head = ["", "operator", "output", "MACs", "weights", "bits", "bound", "density", "bytes", "constants", "scratch"]
    head += [f"cycles, {benchmark.core}" for benchmark in benchmarks]
    head.append("kernel, and why")
    rows = "".join(_layer_row(report, step, layer) for step, layer in enumerate(report.layers))
    totals = ["", "total", "", f"{report.macs:,}", "", "", "", "", f"{report.weight_bytes:,}"]
    totals += [f"{report.constant_bytes:,}", "", *(f"{benchmark.cycles:,}" for benchmark in benchmarks), ""]
    numeric = [index not in (1, 2, 4, len(head) - 1) for index in range(len(head))]
    return (
        "<section><h2>Layers</h2><p class='soft'>Bits: stored bits a weight, levels included. Bound: the entropy of "
        "the weights, channel by channel, with their levels."
        + (" Cycles are estimated from emulated instructions." if benchmarks else "")
        + "</p><div class='scroll layers'><table><thead><tr>"
        + "".join(f"<th{_class(right)}>{escape(name)}</th>" for name, right in zip(head, numeric, strict=True))
        + f"</tr></thead><tbody>{rows}</tbody><tfoot><tr>"
        + "".join(f"<td{_class(right)}>{cell}</td>" for cell, right in zip(totals, numeric, strict=True))
        + "</tr></tfoot></table></div></section>"
    )


def _layer_row(report: ExportReport, step: int, layer: LayerReport) -> str:
    operator = escape(layer.op.lower()).replace("_", "_<wbr>")
    cells = [
        (f"{step}", True),
        (f'{operator}<span class="name" title="{escape(layer.name)}">{escape(layer.name)}</span>', False),
        (shape(layer.output_shape), False),
        (count(layer.macs), True),
        (escape(layer.weights or ""), False),
        ("" if layer.bits is None else f"{layer.bits:.2f}", True),
        ("" if layer.entropy_bits is None else f"{layer.entropy_bits:.2f}", True),
        ("" if layer.density is None else f"{layer.density:.2f}", True),
        (count(layer.weight_bytes), True),
        (count(layer.constant_bytes), True),
        (count(layer.scratch_bytes), True),
    ]
    for benchmark in report.benchmarks:
        taken = benchmark.layer_cycles[step]
        width = f'style="width:{taken / max(benchmark.layer_cycles):.1%}"'
        title = f"{taken / benchmark.cycles:.1%}; {benchmark.layers[step]:,} instructions"
        bar = f'<span class="share" title="{title}"><i {width}></i></span>'
        cells.append((f"{taken:,}{bar}", True))
    why = f'<span class="name">{escape(kernel_name(layer.kernel))}</span>{escape(layer.reason)}'
    row = "".join(f"<td{_class(right)}>{cell}</td>" for cell, right in cells)
    return f'<tr>{row}<td class="why">{why}</td></tr>'


def _boards(report: ExportReport, reserve: Reserve) -> str:
    fits = fit_parts(report, reserve)
    head = ("part", "core", "MHz", "flash KiB", "RAM KiB", "needs flash", "needs RAM", "code measured on", "")
    rows = "".join(_board_row(fit) for fit in fits)
    numeric = range(2, 7)
    return (
        f"<section><h2>Boards</h2><p class='soft'>{sum(fit.fits for fit in fits)} of {len(fits)} fit, with "
        f"{reserve.flash:,} bytes of flash and {reserve.ram:,} bytes of RAM left for the rest of the firmware. Where "
        "the code was not measured for a part's core, that of another core stands in for it.</p>"
        "<div class='scroll'><table><thead><tr>"
        + "".join(f"<th{_class(index in numeric)}>{name}</th>" for index, name in enumerate(head))
        + f"</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _board_row(fit: Fit) -> str:
    part = fit.part
    verdict = f'<span class="badge {"yes" if fit.fits else "no"}">{fit.verdict}</span>'
    cells = [
        (
            f'<span title="{escape(part.source)}">{escape(part.name)}</span> <span class="soft">{part.board}</span>',
            False,
        ),
        (escape(part.core), False),
        *((f"{value:,}", True) for value in (part.mhz, part.flash_kib, part.ram_kib)),
        *((f"{value:,}", True) for value in (fit.flash_bytes, fit.ram_bytes)),
        (fit.measured_on or "not counted", False),
        (verdict, False),
    ]
    return "<tr>" + "".join(f"<td{_class(right)}>{cell}</td>" for cell, right in cells) + "</tr>"


def _about(report: ExportReport) -> str:
    notes = [*map(escape, report.notes)]
    if report.layers:
        notes += [
            "Weights, constants and the arena are planned, not estimated: the C holds these arrays.",
            "The float32 and int8 networks are planned by the same planner, without any kernel's working memory.",
        ]
    libraries = sorted({name for core in report.cores for name in core.library_functions})
    if report.cores:
        notes.append(
            "Code is that of the object file, linked down to what the model calls. The stack is a bound: the frames "
            "of the deepest path of calls, which the compiler reports."
        )
    if libraries:
        notes.append(f"In neither: the compiler's own {', '.join(f'<code>{escape(n)}</code>' for n in libraries)}.")
    notes += [escape(core.core + ": " + core.stack_note) for core in report.cores if core.stack_note]
    notes += [
        f"Instructions on the {escape(found.core)}: {escape(found.compiler)} {escape(found.optimize)}, board "
        f"{escape(found.board)} in {escape(found.emulator)}; one inference, exact for this compiler. Cycles "
        "are estimated from them, without wait states: nothing was measured on a chip."
        for found in report.benchmarks
    ]
    items = "".join(f"<li>{note}</li>" for note in notes)
    files = ", ".join(f"<code>{escape(file)}</code>" for file in report.files if "/" not in file)
    body = f"<h2>How this was measured</h2><ul class='notes'>{items}</ul>" if notes else ""
    return f"<section>{body}<p class='soft'>Files: {files}</p></section>"


def _bars(rows: Sequence[tuple[str, Sequence[tuple[str, int]], str]]) -> str:
    longest = max(sum(size for _, size in parts) for _, parts, _ in rows) or 1
    cells = []
    for name, parts, note in rows:
        total = sum(size for _, size in parts)
        track = "".join(
            f'<i class="{kind}" style="width:{size / longest:.2%}" title="{size:,} bytes"></i>'
            for kind, size in parts
            if size
        )
        after = f' <span class="soft">{note}</span>' if note else ""
        cells.append(
            f'<div class="who">{escape(name)}{after}</div><div class="sum">{_bytes(total)}</div>'
            f'<div class="track">{track}</div>'
        )
    return f'<div class="bars">{"".join(cells)}</div>'


def _legend(entries: Iterable[tuple[str, str]]) -> str:
    return '<div class="legend">' + "".join(f'<span><i class="{k}"></i>{text}</span>' for k, text in entries) + "</div>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], text: int) -> str:
    """A table whose first columns are text, the others numbers."""
    titles = "".join(f"<th{_class(index >= text)}>{escape(name)}</th>" for index, name in enumerate(head))
    body = "".join(
        "<tr>" + "".join(f"<td{_class(index >= text)}>{escape(cell)}</td>" for index, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    return f"<div class='scroll'><table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>"


def _class(numeric: bool) -> str:
    return ' class="n"' if numeric else ""


def _bytes(size: int) -> str:
    return f"{size:,} bytes"


def _times(other: int, own: int) -> str:
    return f"{other / own:.1f} times that" if own else "as little"


def _variant(report: ExportReport, name: str) -> Variant:
    return next(variant for variant in report.variants if variant.name == name)
