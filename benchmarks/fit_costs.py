"""The table of costs that the generator chooses kernels by: fitted to counts on emulated cores.

    python benchmarks/fit_costs.py
    python benchmarks/fit_costs.py --core m4 --print

Small random layers are built, and every kernel that can do one does it, in one program a core and batch. The estimated
cycles of each call (`tflite_export.cycles`) are fitted by its work (`tflite_export.kernel_work`): non-negative least
squares of the relative errors. The table, `tflite_export/kernel_costs.json`, has with each kernel's coefficients how
many calls they rest on and the largest relative error among them.
"""

import argparse
import dataclasses
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from records import BOARD_OF, FOLDER
from rich.console import Console
from rich.table import Table
from scipy.optimize import nnls

from tflite_export import c_source
from tflite_export.boards import BOARDS, Board
from tflite_export.cycles import Decoder, estimate_cycles
from tflite_export.firmware import ModelInterface, build_firmware
from tflite_export.graph import Graph
from tflite_export.kernel_call import KernelCall
from tflite_export.kernel_costs import TABLE
from tflite_export.kernel_work import kernel_work
from tflite_export.levels import find_planes
from tflite_export.lowering import LOWERINGS
from tflite_export.lowering.choice import with_alternatives
from tflite_export.lowering.context import Context
from tflite_export.lowering.weighted import CANDIDATES
from tflite_export.memory import plan_memory
from tflite_export.micro_sources import kernel_sources, micro_dir
from tflite_export.tracing import trace_firmware

sys.path.append(str(FOLDER.parent / "tests"))
from random_layers import random_layers

BATCHES = 8
# The kernels that are not fast are linear in what they do: small layers tell as much, and are soon done.
LARGEST_REF = 15_000
BELOW = 1e-3  # of a kernel's cycles: a coefficient that small is left out


def all_calls(graph: Graph, board: Board) -> list[KernelCall]:
    """Every call that could compute an operator, for speed or size, each kernel once an operator."""
    calls: dict[tuple[int, str, object], KernelCall] = {}
    for optimize in ("speed", "size"):
        context = Context(find_planes(graph), optimize, board.core)
        for op in graph.ops:
            for call in with_alternatives({**LOWERINGS, **CANDIDATES}[op.name](op, context)):
                key = op.index, call.function, call.fields.get("block_positions")
                calls.setdefault(key, dataclasses.replace(call, in_place=()))
    return [call for call in calls.values() if kernel_work(call, board.core) and _is_small(call, board)]


def _is_small(call: KernelCall, board: Board) -> bool:
    return kernel_work(call, board.core).get("macs", 0) <= LARGEST_REF


def count(graph: Graph, calls: Sequence[KernelCall], board: Board) -> list[int]:
    """Estimated cycles of each call, all of them in one program on an emulated board."""
    plan = plan_memory(graph, calls)
    assert len(plan.calls) == len(calls)
    source = c_source.source("net", graph, plan, "a benchmark")
    interface = ModelInterface(
        "net",
        tuple(tensor.nbytes for tensor in graph.inputs),
        tuple(tensor.nbytes for tensor in graph.outputs),
        plan.arena_bytes,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "net.c").write_text(source)
        (folder / "net.h").write_text(c_source.header("net", graph, plan, "a benchmark"))
        includes = [folder, micro_dir() / "include", micro_dir() / "src"]
        sources = [folder / "net.c", *kernel_sources(source)]
        firmware = build_firmware(sources, includes, board, interface, folder / "net.elf", profiled_steps=len(calls))
        sample = np.random.default_rng(0).integers(-128, 128, (1, sum(interface.input_bytes))).astype(np.int8)
        traces = trace_firmware(firmware, sample)
        decoder = Decoder.of_image(board.core, firmware.elf)
        return [estimate_cycles(board.core, trace, decoder)[1] for trace in traces]


def fit(works: Sequence[dict[str, float]], cycles: Sequence[int]) -> dict[str, object]:
    """Coefficients of a kernel's terms."""
    terms = sorted({term for work in works for term, amount in work.items() if amount})
    amounts = np.array([[work.get(term, 0.0) for term in terms] for work in works])
    counted = np.array(cycles, float)
    relative = amounts / counted[:, None]
    coefficients, _ = nnls(relative, np.ones(len(counted)))
    used = (relative * coefficients).max(0) > BELOW
    coefficients[used], _ = nnls(relative[:, used], np.ones(len(counted)))
    errors = np.abs(amounts[:, used] @ coefficients[used] / counted - 1)
    found = {term: float(f"{value:.4g}") for term, value in zip(terms, coefficients * used, strict=True) if value}
    return {"cycles": found, "calls": len(counted), "largest_relative_error": round(float(errors.max()), 3)}


def fit_core(core: str, batches: int) -> dict[str, dict[str, object]]:
    """The coefficients of every kernel on a core."""
    board = BOARDS[BOARD_OF[core]]
    works, cycles = defaultdict(list), defaultdict(list)
    for batch in range(batches):
        graph = Graph.read(random_layers(batch))
        calls = all_calls(graph, board)
        for call, counted in zip(calls, count(graph, calls, board), strict=True):
            works[call.function].append(kernel_work(call, board.core))
            cycles[call.function].append(counted)
    return {name: fit(works[name], cycles[name]) for name in sorted(works)}


def table(core: str, kernels: dict[str, dict[str, object]]) -> Table:
    """A row a kernel."""
    result = Table("kernel", "calls", "largest error", "cycles", title=core, title_justify="left")
    for name, row in kernels.items():
        terms = ", ".join(f"{term} {value}" for term, value in dict(row["cycles"]).items())  # type: ignore[call-overload]
        result.add_row(name.removeprefix("tern_"), str(row["calls"]), f"{row['largest_relative_error']:.1%}", terms)
    return result


def main() -> None:
    """Count, fit, and put the cores' rows into the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", nargs="+", default=list(BOARD_OF), choices=BOARD_OF)
    parser.add_argument("--batches", type=int, default=BATCHES, help="programs of layers a core")
    parser.add_argument("--print", action="store_true", help="leave the table of the package as it is")
    options = parser.parse_args()
    for core in options.core:
        kernels = fit_core(core, options.batches)
        Console(width=170).print(table(core, kernels))
        if not options.print:
            costs = json.loads(TABLE.read_text()) if TABLE.exists() else {}
            costs[BOARDS[BOARD_OF[core]].core.name] = kernels
            TABLE.write_text(json.dumps(costs, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
