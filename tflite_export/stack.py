"""An upper bound of the stack that a function needs, from its object files.

The compiler says what each function takes: GCC in a `.su` file (`-fstack-usage`), Clang in a section of the object
(`-fstack-size-section`), and assembly in a symbol `NAME_frame` of that value. The relocations say who calls whom. A
function whose address is taken is counted below the one that takes it, on top of the deepest call: the kernels hand
such addresses down, never up.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tflite_export.elf import Elf, Section

STACK_FLAGS = {"gcc": ("-fstack-usage",), "zig": ("-fstack-size-section",)}

_SHT_RELA, _SHT_REL = 4, 9
# ELF for the Arm Architecture, table 5-24; RISC-V ELF psABI, table 3.
_CALLS = {"cortex_m": {10, 28}, "riscv": {17, 18, 19}}
_JUMPS = {"cortex_m": {29, 30, 51, 52, 102, 103}, "riscv": {16, 44, 45}}
_SU_LINE = re.compile(r"^.*:\d+:\d+:(.+)\t(\d+)\t(.+)$", re.MULTILINE)

# An object file's number and one of its sections: with -ffunction-sections a function.
_Node = tuple[int, int]


@dataclass(frozen=True)
class StackBound:
    """What a function needs of the stack.

    Attributes:
        size: Bytes, with all functions that it calls; None where that cannot be told.
        excluded: Functions of other libraries that it calls, which are not counted.
        reason: Why `size` is None.
    """

    size: int | None
    excluded: tuple[str, ...] = ()
    reason: str = ""


def stack_bound(objects: Sequence[Path], entry: str, architecture: str) -> StackBound:
    """Add up the stack along the deepest path of calls.

    Args:
        objects: Object files, compiled with `STACK_FLAGS` and a section a function; GCC's `.su` files beside them.
        entry: The function to start at.
        architecture: The core's: `"cortex_m"` or `"riscv"`.

    Returns:
        The bound. There is none with recursion, or with a frame whose size depends on data.

    Raises:
        ExportError: One is not a 32-bit little-endian ELF file.
    """
    graph = _CallGraph(architecture)
    for path in objects:
        graph.add(path)
    try:
        size = graph.depth(graph.defined[entry])
    except _UnboundedError as error:
        return StackBound(None, tuple(sorted(graph.excluded)), str(error))
    return StackBound(size, tuple(sorted(graph.excluded)))


class _UnboundedError(Exception):
    """There is no bound; the message says why."""


@dataclass
class _CallGraph:
    architecture: str
    defined: dict[str, _Node] = field(default_factory=dict)
    excluded: set[str] = field(default_factory=set)
    _elves: list[Elf] = field(default_factory=list)
    _frames: dict[_Node, int | None] = field(default_factory=dict)
    _depths: dict[_Node, int | None] = field(default_factory=dict)

    def add(self, path: Path) -> None:
        elf = Elf.read(path)
        number = len(self._elves)
        self._elves.append(elf)
        usage = path.with_suffix(".su")
        frames = _gcc_frames(usage.read_text()) if usage.exists() else None
        for symbol in elf.symbol_table:
            if symbol.section is None:
                continue
            node = (number, symbol.section)
            if symbol.is_global:
                self.defined[symbol.name] = node
            if (frame := elf.symbols.get(f"{symbol.name}_frame")) is not None:
                self._frames[node] = frame
            elif frames is not None and (frame := frames.get(symbol.name)) is not None:
                self._frames[node] = frame if frame >= 0 else None
            elif symbol.name.endswith(".cold"):  # runs in the frame of the function that it was cut out of
                self._frames[node] = 0
        if frames is None:
            for index, size in _clang_frames(elf).items():
                self._frames.setdefault((number, index), size)

    def depth(self, node: _Node) -> int:
        """The bound of a function."""
        if node in self._depths:
            known = self._depths[node]
            if known is None:
                raise _UnboundedError(f"{self._name(node)} calls itself")
            return known
        frame = self._frames.get(node)
        if frame is None:
            raise _UnboundedError(f"the frame of {self._name(node)} has no fixed size")
        self._depths[node] = None
        if _calls_itself(self._section(node).data, self.architecture):
            raise _UnboundedError(f"{self._name(node)} calls itself")
        called, handed = self._references(node)
        deepest = [max(map(self.depth, group), default=0) for group in (called, handed)]
        self._depths[node] = frame + sum(deepest)
        return frame + sum(deepest)

    def _references(self, node: _Node) -> tuple[list[_Node], list[_Node]]:
        """The functions that one calls, and those whose address it takes, directly or in a table."""
        called: dict[_Node, None] = {}
        handed: dict[_Node, None] = {}
        seen = {node}
        pending = [node]
        while pending:
            at = pending.pop()
            for kind, target in self._relocations(at):
                if isinstance(target, str):
                    if target and not target.startswith(("_GLOBAL", "__aeabi_unwind")):
                        self.excluded.add(target)
                elif not self._section(target).executable:
                    if target not in seen:
                        seen.add(target)
                        pending.append(target)
                elif kind in _CALLS[self.architecture]:
                    called[target] = None
                elif target != node:  # within a function: its own branches and tables
                    group = called if kind in _JUMPS[self.architecture] else handed
                    group[target] = None
        return list(called), list(handed)

    def _relocations(self, node: _Node) -> list[tuple[int, _Node | str]]:
        number, index = node
        elf = self._elves[number]
        found: list[tuple[int, _Node | str]] = []
        for section in elf.sections:
            if section.kind not in (_SHT_REL, _SHT_RELA) or section.info != index:
                continue
            for _, info, *_ in struct.iter_unpack("<3I" if section.kind == _SHT_RELA else "<2I", section.data):
                symbol = elf.symbol_table[info >> 8]
                if symbol.section is not None:
                    found.append((info & 0xFF, (number, symbol.section)))
                else:
                    found.append((info & 0xFF, self.defined.get(symbol.name, symbol.name)))
        return found

    def _section(self, node: _Node) -> Section:
        return self._elves[node[0]].sections[node[1]]

    def _name(self, node: _Node) -> str:
        return self._section(node).name.removeprefix(".text.")


def _calls_itself(code: bytes, architecture: str) -> bool:
    """Whether a function's code, alone in its section, calls its first instruction: assemblers resolve that."""
    halves = [half for (half,) in struct.iter_unpack("<H", code[: len(code) & ~1])]
    target = _thumb_call if architecture == "cortex_m" else _riscv_call
    padded = [*halves, 0, 0, 0]
    return any(target(padded, i) == -2 * i for i in range(1, len(halves)))


