"""The command `tern-keras`: export, inspect, verify, run, bench, report."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tflite_export.boards import BOARDS, CORES, DEFAULT_CORE
from tflite_export.errors import ExportError
from tflite_export.inspection import inspect
from tflite_export.lowering import OPTIMIZE
from tflite_export.pipeline import DEFAULT_TARGETS, TARGETS, export
from tflite_export.report import ExportReport, Reserve
from tflite_export.report.terminal import benchmark_table, overview
from tflite_export.version import version


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: without the program's name; None: the process's own.

    Returns:
        0, or 1 after an error that was printed in one message, or where outputs differ.
    """
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except ExportError as error:
        print(f"tern-keras: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tern-keras", description="Keras models with ternary weights on microcontrollers, bit for bit."
    )
    parser.add_argument("--version", action="version", version=f"tern-keras {version()}")
    commands = parser.add_subparsers(required=True, metavar="command")

    sub = commands.add_parser("export", help="a model to .tflite, a C array and C source")
    sub.add_argument("model", type=Path, help=".keras, .h5 or int8 .tflite file")
    sub.add_argument("out_dir", type=Path, help="folder for the artefacts")
    sub.add_argument("--calibration", type=Path, help="samples for a Keras model: .npz with x, or .npy")
    sub.add_argument("--name", default="model", help="prefix of files and C names (default: model)")
    sub.add_argument("--targets", nargs="+", default=DEFAULT_TARGETS, choices=TARGETS, help="default: int8 c")
    sub.add_argument(
        "--optimize", default="speed", choices=OPTIMIZE, help="fast kernels, or the smallest weights (default: speed)"
    )
    sub.add_argument(
        "--arena-limit", type=int, metavar="BYTES", help="the most that the arena may take: slower kernels where needed"
    )
    sub.add_argument("--refine-levels", action="store_true", help="two integers with the best ratio for TTQ's levels")
    sub.add_argument("--unit-levels", action="store_true", help="-1, 0, 1 for ternary weights, for int4 and int2")
    sub.add_argument("--core", default=DEFAULT_CORE, choices=CORES, help="choose kernels for it (default: cortex-m4)")
    sub.add_argument("--cores", nargs="*", choices=CORES, help="measure code and stack (default: that of --core)")
    sub.set_defaults(command=_export)

    sub = commands.add_parser("inspect", help="the operators, weights and sizes of a .tflite")
    sub.add_argument("model", type=Path, help=".tflite file")
    sub.add_argument("--json", action="store_true", help="all that is known, for programs")
    sub.set_defaults(command=_inspect)

    sub = commands.add_parser("verify", help="compare the artefacts with the int8 reference, bit for bit")
    sub.add_argument("export", type=Path, help="folder of an export")
    sub.add_argument("--data", type=Path, required=True, help=_DATA_HELP)
    sub.set_defaults(command=_verify)

    sub = commands.add_parser("run", help="run the generated C on an emulated board")
    sub.add_argument("export", type=Path, help="folder of an export")
    sub.add_argument("--data", type=Path, required=True, help=_DATA_HELP)
    sub.add_argument("--samples", type=int, help="run the first ones only")
    sub.add_argument("--output", type=Path, help=".npz for the int8 outputs (q) and the real ones (y0, y1, ...)")
    _add_board_options(sub)
    sub.set_defaults(command=_run)

    sub = commands.add_parser("bench", help="count the instructions of every layer on an emulated board")
    sub.add_argument("export", type=Path, help="folder of an export; its report is written again")
    _add_board_options(sub)
    sub.set_defaults(command=_bench)

    sub = commands.add_parser("report", help="print all tables of an export's report")
    sub.add_argument("export", type=Path, help="folder of an export")
    help_text = "bytes that the rest of the firmware takes of a board (default: {})"
    reserve = Reserve()
    sub.add_argument("--reserve-flash", type=int, default=reserve.flash, help=help_text.format(reserve.flash))
    sub.add_argument("--reserve-ram", type=int, default=reserve.ram, help=help_text.format(reserve.ram))
    sub.set_defaults(command=_report)
    return parser


def _add_board_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--board", default="mps2-an386", help=f"{', '.join(BOARDS)} (default: mps2-an386)")
    parser.add_argument("--compiler", choices=("gcc", "zig"), help="default: GCC where installed, else zig")
    parser.add_argument("--emulator", choices=("qemu", "unicorn"), help="default: QEMU where installed, else Unicorn")


_DATA_HELP = ".npz with samples x (x0, x1, ... for several inputs) and perhaps labels y, or .npy"


