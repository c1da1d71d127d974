"""The kernels on a set of layers: instructions, estimated cycles, bits a weight, scratch, and the ratio to others.

    python benchmarks/kernels.py --core m4
    python benchmarks/kernels.py --core m4 m7 --zeros 70 --levels 2 --only rn8 --write

A layer is built with random weights, exported, compiled with -O2 and run on an emulated core; its output is compared
with TFLite's reference kernels, bit for bit. Instructions are exact. Cycles are estimates (`tflite_export.cycles`):
memory without wait states, and on m7 and m55 a model of in-order issue. Nothing is measured on silicon. The others'
figures are in `benchmarks/baselines.json`, of the same emulators and rules; the ratio is their cycles to these.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from records import BASELINES, BOARD_OF, FOLDER, random_weights, write_rows
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tflite_export import bench, export, run
from tflite_export.boards import BOARDS

RESULTS = FOLDER / "results" / "kernels.jsonl"
PEERS = {
    "cmsis_conv_s8": "CMSIS-NN int8",
    "cmsis_dw_s8": "CMSIS-NN int8",
    "cmsis_fc_s8": "CMSIS-NN int8",
    "plain_c_s8": "plain C int8",
    "cmsis_conv_s4": "CMSIS-NN int4",
    "cmsis_fc_s4": "CMSIS-NN int4",
    "cmix_u8_u2": "CMix-NN 2 bits",
    "bitnetmcu_2bit": "BitNetMCU 2 bits",
    "bitnetmcu_ternary": "BitNetMCU ternary",
}


@dataclass(frozen=True)
class Layer:
    """A layer of the set: the shape of its input, how Keras calls it, and with which weights it is deployed."""

    shape: tuple[int, ...]
    make: Callable[[], keras.layers.Layer]
    weights: str = "ternary"


def _conv(channels: int, size: int, stride: int = 1, padding: str = "same") -> Callable[[], keras.layers.Layer]:
    return lambda: keras.layers.Conv2D(channels, size, strides=stride, padding=padding)


LAYERS = {
    "rn8_32x32x3_3x3x16": Layer((32, 32, 3), _conv(16, 3), "int8"),
    "rn8_32x32x16_3x3x16": Layer((32, 32, 16), _conv(16, 3)),
    "rn8_32x32x16_s2_3x3x32": Layer((32, 32, 16), _conv(32, 3, 2)),
    "rn8_16x16x32_3x3x32": Layer((16, 16, 32), _conv(32, 3)),
    "rn8_8x8x64_3x3x64": Layer((8, 8, 64), _conv(64, 3)),
    "rn8_32x32x16_s2_1x1x32": Layer((32, 32, 16), _conv(32, 1, 2)),
    "rn8_16x16x32_s2_1x1x64": Layer((16, 16, 32), _conv(64, 1, 2)),
    "lenet_12x12x32_5x5x64": Layer((12, 12, 32), _conv(64, 5, padding="valid")),
    "vgg_16x16x64_3x3x128": Layer((16, 16, 64), _conv(128, 3)),
    "ds_25x5x64_1x1x64": Layer((25, 5, 64), _conv(64, 1)),
    "ds_25x5x64_dw3x3": Layer((25, 5, 64), lambda: keras.layers.DepthwiseConv2D(3, padding="same")),
    "fc_1024_512": Layer((1024,), lambda: keras.layers.Dense(512)),
    "fc_640_128": Layer((640,), lambda: keras.layers.Dense(128)),
    "fc_128_128": Layer((128,), lambda: keras.layers.Dense(128)),
}


def measure(core: str, name: str, kind: str, zeros: int, levels: int, optimize: str) -> dict[str, Any]:
    """Export a layer, compare its output and count."""
    layer = LAYERS[name]
    rng = np.random.default_rng(0)
    model = keras.Sequential([keras.Input(layer.shape), layer.make()])
    (keras_layer,) = model.layers
    keras_layer.kernel.assign(random_weights(keras_layer, kind, zeros / 100, levels, rng))
    keras_layer.bias.assign(rng.normal(size=keras_layer.bias.shape) / 8)
    samples = rng.normal(size=(16, *layer.shape)).astype("float32")
    board = BOARD_OF[core]
    with tempfile.TemporaryDirectory() as folder:
        chosen = BOARDS[board].core.name
        report = export(model, folder, calibration=samples, core=chosen, cores=(), optimize=optimize)
        if run(report, samples[:1], board=board).different:
            raise SystemExit(f"{name} on {core} differs from TFLite's reference")
        report = bench(report, board)
    (row,) = report.layers
    (found,) = report.benchmarks
    return {
        "core": core,
        "layer": name,
        "weights": kind,
        "zeros": zeros if kind == "ternary" else 0,
        "levels": levels if kind == "ternary" else 1,
        "optimize": optimize,
        "kernel": row.kernel,
        "format": row.weights,
        "macs": row.macs,
        "instructions": found.instructions,
        "cycles": found.cycles,
        "bits": round(row.bits or 0, 3),
        "scratch": row.scratch_bytes,
        "compiler": found.compiler,
    }


def baselines(core: str, layer: str) -> dict[str, int]:
    """The cycles of others for a layer, by their kernels' names."""
    rows = json.loads(BASELINES.read_text())["rows"]
    return {row["kernel"]: row["cycles"] for row in rows if (row["core"], row["layer"]) == (core, layer)}


