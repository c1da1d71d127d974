"""Instructions and estimated cycles of every layer: one inference on an emulated board, traced step by step."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import numpy as np

from tflite_export.boards import get_board
from tflite_export.core_sizes import OPTIMIZE
from tflite_export.cycles import Decoder, estimate_cycles
from tflite_export.emulator import run_firmware
from tflite_export.errors import ExportError
from tflite_export.files import write_files
from tflite_export.firmware import build_firmware
from tflite_export.host import c_sources, include_dirs
from tflite_export.report import PAGE_FILE, REPORT_FILE, Benchmark, ExportReport
from tflite_export.running import model_interface
from tflite_export.toolchain import find_toolchain
from tflite_export.tracing import trace_firmware


def bench(
    report: ExportReport,
    board: str = "mps2-an386",
    compiler: str | None = None,
    emulator: str | None = None,
) -> ExportReport:
    """Count the instructions of every layer on an emulated board, estimate its cycles, and add both to the report.

    The input is noise, the same for every call. A few instructions depend on the input, such as those of a softmax.
    What the estimate of the cycles rests on is in ``tflite_export.cycles``.

    Args:
        report: of an export with the target "c".
        board: a name of `tflite_export.boards.BOARDS`.
        compiler: "gcc", "zig", or None: GCC where it is installed for the core, else zig.
        emulator: "qemu", "unicorn", or None: QEMU where it is installed, else Unicorn.

    Returns:
        The report with a `Benchmark` for the board, in place of an earlier one; `report.json` and `report.html` are
        written again.

    Raises:
        ExportError: if the image does not fit the board, a tool is missing, or the report cannot be written.

    Example:
        >>> import keras, numpy as np, tempfile
        >>> from tflite_export import bench, export
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        >>> samples = np.random.default_rng(0).normal(size=(100, 4)).astype("float32")
        >>> report = bench(export(model, tempfile.mkdtemp(), calibration=samples), board="mps2-an385")
        >>> found = report.benchmarks[0]
        >>> found.core, len(found.layers), found.cycles > found.instructions
        ('cortex-m3', 1, True)
    """
    sources = c_sources(report)
    if not report.layers:
        raise ExportError(f"the C of {report.folder} has no layers: there is nothing to measure")
    target = get_board(board)
    interface = model_interface(report)
    sample = _noise(report)
    steps = len(report.layers)
    includes = include_dirs(report)
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "plain.elf"
        plain = build_firmware(sources, includes, target, interface, image, compiler, OPTIMIZE)
        whole = run_firmware(plain, sample, emulator)
        image = Path(folder) / "profile.elf"
        profiling = build_firmware(sources, includes, target, interface, image, compiler, OPTIMIZE, steps)
        traces = trace_firmware(profiling, sample, emulator)
        decoder = Decoder.of_image(target.core, profiling.elf)
        layers = [estimate_cycles(target.core, trace, decoder) for trace in traces]
    found = Benchmark(
        board=board,
        core=target.core.name,
        compiler=find_toolchain(target.core, compiler).version(),
        optimize=OPTIMIZE,
        emulator=whole.emulator,
        instructions=whole.instructions,
        layers=tuple(instructions for instructions, _ in layers),
        cycles=sum(cycles for _, cycles in layers),
        layer_cycles=tuple(cycles for _, cycles in layers),
    )
    others = (benchmark for benchmark in report.benchmarks if benchmark.board != board)
    report = dataclasses.replace(report, benchmarks=(*others, found))
    write_files(report.folder, {REPORT_FILE: report.json(), PAGE_FILE: report.html()})
    return report


def _noise(report: ExportReport) -> np.ndarray:
    """A sample: integers of any value; floats of a normal distribution."""
    rng = np.random.default_rng(0)
    parts = [
        rng.normal(size=tensor.size).astype(np.float32).view(np.int8)
        if tensor.dtype == "float32"
        else rng.integers(-128, 128, tensor.nbytes).astype(np.int8)
        for tensor in report.inputs
    ]
    return np.concatenate(parts)[None]
