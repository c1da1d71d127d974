"""Which of several calls for the same operator is taken."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from tflite_export.kernel_call import KernelCall
from tflite_export.kernel_costs import estimated_cycles
from tflite_export.lowering.context import Context

# Flash is what packed weights are for. A layer that can have them is stored as int8 for speed only where that is faster
# by the first number and takes no more bytes than this beside, or where it is faster by the second, as a depthwise
# convolution is, whose weights are few.
_WORTH_FEW_BYTES, _FEW_BYTES, _WORTH_ANY_BYTES = 1.25, 1024, 4
# For size, what takes a sixteenth more is not larger: rows that are filled up to whole words, mostly.
_AS_SMALL = 17 / 16


def choose(candidates: Sequence[KernelCall], context: Context) -> KernelCall:
    """The best call for an operator, whose alternatives are the others with less scratch.

    For speed it is the one with the fewest estimated cycles, for size the fastest of those with the fewest bytes of
    constants, or hardly more. Calls without an estimate count as slower than all others, in the order given.

    Args:
        candidates: calls that compute the same, and their alternatives.
        context: the core, and what to optimise for.

    Returns:
        The call; its `reason` tells the estimate, and that of the runner-up.
    """
    calls = list(with_alternatives(candidates))
    cycles = {id(call): estimated_cycles(call, context.core) for call in calls}
    by_speed = _without_large_int8(sorted(calls, key=lambda call: _or_infinity(cycles[id(call)])), cycles)
    best = by_speed[0]
    if context.optimize == "size":
        fewest = min(map(flash_bytes, by_speed))
        best = next(call for call in by_speed if flash_bytes(call) <= _AS_SMALL * fewest)
    others = [call for call in by_speed if call is not best]
    return dataclasses.replace(
        best,
        reason="; ".join(filter(None, (best.reason, _estimate(best, others, cycles, context)))),
        alternatives=tuple(call for call in others if call.scratch_bytes < best.scratch_bytes),
    )


def flash_bytes(call: KernelCall) -> int:
    """What the constants of a call take."""
    return sum({constant.key: constant.data.nbytes for constant in call.constants()}.values())


def with_alternatives(candidates: Sequence[KernelCall]) -> Iterator[KernelCall]:
    """Candidates and their alternatives, each once, as calls without alternatives."""
    seen = set()
    for candidate in candidates:
        for call in (candidate, *candidate.alternatives):
            if id(call) not in seen:
                seen.add(id(call))
                yield dataclasses.replace(call, alternatives=())


def _or_infinity(cycles: int | None) -> float:
    return float("inf") if cycles is None else cycles


def _without_large_int8(by_speed: list[KernelCall], cycles: dict[int, int | None]) -> list[KernelCall]:
    packed = [call for call in by_speed if call.weight_format not in ("int8", None)]
    if not packed:
        return by_speed
    fastest, flash = _or_infinity(cycles[id(packed[0])]), min(map(flash_bytes, packed))

    def is_worth(call: KernelCall) -> bool:
        few = flash_bytes(call) <= flash + _FEW_BYTES
        return (_WORTH_FEW_BYTES if few else _WORTH_ANY_BYTES) * _or_infinity(cycles[id(call)]) <= fastest

    return [call for call in by_speed if call.weight_format != "int8" or is_worth(call)]


def _estimate(best: KernelCall, others: Sequence[KernelCall], cycles: dict[int, int | None], context: Context) -> str:
    found = cycles[id(best)]
    if found is None:
        return ""
    text = f"about {_rounded(found)} cycles on a {context.core.name}"
    other = next((call for call in others if call.function != best.function and cycles[id(call)] is not None), None)
    if other is None:
        return text
    return f"{text}, {_rounded(cycles[id(other)] or 0)} with {other.function.removeprefix('tern_')}"


def _rounded(cycles: int) -> str:
    """Two or three digits, which is what the estimate is worth."""
    if cycles >= 1_000_000:
        return f"{cycles / 1_000_000:.1f} M"
    return f"{round(cycles, 3 - len(str(cycles))):,}"
