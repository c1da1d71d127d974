"""The generated C on an emulated board: a firmware image that real samples are streamed through."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from tflite_export.boards import get_board
from tflite_export.elf import SectionSizes
from tflite_export.emulator import run_firmware
from tflite_export.errors import ExportError
from tflite_export.firmware import ModelInterface, build_firmware
from tflite_export.host import c_sources, include_dirs
from tflite_export.report import ExportReport
from tflite_export.verification import (
    accuracy,
    check_labels,
    count_different,
    quantize_inputs,
    real_outputs,
    reference_outputs,
)


@dataclass(frozen=True, eq=False)
class BoardRun:
    """What a board computed.

    Attributes:
        report: of the export that ran.
        board: its name.
        emulator: "qemu" or "unicorn".
        compiler: "gcc" or "zig".
        outputs: int8, shape (samples, bytes of all outputs).
        different: samples with an output that is not the int8 reference's, bit for bit.
        accuracy: the fraction of samples whose largest output is their label; None without labels.
        instructions: executed for the first sample. Emulated, not measured on hardware.
        sizes: flash of the model with the kernels that it uses, without startup and input/output.
    """

    report: ExportReport
    board: str
    emulator: str
    compiler: str
    outputs: np.ndarray
    different: int
    accuracy: float | None
    instructions: int
    sizes: SectionSizes

    def real_outputs(self) -> list[np.ndarray]:
        """The outputs as real numbers, float32, one array of shape (samples, *output shape) an output."""
        return real_outputs(self.report, self.outputs)

    def save(self, path: Path) -> None:
        """Write the outputs: `q` as the bytes of all of them, `y0`, `y1`, ... as real numbers.

        Raises:
            ExportError: if the file cannot be written.
        """
        arrays: dict[str, Any] = {f"y{i}": values for i, values in enumerate(self.real_outputs())}
        try:
            with path.open("wb") as file:  # savez would add a suffix to a path
                np.savez(file, q=self.outputs, **arrays)
        except OSError as error:
            raise ExportError(f"cannot write {path}: {error.strerror}") from error

    def table(self) -> Table:
        """The outcome as a table for the terminal."""
        table = Table(title=f"{self.report.name} on {self.board}", title_justify="left", show_header=False)
        table.add_row("samples", f"{len(self.outputs):,}")
        table.add_row("samples that differ from the int8 reference", f"{self.different:,}")
        if self.accuracy is not None:
            table.add_row("accuracy", f"{self.accuracy:.2%}")
        table.add_row("instructions an inference (emulated)", f"{self.instructions:,}")
        table.add_row("code bytes", f"{self.sizes.text:,}")
        table.add_row("weights and other constants, bytes", f"{self.sizes.rodata:,}")
        table.add_row("arena bytes", f"{self.report.arena_bytes:,}")
        table.add_row("emulator, compiler", f"{self.emulator}, {self.compiler}")
        return table


def run(
    report: ExportReport,
    x: np.ndarray | Sequence[np.ndarray],
    y: np.ndarray | None = None,
    board: str = "mps2-an386",
    compiler: str | None = None,
    emulator: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> BoardRun:
    """Build firmware around the generated C and stream samples through it on an emulated board.

    Args:
        report: of an export with the target "c".
        x: real-valued samples, scaled as in training, shape (samples, *input shape); a list for several inputs.
        y: labels, integers of shape (samples,), or None.
        board: a name of `tflite_export.boards.BOARDS`.
        compiler: "gcc", "zig", or None: GCC where it is installed for the core, else zig.
        emulator: "qemu", "unicorn", or None: QEMU where it is installed, else Unicorn.
        progress: called with the number of samples done.

    Returns:
        Outputs, differences from the int8 reference, instructions and sizes.

    Raises:
        ExportError: if the data does not fit the model, the image does not fit the board, or a tool is missing.

    Example:
        >>> import keras, numpy as np, tempfile
        >>> from tflite_export import export, run
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        >>> samples = np.random.default_rng(0).normal(size=(100, 4)).astype("float32")
        >>> report = export(model, tempfile.mkdtemp(), calibration=samples)
        >>> run(report, samples[:2], board="mps2-an385").different
        0
    """
    samples = quantize_inputs(report, x)
    check_labels(report, y, len(samples))
    interface = model_interface(report)
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / f"{report.name}.elf"
        firmware = build_firmware(c_sources(report), include_dirs(report), get_board(board), interface, image, compiler)
        result = run_firmware(firmware, samples, emulator, progress)
    return BoardRun(
        report=report,
        board=board,
        emulator=result.emulator,
        compiler=firmware.compiler,
        outputs=result.outputs,
        different=count_different(result.outputs, reference_outputs(report, samples)),
        accuracy=accuracy(report, result.outputs, y),
        instructions=result.instructions,
        sizes=firmware.model_sizes,
    )


def model_interface(report: ExportReport) -> ModelInterface:
    """How the generated C of an export is called."""
    return ModelInterface(
        report.name,
        tuple(tensor.nbytes for tensor in report.inputs),
        tuple(tensor.nbytes for tensor in report.outputs),
        report.arena_bytes,
    )
