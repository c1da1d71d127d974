"""Cores that Arm publishes no timing of: models of in-order issue, for ranking.

Every basic block runs alone; a loop of one block runs in its steady state. Branches are predicted, but for one miss
each time that a branch goes the rarer way. Loads hit.

Cortex-M7: two instructions a cycle, in order. Of the two at most one multiplies, one shifts or works on packed bytes,
and one branches; two may load, or one stores. The second does not use what the first computes, but a branch may use its
flags. A result is there after 1 cycle, that of a load or of a multiplication after 2; an accumulator goes on after 1.

Cortex-M55: one instruction a cycle. A load's result is there after 2 cycles, a multiplication's after 2, an accumulator
goes on after 1; a taken branch takes 2 more, the end of a low-overhead loop none. A vector instruction takes one of
three units (memory, multiplier, arithmetic) for 2 cycles, so that instructions of different units overlap; a vector's
scalar result is there after 3 cycles; gathers and scatters take a cycle an element.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tflite_export.cycles.decoding import Instruction

if TYPE_CHECKING:
    from tflite_export.cycles.estimate import Execution

_FLAGS = "flags"
_MEMORY = ("load", "store", "load many", "store many")
_NO_RESULT = re.compile(r"(str|stm|push|cmp|cmn|tst|teq|b|cb|it|nop|tb|vstr|vst|vpst|vpt|vcmp|vmsr|le|pld)")
_TWO_RESULTS = re.compile(r"(ldrd|umull|smull|umlal|smlal|umaal|smlald)")
_ACCUMULATES = re.compile(r"(mla|mls|smla|smmla|smlad|umlal|smlal|usada8|vmla|vaddva|vmlav)")
_KEEPS_RESULT = ("bfi", "movt", "vmov", "vset")
_SHIFTS = re.compile(r"\b(lsl|lsr|asr|ror)\b")
_CONDITIONAL = re.compile(r"b(eq|ne|cs|cc|hs|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)")
_REPEATS = 4


@dataclass(frozen=True)
class _Operation:
    """What issue depends on.

    Attributes:
        reads, writes: registers, and the flags.
        base: a register that an address is written back to.
        accumulator: one that the operation adds to.
        shifts: whether it takes the shifter.
        mostly_taken: of a branch.
    """

    instruction: Instruction
    reads: frozenset[str]
    writes: frozenset[str]
    base: str | None
    accumulator: str | None
    shifts: bool
    mostly_taken: bool

    @property
    def kind(self) -> str:
        return self.instruction.kind


@functools.lru_cache(maxsize=65536)
def _operation(instruction: Instruction, mostly_taken: bool) -> _Operation:
    mnemonic, kind = instruction.mnemonic, instruction.kind
    registers = list(instruction.registers)
    accumulates = bool(_ACCUMULATES.match(mnemonic)) and bool(registers)
    reads, writes = set(registers), set[str]()
    if kind == "load many" and "{" in instruction.operands:
        outside = instruction.operands.split("{")[0]
        reads = set(re.findall(r"r\d+", outside)) or {"r13"}
        writes = set(instruction.listed) | reads
    elif not _NO_RESULT.match(mnemonic) or mnemonic.startswith(("bic", "bfi", "bfc")):
        results = 2 if _TWO_RESULTS.match(mnemonic) else 1
        writes = set(registers[:results])
        if not accumulates and not mnemonic.startswith(_KEEPS_RESULT):
            if len(registers) > results:
                reads = set(registers[results:])
            elif kind in ("plain", "packed") and mnemonic.startswith(("mov", "mvn")):
                reads = set()
    base = None
    if kind in (*_MEMORY, "vector"):
        written_back = re.search(r"\[(\w+)[^\]]*\]\s*(!|,\s*[#r])", instruction.operands)
        base = written_back[1] if written_back else None
        writes |= {base} if base else set()
    stem = mnemonic.split(".")[0]
    if kind in ("plain", "packed") and (stem in ("cmp", "cmn", "tst", "teq") or (stem.endswith("s") and stem != "mls")):
        writes.add(_FLAGS)
    if kind == "if-then" or (kind == "branch" and _CONDITIONAL.fullmatch(stem)):
        reads.add(_FLAGS)
    shifts = (
        kind == "packed"
        or (kind == "plain" and bool(_SHIFTS.search(instruction.operands)))
        or mnemonic.startswith(("ubfx", "sbfx", "bfi", "bfc", "lsl", "lsr", "asr", "ror"))
    )
    accumulator = registers[0] if accumulates else None
    return _Operation(instruction, frozenset(reads), frozenset(writes), base, accumulator, shifts, mostly_taken)


class _Readiness:
    """When registers can be read: by anything, or sooner by what adds to them."""

    def __init__(self) -> None:
        self._anyone: dict[str, int] = {}
        self._adder: dict[str, int] = {}

    def earliest(self, operation: _Operation, now: int) -> int:
        for register in operation.reads:
            times = self._adder if register == operation.accumulator and register in self._adder else self._anyone
            now = max(now, times.get(register, 0))
        return now

    def write(self, register: str, at: int) -> None:
        self._anyone[register] = at
        self._adder.pop(register, None)

    def add_to(self, register: str, at: int) -> None:
        self._adder[register] = at


def _run_m7(block: Sequence[_Operation], repeats: int) -> int:
    """Cycles of a block, or of its last repetition."""
    ready, now = _Readiness(), 0
    together: list[_Operation] = []
    marks = []
    for _ in range(repeats):
        for operation in block:
            earliest = ready.earliest(operation, now)
            if earliest > now:
                now, together = earliest, []
            if not _can_join(together, operation):
                now, together = now + 1, []
            together.append(operation)
            latency = {"load": 2, "load many": 2, "multiply": 2, "vector": 3, "divide": 8}.get(operation.kind, 1)
            for register in operation.writes:
                ready.write(register, now + (1 if register in (operation.base, _FLAGS) else latency))
                if operation.kind == "multiply":
                    ready.add_to(register, now + 1)
            if operation.kind in ("load many", "store many") and "{" in operation.instruction.operands:
                now += max(0, (len(operation.instruction.listed) + 1) // 2 - 1)
                together = []
        marks.append(now)
    return marks[-1] - marks[-2] if repeats > 1 else max(1, now + bool(together))


def _can_join(together: Sequence[_Operation], operation: _Operation) -> bool:
    if not together:
        return True
    if len(together) == 2:
        return False
    (other,) = together
    if operation.kind == other.kind and operation.kind in ("multiply", "branch"):
        return False
    if operation.shifts and other.shifts:
        return False
    if operation.kind in _MEMORY and other.kind in _MEMORY and not operation.kind == other.kind == "load":
        return False
    excused = {_FLAGS} if operation.kind in ("branch", "if-then") else set()
    return not (other.writes & operation.reads) - excused and not (other.kind == "branch" and other.mostly_taken)


def _run_m55(block: Sequence[_Operation], repeats: int) -> int:
    """Cycles of a block, or of its last repetition."""
    ready, now = _Readiness(), 0
    free: dict[str, int] = {}
    marks = []
    for _ in range(repeats):
        for operation in block:
            instruction = operation.instruction
            if instruction.mnemonic.startswith("le") and operation.kind == "branch":
                continue
            at = ready.earliest(operation, now)
            unit = _vector_unit(instruction)
            if unit:
                at = max(at, free.get(unit, 0))
                free[unit] = at + _vector_cycles(instruction, unit)
            for register in operation.writes:
                ready.write(
                    register, at + (1 if register == operation.base else _m55_latency(operation, unit, register))
                )
                if operation.accumulator and (unit or operation.kind == "multiply"):
                    ready.add_to(register, at + (2 if unit else 1))
            now = at + 1
            if operation.kind in ("load many", "store many") and "{" in instruction.operands:
                now += len(instruction.listed) - 1
        marks.append(now)
    if repeats > 1:
        return marks[-1] - marks[-2]
    return max(0 if all(operation.instruction.mnemonic.startswith("le") for operation in block) else 1, now)


def _m55_latency(operation: _Operation, unit: str | None, register: str) -> int:
    if unit:
        return 3 if not register.startswith("q") else 2 if unit == "memory" else 1  # vectors go on beat by beat
    return {"load": 2, "load many": 2, "multiply": 2, "divide": 8}.get(operation.kind, 1)


def _vector_unit(instruction: Instruction) -> str | None:
    mnemonic = instruction.mnemonic
    if instruction.kind != "vector":
        return None
    if (
        mnemonic.startswith(("vmov", "vmsr", "vmrs", "vpst", "vpt", "vctp", "vpnot"))
        and "q" not in instruction.operands
    ):
        return None
    if mnemonic.startswith(("vldr", "vstr", "vld", "vst")):
        return "memory"
    multiplies = ("vml", "vmul", "vqdmul", "vqrdmul", "vrmul", "vmulh", "vrmlal", "vfma")
    return "multiplier" if mnemonic.startswith(multiplies) else "arithmetic"


def _vector_cycles(instruction: Instruction, unit: str) -> int:
    """A gather or scatter takes a cycle an element; all else two."""
    if unit != "memory" or not re.search(r"\[\w+,\s*q", instruction.operands):
        return 2
    element = re.search(r"\.[usif]?(8|16|32)", instruction.mnemonic)
    return 128 // int(element[1]) if element else 4


def _blocks(executed: Sequence[Execution]) -> Iterator[list[Execution]]:
    """Runs of instructions that were executed equally often, to a branch or up to the target of one."""
    targets = {execution.instruction.target for execution in executed if execution.taken}
    block: list[Execution] = []
    for execution in executed:
        if block:
            last = block[-1]
            joined = (
                last.instruction.end == execution.instruction.address
                and last.count == execution.count
                and last.instruction.kind != "branch"
                and execution.instruction.address not in targets
            )
            if not joined:
                yield block
                block = []
        block.append(execution)
    if block:
        yield block


def _issue(
    executed: Sequence[Execution],
    run: Callable[[Sequence[_Operation], int], int],
    branch: Callable[[Execution], int],
) -> int:
    cycles = 0
    for block in _blocks(executed):
        operations = [_operation(one.instruction, 2 * one.taken > one.count) for one in block]
        last = block[-1]
        count, taken = last.count, last.taken
        is_branch = last.instruction.kind == "branch"
        once = run(operations, 1)
        if is_branch and last.instruction.target == block[0].instruction.address and 2 * taken > count:
            cycles += run(operations, _REPEATS) * taken + once * (count - taken)
        else:
            cycles += once * count
        if is_branch:
            cycles += branch(last)
    return cycles


def issue_m7(executed: Sequence[Execution]) -> int:
    """Cycles of a Cortex-M7 in the model of this module."""
    return _issue(executed, _run_m7, _m7_branch)


def _m7_branch(execution: Execution) -> int:
    mnemonic = execution.instruction.mnemonic
    if _CONDITIONAL.fullmatch(mnemonic) or mnemonic.startswith(("cb", "tb")):
        rarer = min(execution.taken, execution.count - execution.taken)
        return rarer * (5 if 4 * rarer < execution.count else 3)
    return execution.count if mnemonic.startswith(("bx", "blx")) else 0


def issue_m55(executed: Sequence[Execution]) -> int:
    """Cycles of a Cortex-M55 in the model of this module."""
    return _issue(executed, _run_m55, _m55_branch)


def _m55_branch(execution: Execution) -> int:
    mnemonic = execution.instruction.mnemonic
    if mnemonic.startswith("le"):
        return 0
    return execution.taken * (1 if mnemonic.startswith(("wls", "dls")) else 2)
