"""How many cycles a kernel call takes on a core, estimated from its parameters, without running it.

A kernel's work is a few numbers, such as how many blocks of positions times weights it goes through
(`tflite_export.kernel_work`). Each has a coefficient for a core, fitted to counts on emulated ones by
`benchmarks/fit_costs.py`; `kernel_costs.json` holds them, and how far the estimates were off.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tflite_export.boards import CORES, Core
from tflite_export.kernel_call import KernelCall
from tflite_export.kernel_work import kernel_work

TABLE = Path(__file__).with_name("kernel_costs.json")


def estimated_cycles(call: KernelCall, core: Core) -> int | None:
    """Estimate the cycles of one call.

    Args:
        call: of any kernel.
        core: whose cycles; of one that is not in the table those of another with the same instructions are taken.

    Returns:
        Cycles, or None for a kernel that has no estimate.

    Example:
        >>> from tflite_export.boards import get_core
        >>> estimated_cycles(KernelCall(None, "tern_relu_ref", "", {}, (), None), get_core("cortex-m4")) is None
        True
    """
    coefficients = _kernels(core).get(call.function, {}).get("cycles")
    if coefficients is None:
        return None
    return round(sum(coefficients.get(term, 0.0) * amount for term, amount in kernel_work(call, core).items()))


def _kernels(core: Core) -> Mapping[str, Any]:
    """By name of the kernel, for the core or the first one that compiles the same part of `port.h`."""
    table = _table()
    names = [core.name, *(other.name for other in CORES.values() if other.port == core.port)]
    return next((table[name] for name in names if name in table), {})


@functools.cache
def _table() -> Mapping[str, Mapping[str, Any]]:
    return json.loads(TABLE.read_text()) if TABLE.exists() else {}
