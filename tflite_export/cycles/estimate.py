"""From what was executed to cycles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tflite_export.boards import Core
from tflite_export.cycles.decoding import Decoder, Instruction
from tflite_export.cycles.issue import issue_m7, issue_m55
from tflite_export.cycles.tables import cortex_m0, cortex_m3, cortex_m4

# How often a piece of straight code ran before another: (its start, its end, where the other starts) to a count. Behind
# the last comes 0.
Trace = Counter[tuple[int, int, int]]


@dataclass
class Execution:
    """How often an instruction was executed, and how often another than the one behind it came next."""

    instruction: Instruction
    count: int = 0
    taken: int = 0


def estimate_cycles(core: Core, trace: Trace, decoder: Decoder) -> tuple[int, int]:
    """Instructions and cycles of a trace.

    Args:
        core: the core.
        trace: what was executed.
        decoder: of the image.

    Returns:
        Exact instructions, and the estimate of the cycles.

    Example:
        >>> from tflite_export.boards import get_core
        >>> from tflite_export.cycles import Decoder, Trace, estimate_cycles
        >>> core = get_core("cortex-m4")
        >>> decoder = Decoder(core, {0x100: bytes.fromhex("08440028fcd1")})  # add r0, r1; cmp r0, #0; bne 0x100
        >>> estimate_cycles(core, Trace({(0x100, 0x106, 0x100): 9, (0x100, 0x106, 0x106): 1}), decoder)
        (30, 39)
    """
    executed = executions(trace, decoder)
    instructions = sum(execution.count for execution in executed)
    model = _MODELS.get(core.name)
    if model is None:
        return instructions, instructions
    return instructions, model(executed)


def executions(trace: Trace, decoder: Decoder) -> list[Execution]:
    """Every executed instruction once, by address."""
    found: dict[int, Execution] = {}
    for (start, end, following), count in trace.items():
        for instruction in decoder.code(start, end):
            execution = found.setdefault(instruction.address, Execution(instruction))
            execution.count += count
            if instruction.end == end and following != end:
                execution.taken += count
    return [found[address] for address in sorted(found)]


_MODELS: dict[str, Callable[[Sequence[Execution]], int]] = {
    "cortex-m0": cortex_m0,
    "cortex-m3": cortex_m3,
    "cortex-m4": cortex_m4,
    "cortex-m7": issue_m7,
    "cortex-m55": issue_m55,
}
