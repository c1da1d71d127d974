"""Spoken digits, from sound to word in integers: train, ternarise, export, and hear the test set on a Cortex-M4.

    python examples/keyword_spotting.py --wav-dir free-spoken-digit-dataset/recordings
    python examples/keyword_spotting.py --data-dir path/with/fsdd_8khz.npz --quantizer ttq --seed 1

DS-CNN, the keyword-spotting network of MLPerf Tiny, on MFCC features that integer C computes: the same C for training,
on this machine, as in the firmware. The float network is trained first, with int8 activations, then its inner layers
are made ternary and trained on. Both are exported, the latter for speed and for size, and take all 300 test recordings
from sound to word, in C on this machine and as the firmware of an emulated board. Interrupted training goes on at its
last epoch, and what is trained is not trained again.
"""

import argparse
import dataclasses
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from spoken_digits import recordings
from spoken_digits.front_end import FrontEnd, Normalisation
from spoken_digits.recordings import Recordings
from spoken_digits.spotter import NAME, Spotter
from spoken_digits.training import BATCH, DistortedRecordings, accuracy, as_inputs, build_network, train

from tern_keras import finalize, profile, summary, ternarize
from tflite_export import export
from tflite_export.boards import get_board
from tflite_export.files import write_files
from tflite_export.verification import reference_outputs

LEARNING_RATE = 2e-3
CALIBRATION_SAMPLES = 200


