"""The table of costs that the generator chooses kernels by: fitted to counts on emulated cores.

    python benchmarks/fit_costs.py
    python benchmarks/fit_costs.py --core m4 --print

Small random layers are built, and every kernel that can do one does it, in one program a core and batch. The estimated
cycles of each call (`tflite_export.cycles`) are fitted by its work (`tflite_export.kernel_work`): non-negative least
squares of the relative errors. The table, `tflite_export/kernel_costs.json`, has with each kernel's coefficients how
many calls they rest on and the largest relative error among them.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from records import BOARD_OF, FOLDER
from rich.console import Console
from rich.table import Table
from scipy.optimize import nnls

from tflite_export.boards import BOARDS, Board
from tflite_export.graph import Graph
from tflite_export.kernel_call import KernelCall
from tflite_export.kernel_costs import TABLE
from tflite_export.kernel_work import kernel_work

sys.path.append(str(FOLDER.parent / "tests"))
from call_counts import all_calls, counted_cycles
from random_layers import random_layers

BATCHES = 5
# The kernels that are not fast are linear in what they do: small layers tell as much, and are soon done.
LARGEST_REF = 4_000
BELOW = 1e-3  # of a kernel's cycles: a coefficient that small is left out


def _is_small(call: KernelCall, board: Board) -> bool:
    return kernel_work(call, board.core).get("macs", 0) <= LARGEST_REF


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


def fit_core(core: str, batches: int, kept: Path | None) -> dict[str, dict[str, object]]:
    """The coefficients of every kernel on a core."""
    board = BOARDS[BOARD_OF[core]]
    works, cycles = defaultdict(list), defaultdict(list)
    for batch in range(batches):
        graph = Graph.read(random_layers(batch))
        calls = [call for call in all_calls(graph, board) if _is_small(call, board)]
        path = None if kept is None else kept / f"{core}_{batch}.json"
        if path is not None and path.exists():
            counts = json.loads(path.read_text())
        else:
            counts = counted_cycles(graph, calls, board)
        if path is not None:
            path.write_text(json.dumps(counts))
        for call, counted in zip(calls, counts, strict=True):
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
    parser.add_argument("--counts", type=Path, help="a folder of counts: those in it are taken, others are put there")
    options = parser.parse_args()
    for core in options.core:
        kernels = fit_core(core, options.batches, options.counts)
        Console(width=170).print(table(core, kernels))
        if not options.print:
            costs = json.loads(TABLE.read_text()) if TABLE.exists() else {}
            costs[BOARDS[BOARD_OF[core]].core.name] = kernels
            TABLE.write_text(json.dumps(costs, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
