"""What exporting costs, and what comes out: time, sizes a target, the arena beside its bound and TFLM's.

    python benchmarks/export.py --models path/to/tflite/files

Without a folder of `.tflite` files it builds networks of `tern_keras.applications` with random ternary weights.

Times are those of `export` in a running process, the `.tflite` at hand, with and without the compiler that measures the
code for one core. Bytes of C are weights, constants and code for that core. TFLM's arena is `arena_used_bytes()` on a
Cortex-M4, TensorFlow Lite Micro 90b983c2b with CMSIS-NN 4ab83cc3.
"""

import argparse
import json
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tflite_export import ExportError, export
from tflite_export.pipeline import packed_file
from tflite_export.report import ExportReport
from tflite_export.targets import PACK_TARGETS

PROJECT = Path(__file__).resolve().parent.parent
RESULTS = PROJECT / "benchmarks" / "results" / "export.json"
CORE = "cortex-m4"
TFLM_ARENA = {
    "ad01_int8": 2_580,
    "ic_pretrainedResnet_quant": 54_996,
    "kws_ref_model": 22_820,
    "person_detect": 82_308,
    "str_ww_ref_model": 16_596,
    "vww_96_int8": 100_708,
}
APPLICATIONS = ("autoencoder", "ds_cnn", "resnet8")


def models_of(folder: Path) -> dict[str, bytes]:
    """The `.tflite` files below a folder, by their names."""
    return {path.stem: path.read_bytes() for path in sorted(folder.rglob("*.tflite"))}


def applications() -> dict[str, bytes]:
    """Networks with random weights, ternary but for the first and the last layer."""
    import keras
    import numpy as np

    from tern_keras import applications, finalize, ternarize
    from tflite_export import convert

    found = {}
    for name in APPLICATIONS:
        keras.utils.set_random_seed(0)
        model = finalize(ternarize(getattr(applications, name)(), "twn"))
        samples = np.random.default_rng(0).normal(size=(32, *model.input_shape[1:])).astype("float32")
        found[name] = convert(model, samples)
    return found


def measure(name: str, tflite: bytes) -> dict[str, Any]:
    """A row: sizes in bytes, times in seconds; `problem` where the C cannot be made."""
    row: dict[str, Any] = {"model": name, "tflite_bytes": len(tflite), "targets": packed_sizes(tflite)}
    with tempfile.TemporaryDirectory() as folder:
        try:
            start = time.perf_counter()
            export(tflite, folder, targets="c", cores=())
            planned = time.perf_counter()
            report = export(tflite, folder, targets="c", cores=CORE)
            row |= {"seconds": planned - start, "seconds_with_core": time.perf_counter() - planned}
        except ExportError as error:
            return {**row, "problem": " ".join(str(error).split())}
    return {**row, **sizes(report), "tflm_arena_bytes": TFLM_ARENA.get(name)}


def packed_sizes(tflite: bytes) -> dict[str, int | None]:
    """Bytes of the packed file a target; None where a model cannot be packed for it."""
    found: dict[str, int | None] = {}
    for target in PACK_TARGETS:
        with tempfile.TemporaryDirectory() as folder:
            try:
                export(tflite, folder, targets=target, cores=())
                found[target] = (Path(folder) / packed_file("model", target)).stat().st_size
            except ExportError:
                found[target] = None
    return found


def sizes(report: ExportReport) -> dict[str, Any]:
    """The C's part of a row."""
    core = next(iter(report.cores), None)
    return {
        "weight_bytes": report.weight_bytes,
        "entropy_bytes": report.entropy_bytes,
        "constant_bytes": report.constant_bytes,
        "c_flash_bytes": None if core is None else core.flash_bytes,
        "stack_bytes": None if core is None else core.stack_bytes,
        "arena_bytes": report.arena_bytes,
        "arena_lower_bound": report.arena_lower_bound,
        "macs": report.macs,
    }


def table(rows: list[dict[str, Any]]) -> Table:
    """The rows for the terminal."""
    shown = Table(title=f"Exports; C compiled for the {CORE}", title_justify="left")
    shown.add_column("model")
    columns = ("seconds", ".tflite", *PACK_TARGETS, "C flash", "weights", "entropy", "arena", "bound", "TFLM arena")
    for column in columns:
        shown.add_column(column, justify="right")
    for row in rows:
        packed = [_number(row["targets"][target]) for target in PACK_TARGETS]
        if "problem" in row:
            shown.add_row(row["model"], "", _number(row["tflite_bytes"]), *packed, "no C")
            continue
        keys = (
            "c_flash_bytes",
            "weight_bytes",
            "entropy_bytes",
            "arena_bytes",
            "arena_lower_bound",
            "tflm_arena_bytes",
        )
        numbers = [_number(row[key]) for key in keys]
        seconds = f"{row['seconds_with_core']:.1f}"
        shown.add_row(row["model"], seconds, _number(row["tflite_bytes"]), *packed, *numbers)
    return shown


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, help="folder of int8 .tflite files")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    models = models_of(arguments.models) if arguments.models else applications()
    if not models:
        raise SystemExit(f"{arguments.models} holds no .tflite file")
    rows = [measure(name, tflite) for name, tflite in models.items()]
    console = Console(width=150)
    console.print(table(rows))
    for row in rows:
        if "problem" in row:
            console.print(f"{row['model']}: {row['problem']}", markup=False)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    machine = {"machine": platform.machine(), "python": platform.python_version()}
    arguments.out.write_text(json.dumps({**machine, "core": CORE, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