def load(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Recordings:
    """The recordings that the options name; without them, end and say what is missing."""
    archive = options.data_dir and options.data_dir / recordings.ARCHIVE
    if archive is not None and archive.is_file():
        return recordings.load_archive(archive)
    if options.wav_dir is None:
        missing = "give --wav-dir or --data-dir" if archive is None else f"there is no {archive}"
        parser.error(f"{missing}; {recordings.HOW_TO_GET_IT}")
    try:
        return recordings.load_wavs(options.wav_dir)
    except ValueError as error:
        parser.error(f"{error}; {recordings.HOW_TO_GET_IT}")


def trained(
    build: Callable[[], keras.Model], data: DistortedRecordings, epochs: int, folder: Path
) -> tuple[keras.Model, float]:
    """Build and train a model, or load what an earlier run trained in this folder.

    Returns:
        The model, and the seconds that the training took since it was last interrupted.
    """
    path, seconds = folder / "model.keras", folder / "seconds.json"
    if not seconds.exists():
        start = time.perf_counter()
        model = build()
        train(model, data, epochs, LEARNING_RATE, folder / "backup")
        model.save(path)
        seconds.write_text(json.dumps(time.perf_counter() - start))
    return keras.models.load_model(path), json.loads(seconds.read_text())


@dataclass(frozen=True)
class Variant:
    """A trained network and how it is exported.

    Attributes:
        name: in the table.
        quantizer: of the inner layers, or None.
        optimize: what the C is for: "speed" or "size".
        model: the network.
        folder: of the export.
        seconds: what the training took, the float network's included.
    """

    name: str
    quantizer: str | None
    optimize: str
    model: keras.Model
    folder: Path
    seconds: float


def measure(
    variant: Variant, train_audio: np.ndarray, test: Recordings, normalisation: Normalisation, board: str
) -> dict[str, Any]:
    """Export a network, and take the test set from sound to word on this machine and on a board.

    Args:
        variant: the network.
        train_audio: int16, shape (recordings, 8000), to calibrate with.
        test: the test set.
        normalisation: of the features.
        board: the emulated board.

    Returns:
        What a row of results says of accuracy and costs.
    """
    front_end = FrontEnd()
    audio = test.seconds()
    features = front_end.features(audio, normalisation)
    calibration = as_inputs(front_end.features(train_audio[:CALIBRATION_SAMPLES], normalisation))

    final = finalize(variant.model)
    report = export(final, variant.folder, calibration=calibration, name=NAME, optimize=variant.optimize)
    scores = reference_outputs(report, features.reshape(len(features), -1))
    spotter = Spotter(report, normalisation)
    here = spotter.on_the_host(audio)
    with Progress(transient=True) as progress:
        task = progress.add_task(f"{variant.name} on {board}", total=len(audio))
        there = spotter.on_board(audio, board, progress=lambda done: progress.update(task, completed=done))
    of_features, of_network = spotter.costs(audio[:1], board)
    unlike_training = (here["features"] != features).any((1, 2)) | (here["scores"] != scores).any(1)
    return {
        "accuracy": percent(accuracy(final, as_inputs(features), test.labels)),
        "accuracy_int8": percent(np.mean(scores.argmax(1) == test.labels)),
        "accuracy_c_host": percent(np.mean(here["word"] == test.labels)),
        "accuracy_c_board": percent(np.mean(there.results["word"] == test.labels)),
        "recordings": len(test),
        "recordings_that_differ": int((unlike_training | (there.results != here)).sum()),
        "board": board,
        "emulator": there.emulator,
        "compiler": there.compiler,
        "weight_bytes": report.weight_bytes,
        "arena_bytes": spotter.interface.arena_bytes,
        "features": dataclasses.asdict(of_features),
        "network": dataclasses.asdict(of_network),
        "layers": [
            {
                "name": layer.name,
                "weights": layer.weights,
                "format": stored.weights,
                "bits": round(stored.bits, 2),
                "density": round(stored.density, 4),
            }
            for layer, stored in zip(
                (layer for layer in profile(final).layers if layer.kernel_shape),
                (stored for stored in report.layers if stored.bits),
                strict=True,
            )
        ],
    }


def percent(fraction: float) -> float:
    """As the rows of results have it."""
    return round(100 * float(fraction), 2)


def results_table(rows: list[dict[str, Any]]) -> Table:
    """Accuracies and costs, a row a model, and the features' costs below."""
    first = rows[0]
    core = get_board(first["board"]).core.name
    table = Table(title=f"Spoken digits: {first['recordings']} recordings", title_justify="left")
    columns = ("Keras", "int8", "C here", core, "recordings\nthat differ", "weight\nbytes", "flash\nbytes")
    table.add_column("model")
    for column in (*columns, "arena\nbytes", "instructions\na second", "cycles a second,\nestimated"):
        table.add_column(column, justify="right")
    for row in rows:
        accuracies = (row[f"accuracy{where}"] for where in ("", "_int8", "_c_host", "_c_board"))
        cost = row["network"]
        figures = (row["recordings_that_differ"], row["weight_bytes"], cost["flash_bytes"], row["arena_bytes"])
        table.add_row(
            row["name"],
            *(f"{value:.2f}%" for value in accuracies),
            *(f"{figure:,}" for figure in (*figures, cost["instructions"], cost["cycles"])),
        )
    cost = first["features"]
    table.add_section()
    flash, instructions, cycles = (f"{cost[key]:,}" for key in ("flash_bytes", "instructions", "cycles"))
    table.add_row("features", *[""] * 6, flash, "", instructions, cycles)
    table.caption = f"From sound to word in C, here and on the emulated {first['board']}; {first['compiler']}."
    table.caption_justify = "left"
    return table


def record(path: Path, rows: list[dict[str, Any]]) -> None:
    """Add rows to a file of JSON lines, in place of those of the same configuration and board."""
    before = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    measured = [(row["config"], row["board"]) for row in rows]
    rows = [row for row in before if (row["config"], row["board"]) not in measured] + rows
    write_files(path.parent, {path.name: "".join(json.dumps(row) + "\n" for row in rows)})


def main() -> None:
    """Train, ternarise, export, listen, show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wav-dir", type=Path, help="folder with the data set's .wav files")
    parser.add_argument("--data-dir", type=Path, help=f"folder with {recordings.ARCHIVE}")
    parser.add_argument("--quantizer", default="twn", help="of the inner layers: twn, ttq, with arguments if you like")
    parser.add_argument("--epochs", type=int, default=40, help="for the float network, and again for the ternary one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--board", default="mps2-an386", help="the emulated board")
    parser.add_argument("--out", type=Path, default=Path("build/keyword_spotting"))
    parser.add_argument("--results", type=Path, help="file of JSON lines to add the results to")
    options = parser.parse_args()

    train_set, test_set = load(parser, options).split()
    front_end = FrontEnd()
    train_audio = train_set.seconds()
    normalisation = Normalisation.of(front_end.cepstra(train_audio))

    def fit(build: Callable[[], keras.Model], name: str, stage: int) -> tuple[keras.Model, float, Path]:
        keras.utils.set_random_seed(options.seed)
        folder = options.out / re.sub(r"\W+", "_", f"{name} {options.epochs} epochs seed {options.seed}")
        data = DistortedRecordings(train_set, front_end, normalisation, (options.seed, stage))
        return *trained(build, data, options.epochs, folder), folder

    float_network, float_seconds, float_folder = fit(build_network, "float", 0)
    ternary, seconds, folder = fit(lambda: ternarize(float_network, options.quantizer), options.quantizer, 1)
    summary(ternary)
    seconds += float_seconds
    rows = []
    for variant in (
        Variant("int8", None, "speed", float_network, float_folder / "model", float_seconds),
        Variant(options.quantizer, options.quantizer, "speed", ternary, folder / "model", seconds),
        Variant(f"{options.quantizer}, size", options.quantizer, "size", ternary, folder / "small", seconds),
    ):
        config = {
            "network": "ds_cnn",
            "quantizer": variant.quantizer,
            "optimize": variant.optimize,
            "float_epochs": options.epochs,
            "ternary_epochs": options.epochs if variant.quantizer else 0,
            "batch": BATCH,
            "learning_rate": LEARNING_RATE,
            "seed": options.seed,
        }
        measured = measure(variant, train_audio, test_set, normalisation, options.board)
        versions = {"backend": keras.backend.backend(), "keras": keras.__version__}
        rows.append(
            {"name": variant.name, **measured, "seconds": round(variant.seconds, 1), **versions, "config": config}
        )

    console = Console(width=None if Console().is_terminal else 160)
    console.print(results_table(rows))
    path = options.results or options.out / "results.jsonl"
    record(path, rows)
    console.print(f"The firmware's C is in {folder / 'model'}; the figures are in {path}.")
    if any(row["recordings_that_differ"] for row in rows):
        raise SystemExit("the C on this machine or on the board differs from the int8 reference or from the training")


if __name__ == "__main__":
    main()
