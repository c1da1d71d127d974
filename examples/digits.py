"""The whole way on real handwritten digits: train, ternarise, export, verify, run on an emulated Cortex-M4.

    python examples/digits.py --out build/demo

Trains a float network on scikit-learn's 8x8 digits, then TWN, TTQ and SQ from it; exports all four; compares the C
with the int8 reference over the whole test set, on this machine and on the board; and prints one table. Everything is
left in the output folder, and the best ternary model again in its folder `model`.
"""

import argparse
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from tern_keras import finalize, plots, profile, ternarize
from tern_keras.quantizers import SQ, TTQ, TWN
from tern_keras.regularizers import AdaptiveRegularizer
from tflite_export import BoardRun, ExportReport, VerifyReport, export, run, verify

FLOAT_EPOCHS = 60
TERNARY_EPOCHS = 40
BOARD = "mps2-an386"
QUANTIZERS = {
    "TWN": TWN(),
    "TTQ": TTQ(),
    "SQ": SQ(regularizer=AdaptiveRegularizer(strength=0.1, gamma=1e-2)),
}


def load_data() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """1,797 digits as float32 in [0, 1], shape (samples, 8, 8, 1), and labels: train, then the test quarter."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype("float32").reshape(-1, 8, 8, 1)
    x_train, x_test, y_train, y_test = train_test_split(
        images, labels.astype("int32"), test_size=0.25, random_state=0, stratify=labels
    )
    return x_train, y_train, x_test, y_test


def build_network() -> keras.Model:
    """Three convolutions, 16-16-32, and a classifier: 7,376 weights."""
    layers = keras.layers

    def block(filters: int) -> list[keras.layers.Layer]:
        return [
            layers.Conv2D(filters, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
        ]

    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            *block(16),
            *block(16),
            layers.MaxPooling2D(2),
            *block(32),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10, activation="softmax"),
        ],
        name="digits",
    )


class Bar(keras.callbacks.Callback):
    """Moves a progress bar with every epoch."""

    def __init__(self, progress: Progress, text: str, epochs: int) -> None:
        super().__init__()
        self.progress, self.task = progress, progress.add_task(text, total=epochs, note="")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Show the epoch's accuracy."""
        accuracy = (logs or {}).get("accuracy", 0)
        self.progress.update(self.task, advance=1, note=f"training accuracy {accuracy:.1%}")


def train(model: keras.Model, x: np.ndarray, y: np.ndarray, epochs: int, rate: float, bar: Bar) -> None:
    """Train with Adam and a cosine schedule."""
    steps = epochs * -(-len(x) // 32)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps))
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=0, callbacks=[bar])


def accuracy(model: keras.Model, x: np.ndarray, y: np.ndarray) -> float:
    """The fraction of samples that a model labels right."""
    return float(np.mean(model.predict(x, verbose=0).argmax(1) == y))


@dataclass
class Row:
    """What the table says of one exported model."""

    name: str
    in_keras: float
    report: ExportReport
    checked: VerifyReport
    board: BoardRun

    @property
    def different(self) -> int:
        """Samples whose outputs differ from the int8 reference, on this machine or on the board."""
        return sum(check.different for check in self.checked.checks) + self.board.different


def results_table(float_accuracy: float, weights: int, rows: list[Row]) -> Table:
    """The demo's last word."""
    table = Table(title=f"Handwritten digits, emulated Cortex-M4 ({BOARD})", title_justify="left")
    columns = ("Keras", "LiteRT", "M4", "outputs\nthat differ", "weight\nbytes", "code\nbytes", "arena\nbytes")
    table.add_column("model")
    for column in (*columns, "instructions\nan inference"):
        table.add_column(column, justify="right")
    table.add_row("float", f"{float_accuracy:.2%}", "", "", "", f"{4 * weights:,}", "", "", "")
    for row in rows:
        table.add_row(
            row.name,
            f"{row.in_keras:.2%}",
            f"{row.checked.checks[0].accuracy:.2%}",
            f"{row.board.accuracy:.2%}",
            str(row.different),
            f"{row.report.weight_bytes:,}",
            f"{row.board.sizes.text:,}",
            f"{row.report.arena_bytes:,}",
            f"{row.board.instructions:,}",
        )
    emulator = {"qemu": "QEMU", "unicorn": "Unicorn"}[rows[0].board.emulator]
    table.caption = (
        f"Instructions are counted by {emulator}, not measured on hardware. Compiler: {rows[0].board.compiler}."
    )
    table.caption_justify = "left"
    return table


def main() -> None:
    """Train, export, verify, run, show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/demo"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    keras.utils.set_random_seed(0)
    x_train, y_train, x_test, y_test = load_data()
    np.savez(out / "test.npz", x=x_test, y=y_test)
    console = Console(width=None if Console().is_terminal else 120)
    look = (TextColumn("{task.description:28}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*look, console=console) as progress:
        network = build_network()
        train(network, x_train, y_train, FLOAT_EPOCHS, 5e-3, Bar(progress, "train float", FLOAT_EPOCHS))
        trained = {}
        for name, quantizer in QUANTIZERS.items():
            trained[name] = ternarize(network, quantizer)
            train(trained[name], x_train, y_train, TERNARY_EPOCHS, 3e-3, Bar(progress, f"train {name}", TERNARY_EPOCHS))

        rows = []
        for name, model in {"int8": network, **trained}.items():
            final = finalize(model)
            final.save(out / f"{name.lower()}.keras")
            report = export(final, out / name.lower(), calibration=x_train)
            checked = verify(report, x_test, y_test)
            task = progress.add_task(f"{name} on the Cortex-M4", total=len(x_test), note="")
            board = run(report, x_test, y_test, BOARD, progress=lambda n, task=task: progress.update(task, completed=n))
            rows.append(Row(name, accuracy(final, x_test, y_test), report, checked, board))

    plots.latent_histograms(trained).savefig(out / "latent_weights.png", dpi=130)
    plots.kernel_montage(trained).savefig(out / "kernels.png", dpi=130)
    best = max(rows[1:], key=lambda row: row.board.accuracy or 0)
    shutil.copytree(best.report.folder, out / "model", dirs_exist_ok=True)

    console.print(
        results_table(accuracy(network, x_test, y_test), sum(layer.weights for layer in profile(network).layers), rows)
    )
    console.print(f"Artefacts and pictures are in {out}; the best ternary model, {best.name}, is also in {out}/model:")
    console.print(
        f"  {Path(sys.executable).parent}/tern-keras run {out}/model --board {BOARD} --data {out}/test.npz",
        soft_wrap=True,
    )
    if any(row.different for row in rows):
        raise SystemExit("outputs differ from the int8 reference")


if __name__ == "__main__":
    main()
