"""Machine code as instructions, and what their timing depends on."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import capstone

from tflite_export.boards import GCC_ARM, Core
from tflite_export.elf import Elf
from tflite_export.errors import ExportError

_CONDITION = "(?:eq|ne|cs|cc|hs|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)?"
# The first that fits says what an instruction is.
_KINDS = {
    "load": rf"ldr(b|h|sb|sh)?{_CONDITION}",
    "store": rf"str(b|h)?{_CONDITION}",
    "load many": rf"(ldrd|ldm|ldmia|ldmdb|pop){_CONDITION}",
    "store many": rf"(strd|stm|stmia|stmdb|push){_CONDITION}",
    "branch": rf"b{_CONDITION}|blx?|bx|bx{_CONDITION}|cbn?z|tb[bh]|le|(wls|dls|dlstp|wlstp|letp)(\.\d+)?",
    "if-then": "it[te]{0,3}",
    "divide": rf"[us]div{_CONDITION}",
    "multiply": "(mul|mla|mls|smul|smla|smlal|smull|umull|umlal|smmul|smmla|smuad|smusd|smlad|smlsd|umaal|usad).*",
    "vector": "v.*",
    "nothing": "nop",
    "packed": "([su]xta?[bh]|[usq]h?(add|sub)(8|16)|[us]asx|[us]sax|pkh|[us]sat|sel|rev|ror).*",
}
_ARM_NAMES = {"sb": "r9", "sl": "r10", "fp": "r11", "ip": "r12", "sp": "r13", "lr": "r14", "pc": "r15"}
_ARM_NAME = re.compile(rf"\b({'|'.join(_ARM_NAMES)})\b")
_REGISTER = re.compile(r"\b(r1[0-5]|r[0-9]|s[0-9]{1,2}|d[0-9]{1,2}|q[0-7])\b")
_TARGET = re.compile(r"\b(?:0x)?([0-9a-f]+)$")
# Address, bytes, mnemonic and operands; some conditional selections binutils 2.40 does not know.
_OBJDUMP_LINE = re.compile(r"\s*([0-9a-f]+):\t([0-9a-f]{4}(?: [0-9a-f]{4})?)\s*(?:\t([^\t]+)(?:\t([^;<@]*))?)?")


@dataclass(frozen=True)
class Instruction:
    """A decoded instruction.

    Attributes:
        address: where it lies.
        size: 2 or 4 bytes.
        mnemonic: without a suffix for its width.
        operands: with registers by number (r13 is the stack pointer).
    """

    address: int
    size: int
    mnemonic: str
    operands: str

    @property
    def end(self) -> int:
        """The address behind it."""
        return self.address + self.size

    @functools.cached_property
    def kind(self) -> str:
        """One of the timing classes: "load", "store", ..., or "plain"."""
        return next((kind for kind, pattern in _KINDS.items() if re.fullmatch(pattern, self.mnemonic)), "plain")

    @functools.cached_property
    def target(self) -> int | None:
        """Where a branch leads; None where a register says that."""
        found = _TARGET.search(self.operands) if self.kind == "branch" else None
        return None if found is None or _REGISTER.fullmatch(found[0]) else int(found[1], 16)

    @functools.cached_property
    def registers(self) -> tuple[str, ...]:
        """All that the operands name, in their order; lists in braces with every register."""
        return tuple(register for name in re.split(r",\s*", self.operands) for register in _registers_in(name))

    @functools.cached_property
    def listed(self) -> tuple[str, ...]:
        """The registers of a list in braces, or the two of an LDRD or STRD."""
        if "{" not in self.operands:
            return self.registers[:2]
        inside = self.operands[self.operands.index("{") :]
        return tuple(register for name in re.split(r",\s*", inside) for register in _registers_in(name))


def _registers_in(name: str) -> list[str]:
    found = _REGISTER.findall(name)
    if "-" in name and len(found) == 2:
        letter, first, last = found[0][0], int(found[0][1:]), int(found[1][1:])
        return [f"{letter}{number}" for number in range(first, last + 1)]
    return found


class Decoder:
    """The instructions of an image.

    Example:
        >>> from tflite_export.boards import get_core
        >>> from tflite_export.cycles import Decoder
        >>> memory = {0x100: bytes.fromhex("08440028fcd1")}  # add r0, r1; cmp r0, #0; bne
        >>> [instruction.mnemonic for instruction in Decoder(get_core("cortex-m4"), memory).code(0x100, 0x106)]
        ['add', 'cmp', 'bne']
    """

    def __init__(self, core: Core, memory: dict[int, bytes], listing: dict[int, Instruction] | None = None) -> None:
        """Take machine code apart.

        Args:
            core: whose it is.
            memory: pieces of it by their addresses.
            listing: the instructions by address, where another program has decoded them.
        """
        self._core = core
        self._memory = memory
        self._listing = listing
        self._decoded: dict[tuple[int, int], tuple[Instruction, ...]] = {}

    @classmethod
    def of_image(cls, core: Core, path: Path) -> Decoder:
        """The decoder of an executable.

        Raises:
            ExportError: if it is no ELF file, or if its core has Helium instructions, which only GCC's objdump decodes,
                and
                that is not installed.
        """
        listing = _listing(path) if core.port == "mve" else None
        return cls(core, {segment.address: segment.data for segment in Elf.read(path).segments}, listing)

    def code(self, start: int, end: int) -> tuple[Instruction, ...]:
        """The instructions between two addresses."""
        if (start, end) not in self._decoded:
            decode = self._disassembled if self._listing is None else self._listed
            self._decoded[start, end] = tuple(decode(start, end))
        return self._decoded[start, end]

    def _listed(self, start: int, end: int) -> Iterator[Instruction]:
        assert self._listing is not None
        while start < end:
            yield self._listing[start]
            start = self._listing[start].end

    def _disassembled(self, start: int, end: int) -> Iterator[Instruction]:
        riscv = self._core.architecture == "riscv"
        for origin, data in self._memory.items():
            if origin <= start < origin + len(data):
                code = data[start - origin : end - origin]
                for found in _disassembler(riscv).disasm_lite(code, start):
                    yield Instruction(*found) if riscv else _arm(*found)


@functools.cache
def _disassembler(riscv: bool) -> capstone.Cs:
    if riscv:
        return capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV32 | capstone.CS_MODE_RISCVC)
    return capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)


def _arm(address: int, size: int, mnemonic: str, operands: str) -> Instruction:
    mnemonic = mnemonic.removesuffix(".w").removesuffix(".n")
    return Instruction(address, size, mnemonic, _ARM_NAME.sub(lambda name: _ARM_NAMES[name[0]], operands.strip()))


def _listing(path: Path) -> dict[int, Instruction]:
    program = shutil.which(GCC_ARM[0].replace("-gcc", "-objdump"))
    if program is None:
        raise ExportError("cycles of a core with Helium need arm-none-eabi-objdump: install binutils-arm-none-eabi")
    text = subprocess.run([program, "-d", str(path)], capture_output=True, text=True, check=True).stdout
    found = {}
    for line in text.splitlines():
        if parts := _OBJDUMP_LINE.fullmatch(re.sub(r"\s*(<[^>]*>|[;@].*)", "", line).rstrip()):
            size = len(parts[2].replace(" ", "")) // 2
            found[int(parts[1], 16)] = _arm(int(parts[1], 16), size, (parts[3] or "unknown").strip(), parts[4] or "")
    return found
