"""The arena as a picture: which bytes are in use at which step."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tflite_export.memory import PlacedBuffer
from tflite_export.report.model import ExportReport

_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 22, 40
_WIDTH, _HEIGHT = 1150, 300
_COLOURS = 6
_GRID_LINES = 4
_LABEL_HEIGHT, _CHARACTER_WIDTH = 13, 6.4


def arena_picture(report: ExportReport) -> str:
    """The lifetimes of the buffers as an SVG element: steps to the right, addresses upwards."""
    steps = len(report.layers)
    column = (_WIDTH - _LEFT - _RIGHT) / steps
    scale = _HEIGHT / report.arena_bytes

    def x(step: int) -> float:
        return _LEFT + step * column

    def y(address: int) -> float:
        return _TOP + _HEIGHT - address * scale

    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_TOP + _HEIGHT + _BOTTOM}" role="img" '
        f'aria-label="Bytes of the arena in use at every step">'
    ]
    for line in range(_GRID_LINES + 1):
        address = report.arena_bytes * line // _GRID_LINES
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" {_ys(y(address))}/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y(address) + 4:.1f}" text-anchor="end">{kib(address)}</text>')
    # a view lies on what it is a part of
    for index, buffer in sorted(enumerate(report.buffers), key=lambda pair: pair[1].kind == "view"):
        width, height = (buffer.last - buffer.first + 1) * column, buffer.size * scale
        left, top = x(buffer.first), y(buffer.offset + buffer.size)
        kind = f"buffer {buffer.kind.replace(' ', '-')} b{index % _COLOURS}"
        parts.append(
            f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}" rx="3"><title>{escape(_title(buffer))}</title></rect>'
        )
        # what takes over the bytes in place is drawn over the last step
        width = (_covered_from(buffer, report.buffers) - buffer.first) * column
        label = f"{buffer.size:,} bytes"
        if len(label) * _CHARACTER_WIDTH > width:
            label = kib(buffer.size)
        if height >= _LABEL_HEIGHT and len(label) * _CHARACTER_WIDTH <= width:
            centre = f'x="{left + width / 2:.1f}" y="{top + height / 2 + 4:.1f}"'
            parts.append(f'<text class="inside" {centre} text-anchor="middle">{label}</text>')
    bound = y(report.arena_lower_bound)
    parts.append(f'<line class="bound" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" {_ys(bound)}/>')
    parts.append(
        f'<text class="bound-label" x="{_WIDTH - _RIGHT}" y="{bound - 6:.1f}" text-anchor="end">'
        f"lower bound {report.arena_lower_bound:,} bytes</text>"
    )
    every = max(1, round(28 / column))
    for step in range(0, steps, every):
        middle = x(step) + column / 2
        parts.append(
            f'<text x="{middle:.1f}" y="{_TOP + _HEIGHT + 16}" text-anchor="middle">{step}'
            f"<title>{escape(report.layers[step].op)}</title></text>"
        )
    parts.append(
        f'<text x="{_LEFT + (_WIDTH - _LEFT - _RIGHT) / 2:.0f}" y="{_TOP + _HEIGHT + 34}" text-anchor="middle">'
        "step: the row of the table of layers</text></svg>"
    )
    return "".join(parts)


def kib(size: int) -> str:
    """Bytes in the unit that suits them."""
    if size < 1000:
        return f"{size} B"
    return f"{size / 1024:.1f} KiB" if size < 1000 * 1024 else f"{size / 1024 / 1024:.2f} MiB"


def _covered_from(buffer: PlacedBuffer, others: Sequence[PlacedBuffer]) -> int:
    """The step from which another buffer is drawn over this one; behind its last where none is."""
    starts = [
        other.first
        for other in others
        if buffer.first < other.first <= buffer.last
        and other.offset < buffer.offset + buffer.size
        and buffer.offset < other.offset + other.size
    ]
    return min([*starts, buffer.last + 1])


def _ys(height: float) -> str:
    return f'y1="{height:.1f}" y2="{height:.1f}"'


def _title(buffer: PlacedBuffer) -> str:
    end = buffer.offset + buffer.size
    steps = f"step {buffer.first}" if buffer.first == buffer.last else f"steps {buffer.first} to {buffer.last}"
    kind = "" if buffer.kind == "tensor" else f" ({buffer.kind})"
    return f"{buffer.name}{kind}\n{buffer.size:,} bytes at {buffer.offset:,} to {end:,}\n{steps}"