def table(core: str, rows: list[dict[str, Any]]) -> Table:
    """A row a layer: what it takes, and what others take."""
    peers = list(dict.fromkeys(PEERS[kernel] for row in rows for kernel in baselines(core, row["layer"])))
    title = f"{BOARDS[BOARD_OF[core]].core.name}, emulated; cycles are estimates; ratios are others' cycles to these"
    result = Table(title=title, title_justify="left")
    for column in ("layer", "kernel", "weights"):
        result.add_column(column, overflow="fold")
    for column in ("instructions", "cycles", "a MAC", "bits", "scratch", *peers):
        result.add_column(column, justify="right")
    for row in rows:
        ratios = {PEERS[peer]: cycles / row["cycles"] for peer, cycles in baselines(core, row["layer"]).items()}
        of = f"{row['zeros']} % zeros" if row["weights"] == "ternary" else row["weights"]
        result.add_row(
            row["layer"],
            row["kernel"].removeprefix("tern_"),
            of + (", two levels" if row["levels"] == 2 else ""),
            f"{row['instructions']:,}",
            f"{row['cycles']:,}",
            f"{row['cycles'] / row['macs']:.2f}",
            f"{row['bits']:.2f}",
            f"{row['scratch']:,}",
            *(f"{ratios[peer]:.2f}" if peer in ratios else "" for peer in peers),
        )
    return result


def rows_of(options: argparse.Namespace, core: str) -> Iterator[dict[str, Any]]:
    """Measure what the options ask for, with a bar that shows how far it is."""
    names = [name for name in LAYERS if not options.only or any(part in name for part in options.only)]
    for name in track(names, f"{core} ...", transient=True):
        kind = options.weights or LAYERS[name].weights
        yield measure(core, name, kind, options.zeros, options.levels, options.optimize)


def main() -> None:
    """Measure, print, and keep the rows where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", nargs="+", default=["m4"], choices=BOARD_OF)
    parser.add_argument("--only", nargs="+", help="layers whose names contain one of these")
    parser.add_argument("--weights", choices=("ternary", "binary", "int8"), help="of all layers")
    parser.add_argument("--zeros", type=int, default=50, help="percent of ternary weights (default: 50)")
    parser.add_argument("--levels", type=int, default=1, choices=(1, 2), help="2: unlike levels, as TTQ's")
    parser.add_argument("--optimize", default="speed", choices=("speed", "size"))
    parser.add_argument("--write", action="store_true", help=f"keep the rows in {RESULTS.relative_to(FOLDER.parent)}")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the file of --write")
    options = parser.parse_args()
    for core in options.core:
        rows = list(rows_of(options, core))
        Console(width=170).print(table(core, rows))
        if options.write:
            write_rows(options.out, rows, ("core", "layer", "weights", "zeros", "levels", "optimize"))


if __name__ == "__main__":
    main()