def load_data(path: Path) -> tuple[np.ndarray | list[np.ndarray], np.ndarray | None]:
    """Samples and labels of a `.npz` or `.npy` file.

    Returns:
        The array `x`, or the list `x0`, `x1`, ...; and `y` or None.

    Raises:
        ExportError: if the file cannot be read, or lacks them.
    """
    try:
        loaded = np.load(path)
        if isinstance(loaded, np.ndarray):
            arrays = {"x": loaded}
        else:
            with loaded:
                arrays = {name: loaded[name] for name in loaded.files}
    except OSError as error:
        raise ExportError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # whatever numpy's parsers of zip files, headers and pickles raise
        raise ExportError(f"{path} is not a .npz or .npy file of plain arrays") from error
    inputs = [arrays["x"]] if "x" in arrays else [arrays[f"x{i}"] for i in range(len(arrays)) if f"x{i}" in arrays]
    if not inputs:
        raise ExportError(f"{path} holds no samples: name the array x (x0, x1, ... for several inputs)")
    for array in (*inputs, *(arrays[name] for name in ("y",) if name in arrays)):
        if array.ndim == 0:
            raise ExportError(f"{path} holds a single number where samples or labels are expected")
    return (inputs[0] if "x" in arrays else inputs), arrays.get("y")


def _export(options: argparse.Namespace) -> int:
    calibration = None if options.calibration is None else load_data(options.calibration)[0]
    model: object = options.model
    if options.model.suffix != ".tflite":
        model = _load_keras(options.model)
    report = export(
        model,
        options.out_dir,
        calibration,
        options.targets,
        options.name,
        optimize=options.optimize,
        arena_limit=options.arena_limit,
        core=options.core,
        cores=options.cores,
        refine_levels=options.refine_levels,
        unit_levels=options.unit_levels,
    )
    _print(report, overview(report))
    print(f"written to {report.folder}: {', '.join(file for file in report.files if '/' not in file)}")
    return 0


def _load_keras(path: Path) -> object:
    if not path.exists():
        raise ExportError(f"cannot read {path}: no such file")
    import keras  # seconds, which the other commands do not need

    import tern_keras  # noqa: F401  registers the layers

    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # whatever zipfile, json, h5py and the layers' constructors raise
        reason = (str(error).splitlines() or [""])[0]
        raise ExportError(f"Keras cannot load {path}: {type(error).__name__}: {reason}") from error


def _inspect(options: argparse.Namespace) -> int:
    found = inspect(options.model)
    if options.json:
        print(found.json(), end="")
        return 0
    _console().print(found.table(str(options.model)))
    for line in found.summary():
        print(line)
    return 0


def _verify(options: argparse.Namespace) -> int:
    from tflite_export.verification import verify

    outcome = verify(ExportReport.load(options.export), *load_data(options.data))
    _console().print(outcome.table())
    return 0 if outcome.ok else 1


def _run(options: argparse.Namespace) -> int:
    from tflite_export.running import run

    report = ExportReport.load(options.export)
    x, y = load_data(options.data)
    if options.samples is not None:
        if options.samples < 1:
            raise ExportError(f"--samples is {options.samples}: give at least 1")
        x = [array[: options.samples] for array in x] if isinstance(x, list) else x[: options.samples]
        y = None if y is None else y[: options.samples]
    if options.output is not None and (options.output.is_dir() or not options.output.parent.is_dir()):
        raise ExportError(f"cannot write {options.output}: it is a folder, or its folder does not exist")
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"{report.name} on {options.board}", total=None)
        result = run(
            report,
            x,
            y,
            board=options.board,
            compiler=options.compiler,
            emulator=options.emulator,
            progress=lambda done: progress.update(task, completed=done),
        )
    _console().print(result.table())
    if options.output is not None:
        result.save(options.output)
    return 0 if result.different == 0 else 1


def _bench(options: argparse.Namespace) -> int:
    from tflite_export.benching import bench

    report = ExportReport.load(options.export)
    report = bench(report, options.board, options.compiler, options.emulator)
    measured = next(found for found in report.benchmarks if found.board == options.board)
    _console().print(benchmark_table(report, measured))
    return 0


def _report(options: argparse.Namespace) -> int:
    report = ExportReport.load(options.export)
    _print(report, report.tables(Reserve(options.reserve_flash, options.reserve_ram)))
    return 0


def _print(report: ExportReport, tables: Sequence[Table]) -> None:
    for table in tables:
        _console().print(table)
    for note in report.notes:
        print(note)


def _console() -> Console:
    # Tables are data: piped into a file they keep their columns.
    return Console(width=None if sys.stdout.isatty() else 140)


if __name__ == "__main__":
    sys.exit(main())
