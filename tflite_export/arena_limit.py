"""An arena within a limit: slower kernels with less scratch, where memory is short."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tflite_export.errors import ExportError
from tflite_export.graph import Graph
from tflite_export.kernel_call import KernelCall
from tflite_export.memory import MemoryPlan, plan_memory


def plan_within(graph: Graph, calls: Sequence[KernelCall], limit: int | None = None) -> MemoryPlan:
    """Plan the memory of a model, and replace calls by their alternatives until the arena is within a limit.

    Those at which the arena is fullest go first; each is replaced by the fastest alternative with less scratch.

    Args:
        graph: the model.
        calls: its lowered operators.
        limit: bytes of the arena; None: as many as the fastest calls need.

    Returns:
        The plan, whose calls say in `reason` where the limit made them slower.

    Raises:
        ExportError: as `plan_memory` does, or if the arena is larger with every alternative; the message names the
            smallest and what needs it.
    """
    calls = list(calls)
    found = plan_memory(graph, calls)
    while limit is not None and found.arena_bytes > limit:
        step = _next_to_replace(calls, found)
        if step is None:
            call = found.calls[found.peak[0]]
            raise ExportError(
                f"the smallest arena for this model has {found.arena_bytes:,} bytes, above the limit of {limit:,}: "
                f"{call.op} with {call.function} needs most of it; raise the limit, or make that layer smaller"
            )
        calls[step] = _slower(calls[step], limit)
        found = plan_memory(graph, calls)
    return found


def _next_to_replace(calls: Sequence[KernelCall], plan: MemoryPlan) -> int | None:
    """The call with an alternative at which the arena is fullest."""
    fill = dict(zip(map(id, plan.calls), plan.fill, strict=True))
    steps = [step for step, call in enumerate(calls) if id(call) in fill and _with_less_scratch(call)]
    return max(steps, key=lambda step: fill[id(calls[step])], default=None)


def _with_less_scratch(call: KernelCall) -> list[KernelCall]:
    return [other for other in call.alternatives if other.scratch_bytes < call.scratch_bytes]


def _slower(call: KernelCall, limit: int) -> KernelCall:
    other, *others = _with_less_scratch(call)
    reason = f"{call.function} and its {call.scratch_bytes:,} bytes of scratch exceed the arena limit of {limit:,}"
    return dataclasses.replace(
        other, reason="; ".join(filter(None, (other.reason, reason))), alternatives=tuple(others)
    )
