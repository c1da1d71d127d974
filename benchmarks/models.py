"""Networks with ternary weights on emulated cores: estimated cycles, flash and arena, beside TFLM + CMSIS-NN's int8.

    python benchmarks/models.py --core m4
    python benchmarks/models.py --core m4 m0 --only resnet8 --zeros 30 50 70 --layers --write

The networks are those of `tern_keras.applications` with random weights: int8 in the first and the last layer, ternary
between; the autoencoder is ternary throughout. Each is exported, compiled with -O2 and run on an emulated core; its
output is compared with TFLite's reference kernels, bit for bit. Cycles are estimates (`tflite_export.cycles`): memory
without wait states. Flash is all of the image: weights, constants, kernels, start-up and the firmware's input and
output; code is that less weights and constants. The arena includes the buffers of input and output, as TFLM's does.
The others' figures are in `benchmarks/baselines.json`.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
from records import BASELINES, BOARD_OF, FOLDER, random_weights, write_rows
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tern_keras import applications
from tflite_export import ExportReport, bench, export, run
from tflite_export.boards import BOARDS
from tflite_export.elf import section_sizes
from tflite_export.firmware import build_firmware
from tflite_export.host import c_sources, include_dirs
from tflite_export.report.terminal import benchmark_table
from tflite_export.running import model_interface

RESULTS = FOLDER / "results" / "models.jsonl"
# How many layers at either end keep int8 weights. Those of the autoencoder hold 62 % of all its weights.
NETWORKS = {"resnet8": 1, "ds_cnn": 1, "mobilenet_v1_025": 1, "autoencoder": 0, "lenet5": 1}


def network(name: str, zeros: int) -> keras.Model:
    """A network with random weights, ternary but for its ends."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    model = getattr(applications, name)()
    layers = [layer for layer in model.layers if hasattr(layer, "kernel")]
    for layer in layers[NETWORKS[name] : len(layers) - NETWORKS[name]]:
        layer.kernel.assign(random_weights(layer, "ternary", zeros / 100, 1, rng))
    return model


def measure(core: str, name: str, zeros: int, optimize: str) -> tuple[dict[str, Any], ExportReport]:
    """Export a network, compare its output and count."""
    board = BOARDS[BOARD_OF[core]]
    model = network(name, zeros)
    samples = np.random.default_rng(0).normal(size=(16, *model.input_shape[1:])).astype("float32")
    with tempfile.TemporaryDirectory() as folder:
        report = export(model, folder, calibration=samples, core=board.core.name, cores=(), optimize=optimize)
        if run(report, samples[:1], board=board.name).different:
            raise SystemExit(f"{name} on {core} differs from TFLite's reference")
        report = bench(report, board.name)
        image = Path(folder) / "image.elf"
        build_firmware(c_sources(report), include_dirs(report), board, model_interface(report), image)
        sizes = section_sizes([image])
    (found,) = report.benchmarks
    flash = sizes.text + sizes.rodata + sizes.data
    row = {
        "core": core,
        "network": name,
        "zeros": zeros,
        "optimize": optimize,
        "macs": report.macs,
        "instructions": found.instructions,
        "cycles": found.cycles,
        "flash": flash,
        "code": flash - report.weight_bytes - report.constant_bytes,
        "weights": report.weight_bytes,
        "arena": report.arena_bytes + report.interface_bytes,
        "compiler": found.compiler,
    }
    return row, report


def baseline(core: str, name: str) -> dict[str, Any] | None:
    """The others' figures for a network."""
    rows = json.loads(BASELINES.read_text())["networks"]
    return next((row for row in rows if (row["core"], row["network"]) == (core, name)), None)


def table(core: str, rows: list[dict[str, Any]]) -> Table:
    """A row a network, and what TFLM + CMSIS-NN takes for it in int8."""
    title = f"{BOARDS[BOARD_OF[core]].core.name}, emulated; cycles are estimates; in brackets TFLM + CMSIS-NN, int8"
    result = Table(title=title, title_justify="left")
    result.add_column("network")
    for column in ("zeros", "cycles", "a MAC", "ratio", "flash", "code", "arena"):
        result.add_column(column, justify="right")
    for row in rows:
        other = baseline(core, row["network"])
        beside = {name: f" [{other[name]:,}]" if other else "" for name in ("cycles", "flash", "arena")}
        result.add_row(
            row["network"],
            f"{row['zeros']} %",
            f"{row['cycles']:,}{beside['cycles']}",
            f"{row['cycles'] / row['macs']:.2f}",
            f"{other['cycles'] / row['cycles']:.2f}" if other else "",
            f"{row['flash']:,}{beside['flash']}",
            f"{row['code']:,}",
            f"{row['arena']:,}{beside['arena']}",
        )
    return result


def main() -> None:
    """Measure, print, and keep the rows where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", nargs="+", default=["m4"], choices=BOARD_OF)
    parser.add_argument("--only", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--zeros", nargs="+", type=int, default=[50], help="percent of ternary weights (default: 50)")
    parser.add_argument("--optimize", default="speed", choices=("speed", "size"))
    parser.add_argument("--layers", action="store_true", help="print every layer of every network, too")
    parser.add_argument("--write", action="store_true", help=f"keep the rows in {RESULTS.relative_to(FOLDER.parent)}")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the file of --write")
    options = parser.parse_args()
    console = Console(width=150, markup=False)
    for core in options.core:
        rows = []
        cases = [(name, zeros) for name in options.only for zeros in options.zeros]
        for name, zeros in track(cases, f"{core} ...", transient=True):
            row, report = measure(core, name, zeros, options.optimize)
            rows.append(row)
            if options.layers:
                console.print(benchmark_table(report, report.benchmarks[0]))
        console.print(table(core, rows))
        if options.write:
            write_rows(options.out, rows, ("core", "network", "zeros", "optimize"))


if __name__ == "__main__":
    main()
