"""Cores of which Arm says what every instruction takes: Cortex-M0, M3 and M4, without wait states."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tflite_export.cycles.estimate import Execution

_PC = "r15"


def cortex_m0(executed: Sequence[Execution]) -> int:
    """Cycles of a Cortex-M0 with the multiplier of one cycle; DDI 0432C, table 3-1."""
    cycles = 0
    for execution in executed:
        instruction, count = execution.instruction, execution.count
        each = 1
        if instruction.kind in ("load", "store"):
            each = 2
        elif instruction.kind in ("load many", "store many"):
            each = 1 + len(instruction.listed) + 3 * (_PC in instruction.listed)
        elif instruction.mnemonic == "bl":
            each = 2
        cycles += each * count
        if instruction.kind == "branch":
            cycles += 2 * execution.taken
    return cycles


def cortex_m3(executed: Sequence[Execution]) -> int:
    """Cycles of a Cortex-M3; DDI 0337H, table 3-1, with refills of one cycle, two at a computed address."""
    return _cortex_m3_or_m4(executed, _m3_multiply)


def cortex_m4(executed: Sequence[Execution]) -> int:
    """Cycles of a Cortex-M4; DDI 0439B, table 3-1: as the M3, and every multiplication in one."""
    return _cortex_m3_or_m4(executed, {})


_m3_multiply = {"mla": 2, "mls": 2, "smull": 4, "umull": 4, "smlal": 6, "umlal": 6}


def _cortex_m3_or_m4(executed: Sequence[Execution], multiply: dict[str, int]) -> int:
    before: Execution | None = None
    by_address = {execution.instruction.address: execution.instruction for execution in executed}
    cycles = 0
    for execution in executed:
        instruction, count = execution.instruction, execution.count
        cycles += count * _each(execution, multiply)
        if instruction.kind == "load" and before is not None and _is_pipelined(before, execution):
            cycles -= min(count, before.count - before.taken)
        if instruction.kind == "branch":
            computed = instruction.mnemonic.startswith(("bx", "blx", "tb"))
            target = by_address.get(instruction.target or -1)
            # a wide instruction across two words is fetched in two cycles
            across = target is not None and target.size == 4 and target.address % 4 != 0
            cycles += execution.taken * (1 + computed + across)
        before = execution
    return cycles


def _each(execution: Execution, multiply: dict[str, int]) -> int:
    instruction = execution.instruction
    kind, operands = instruction.kind, instruction.operands
    if kind == "load":
        return 4 if operands.startswith(_PC) else 2
    if kind == "store":
        return 2 if re.search(r"\[\w+, r", operands) else 1
    if kind in ("load many", "store many"):
        return 1 + len(instruction.listed) + 2 * (_PC in instruction.listed)
    if kind == "divide":
        return 7
    if kind == "multiply":
        return multiply.get(instruction.mnemonic, 1)
    if kind == "vector":
        if instruction.mnemonic.startswith(("vldr", "vstr")):
            return 2
        if instruction.mnemonic.startswith(("vldm", "vstm", "vpush", "vpop")):
            return 1 + len(instruction.listed)
    return 2 if instruction.mnemonic.startswith("tb") else 1


def _is_pipelined(before: Execution, execution: Execution) -> bool:
    """Whether a load starts while the one before it ends: where its address does not depend on that."""
    first, second = before.instruction, execution.instruction
    if first.kind != "load" or first.end != second.address:
        return False
    address = second.operands[second.operands.find("[") :]
    return first.registers[0] not in re.findall(r"\w+", address)