def _thumb_call(halves: Sequence[int], at: int) -> int | None:
    """How far away a BL calls (Armv7-M A7.7.18, T1)."""
    first, second = halves[at : at + 2]
    if first & 0xF800 != 0xF000 or second & 0xD000 != 0xD000:
        return None
    sign = first >> 10 & 1
    bits = (1 ^ sign ^ second >> 13) & 1, (1 ^ sign ^ second >> 11) & 1
    return 4 + (bits[0] << 23 | bits[1] << 22 | (first & 0x3FF) << 12 | (second & 0x7FF) << 1) - (sign << 24)


def _riscv_call(halves: Sequence[int], at: int) -> int | None:
    """How far away an AUIPC and JALR, a JAL or a C.JAL that writes `ra` calls (RISC-V unprivileged, 2.5 and 16.4)."""
    first = halves[at] | halves[at + 1] << 16
    second = halves[at + 2] | halves[at + 3] << 16
    if first & 0xFFF == 0x097 and second & 0xFFFFF == 0x080E7:
        low = second >> 20
        return _signed((first & 0xFFFFF000) + (low - ((low & 0x800) << 1)), 32)
    if first & 0xFFF == 0x0EF:
        upper = first >> 31 << 20 | (first >> 12 & 0xFF) << 12 | (first >> 20 & 1) << 11
        return _signed(upper | (first >> 21 & 0x3FF) << 1, 21)
    if first & 0xE003 == 0x2001:
        places = ((12, 11), (11, 4), (10, 9), (9, 8), (8, 10), (7, 6), (6, 7), (5, 3), (4, 2), (3, 1), (2, 5))
        return _signed(sum((first >> source & 1) << target for source, target in places), 12)
    return None


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (value >> (bits - 1) << bits)


def _gcc_frames(usage: str) -> dict[str, int]:
    """Bytes by function; -1 where they depend on data."""
    frames: dict[str, int] = {}
    for name, size, kind in _SU_LINE.findall(usage):
        frames[name] = -1 if kind == "dynamic" else max(int(size), frames.get(name, 0))
    return frames


def _clang_frames(elf: Elf) -> Mapping[int, int]:
    """Bytes by section. https://llvm.org/docs/Extensions.html: an address, then the size as ULEB128."""
    frames: dict[int, int] = {}
    for section in elf.sections:
        if section.name != ".stack_sizes":
            continue
        at = 0
        while at < len(section.data):
            at += 4
            size = shift = 0
            while True:
                byte = section.data[at]
                at += 1
                size |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    break
            frames[section.link] = max(size, frames.get(section.link, 0))
    return frames
