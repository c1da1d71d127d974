"""A reader of 32-bit little-endian ELF files: sections, segments, symbols, and how large they are."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tflite_export.errors import ExportError

_IDENTITY = b"\x7fELF\x01\x01"  # 32 bit, little-endian
_HEADER = struct.Struct("<16sHHIIIIIHHHHHH")
_SECTION = struct.Struct("<10I")
_SEGMENT = struct.Struct("<8I")
_SYMBOL = struct.Struct("<IIIBBH")

_PT_LOAD = 1
_SHT_SYMTAB = 2
_SHT_NOBITS = 8
_SHF_WRITE = 1
_SHF_ALLOC = 2
_SHF_EXECINSTR = 4
_SHN_RESERVED = 0xFF00
# Tables for unwinding; the firmware's linker script leaves them out.
_UNWINDING = (".ARM.exidx", ".ARM.extab", ".eh_frame")


@dataclass(frozen=True)
class Section:
    """A section; `data` is empty where the file holds none of it (`.bss`)."""

    name: str
    kind: int
    flags: int
    size: int
    link: int
    info: int
    data: bytes

    @property
    def executable(self) -> bool:
        """Whether it holds machine code."""
        return bool(self.flags & _SHF_EXECINSTR)


@dataclass(frozen=True)
class Symbol:
    """A name; `section` is the index of the one that it lies in, None where another file defines it."""

    name: str
    value: int
    section: int | None
    is_global: bool


@dataclass(frozen=True)
class Segment:
    """What a loader copies: `data` to `address` (the load address: initial values of variables lie in flash)."""

    address: int
    data: bytes


@dataclass(frozen=True)
class Elf:
    """An ELF file.

    Attributes:
        entry: where execution starts.
        sections: in the file's order.
        segments: the loadable ones that are not empty.
        symbols: values by name; names that occur twice keep the last. Bit 0 of a Thumb function is set.
        symbol_table: all symbols, as relocations number them.
    """

    entry: int
    sections: tuple[Section, ...]
    segments: tuple[Segment, ...]
    symbols: dict[str, int]
    symbol_table: tuple[Symbol, ...]

    @property
    def undefined(self) -> set[str]:
        """Names that other files must define."""
        return {symbol.name for symbol in self.symbol_table if symbol.section is None and symbol.name}

    @classmethod
    def read(cls, path: Path) -> Elf:
        """Read an object file or an executable.

        Raises:
            ExportError: if the file is not a 32-bit little-endian ELF file, or is truncated.
        """
        content = path.read_bytes()
        if not content.startswith(_IDENTITY):
            raise ExportError(f"{path} is not a 32-bit little-endian ELF file")
        try:
            return cls._parse(content)
        except (struct.error, IndexError) as error:
            raise ExportError(f"{path} is a damaged ELF file: {error}") from error

    @classmethod
    def _parse(cls, content: bytes) -> Elf:
        header = _HEADER.unpack_from(content)
        entry, segments_at, sections_at = header[4:7]
        segment_count, section_count, names_index = header[10], header[12], header[13]

        rows = [_SECTION.unpack_from(content, sections_at + i * _SECTION.size) for i in range(section_count)]
        names = content[rows[names_index][4] :] if rows else b""
        sections = tuple(
            Section(
                name=_string(names, name),
                kind=kind,
                flags=flags,
                size=size,
                link=link,
                info=info,
                data=b"" if kind == _SHT_NOBITS else content[offset : offset + size],
            )
            for name, kind, flags, _, offset, size, link, info, *_ in rows
        )
        segments = []
        for i in range(segment_count):
            kind, offset, _, load_address, size, *_ = _SEGMENT.unpack_from(content, segments_at + i * _SEGMENT.size)
            if kind == _PT_LOAD and size:
                segments.append(Segment(load_address, content[offset : offset + size]))
        symbols = _symbols(sections)
        values = {symbol.name: symbol.value for symbol in symbols}
        return cls(entry, sections, tuple(segments), values, symbols)


def _string(table: bytes, offset: int) -> str:
    return table[offset : table.index(b"\0", offset)].decode() if table else ""


def _symbols(sections: tuple[Section, ...]) -> tuple[Symbol, ...]:
    symbols = []
    for section in sections:
        if section.kind == _SHT_SYMTAB:
            names = sections[section.link].data
            for name, value, _, kind, _, index in _SYMBOL.iter_unpack(section.data):
                owner = index if 0 < index < _SHN_RESERVED else None
                symbols.append(Symbol(_string(names, name), value, owner, is_global=kind >> 4 != 0))
    return tuple(symbols)


@dataclass(frozen=True)
class SectionSizes:
    """Bytes by what they are for.

    Attributes:
        text: machine code, with the constants that the compiler places among it.
        rodata: constants.
        data: variables with initial values; they take flash and RAM.
        bss: variables that start as zero, and the stack; they take RAM.
    """

    text: int
    rodata: int
    data: int
    bss: int


def section_sizes(paths: Iterable[Path]) -> SectionSizes:
    """Add up the sections of object files or executables, by their flags.

    Args:
        paths: ELF files. Of a whole program's objects this counts unused functions too: link them first.

    Returns:
        The sizes, in bytes.

    Raises:
        ExportError: if one is not a 32-bit little-endian ELF file.

    Example:
        >>> section_sizes([])
        SectionSizes(text=0, rodata=0, data=0, bss=0)
    """
    sizes = {"text": 0, "rodata": 0, "data": 0, "bss": 0}
    for path in paths:
        for section in Elf.read(path).sections:
            if section.flags & _SHF_ALLOC and not section.name.startswith(_UNWINDING):
                sizes[_purpose(section)] += section.size
    return SectionSizes(**sizes)


def _purpose(section: Section) -> str:
    if section.executable:
        return "text"
    if section.kind == _SHT_NOBITS:
        return "bss"
    return "data" if section.flags & _SHF_WRITE else "rodata"
