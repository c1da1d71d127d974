"""Instructions and weight bytes of the reference kernels: ternary and binary beside int8, in one run.

    python benchmarks/reference_kernels.py --board mps2-an386

Every layer is converted from Keras three times, with int8, ternary (half of the weights zero) and binary weights,
and runs on the emulated board; outputs are checked against TFLite's reference kernels. Counts are exact and
deterministic for a compiler's version; they are emulated, not measured on hardware.
"""

import argparse
import tempfile
from collections.abc import Callable

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

from tflite_export import ExportReport, export, run
from tflite_export.boards import BOARDS

LAYERS: dict[str, tuple[tuple[int, ...], Callable[[], keras.layers.Layer]]] = {
    "conv 3x3, 16x16x16 -> 16": ((16, 16, 16), lambda: keras.layers.Conv2D(16, 3, padding="same")),
    "conv 3x3, 8x8x64 -> 64": ((8, 8, 64), lambda: keras.layers.Conv2D(64, 3, padding="same")),
    "conv 1x1, 16x16x64 -> 64": ((16, 16, 64), lambda: keras.layers.Conv2D(64, 1)),
    "depthwise 3x3, 16x16x64": ((16, 16, 64), lambda: keras.layers.DepthwiseConv2D(3, padding="same")),
    "fully connected, 640 -> 128": ((640,), lambda: keras.layers.Dense(128)),
}
FORMATS = ("int8", "ternary", "binary")


def weights(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Random weights of a format, scaled by their fan-in."""
    values = {
        "int8": rng.normal(size=shape),
        "ternary": rng.choice([-1.0, 0.0, 1.0], shape, p=[0.25, 0.5, 0.25]),
        "binary": rng.choice([-1.0, 1.0], shape),
    }[kind]
    return values / np.sqrt(np.prod(shape[:-1]))


def build(kind: str, shape: tuple[int, ...], make: Callable[[], keras.layers.Layer], folder: str) -> ExportReport:
    """One layer with weights of a format, exported."""
    rng = np.random.default_rng(0)
    model = keras.Sequential([keras.Input(shape), make()])
    kernel = model.layers[0].kernel
    kernel.assign(weights(kind, tuple(kernel.shape), rng))
    return export(model, folder, calibration=rng.normal(size=(16, *shape)).astype("float32"))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--board", default="mps2-an386", choices=BOARDS)
    board = parser.parse_args().board
    table = Table(title=f"Reference kernels on the emulated {BOARDS[board].core.name}", title_justify="left")
    for column in ("layer", "weights"):
        table.add_column(column)
    for column in ("instructions", "a MAC", "int8 / this", "weight bytes", "int8 / this"):
        table.add_column(column, justify="right")
    for name, (shape, make) in LAYERS.items():
        base_instructions, base_bytes = 0, 0
        for kind in FORMATS:
            with tempfile.TemporaryDirectory() as folder:
                report = build(kind, shape, make, folder)
                if report.layers[0].weights != kind:
                    raise SystemExit(f"{name}: expected {kind} weights, exported {report.layers[0].weights}")
                result = run(report, np.random.default_rng(1).normal(size=(2, *shape)), board=board)
            if result.different:
                raise SystemExit(f"{name} with {kind} weights differs from the int8 reference")
            if kind == "int8":
                base_instructions, base_bytes = result.instructions, report.weight_bytes
            table.add_row(
                name,
                kind,
                f"{result.instructions:,}",
                f"{result.instructions / report.layers[0].macs:.2f}",
                f"{base_instructions / result.instructions:.2f}",
                f"{report.weight_bytes:,}",
                f"{base_bytes / report.weight_bytes:.2f}",
            )
        table.add_section()
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
