"""Running a firmware on an emulated board and judging how it ended."""

from __future__ import annotations

import importlib.util
import re
import shutil
from dataclasses import dataclass

import numpy as np

from tflite_export.boards import Board
from tflite_export.emulator_qemu import run_qemu
from tflite_export.emulator_run import EmulatorRun, Progress
from tflite_export.errors import ExportError
from tflite_export.firmware import Firmware
from tflite_export.recorder import Recorder

EMULATORS = ("qemu", "unicorn")

_COMPLAINT_LINES = 3  # QEMU ends with a dump of all registers
_MODEL_STATUS = re.compile(r"^model status: (\d+)$", re.MULTILINE)


@dataclass(frozen=True, eq=False)
class EmulationResult:
    """What a firmware computed.

    Attributes:
        outputs: int8, shape (samples, bytes of all outputs).
        instructions: Executed by the first inference, from the entry of the firmware's call to its return. Exact,
            and the same under both emulators. They are not clock cycles.
        emulator: `"qemu"` or `"unicorn"`.
    """

    outputs: np.ndarray
    instructions: int
    emulator: str


def find_emulator(board: Board, emulator: str | None = None) -> str:
    """Choose an emulator for a board.

    Args:
        board: The board.
        emulator: `"qemu"`, `"unicorn"`, or None for the first of the two that can do it.

    Returns:
        Its name.

    Raises:
        ExportError: `emulator` is not one of these, is not installed, or does not emulate the board's core.
    """
    if emulator not in (None, *EMULATORS):
        raise ExportError(f"unknown emulator {emulator!r}: choose one of {', '.join(EMULATORS)}")
    obstacles = {"qemu": _qemu_obstacle(board), "unicorn": _unicorn_obstacle(board)}
    candidates = EMULATORS if emulator is None else (emulator,)
    for name in candidates:
        if not obstacles[name]:
            return name
    raise ExportError(f"no emulator for {board.name}: {'; '.join(obstacles[name] for name in candidates)}")


def _qemu_obstacle(board: Board) -> str:
    return "" if shutil.which(board.qemu) else f"install {board.qemu}"


def _unicorn_obstacle(board: Board) -> str:
    if board.core.unicorn is None:
        return f"Unicorn does not emulate the {board.core.name}"
    return "" if importlib.util.find_spec("unicorn") else "`pip install unicorn`"


def run_firmware(
    firmware: Firmware,
    samples: np.ndarray,
    emulator: str | None = None,
    progress: Progress | None = None,
    timeout: float = 60.0,
    recorder: Recorder | None = None,
) -> EmulationResult:
    """Stream samples through a firmware.

    Args:
        firmware: The image, from `build_firmware`.
        samples: int8, shape (samples, bytes of all inputs): the inputs of a sample one after another.
        emulator: `"qemu"`, `"unicorn"`, or None for QEMU where it is installed, else Unicorn.
        progress: Called with the number of samples done, now and then.
        timeout: How many seconds a sample may take.
        recorder: Gets the basic blocks of the first inference.

    Returns:
        The outputs and the number of instructions.

    Raises:
        ExportError: The samples do not fit the model, the emulator is missing or cannot emulate the core, the model
            returned an error, the firmware faulted, a sample took too long, or results are missing.
    """
    _check_samples(firmware, samples)
    chosen = find_emulator(firmware.board, emulator)
    stream = firmware.interface.to_board(samples).tobytes()
    if chosen == "qemu":
        run = run_qemu(firmware, stream, timeout, progress, recorder)
    else:
        from tflite_export.emulator_unicorn import run_unicorn  # Unicorn need not be installed

        run = run_unicorn(firmware, stream, timeout, progress, recorder)
    return _judge(firmware, run, len(samples), chosen)


def _check_samples(firmware: Firmware, samples: np.ndarray) -> None:
    width = firmware.interface.sample_bytes
    if samples.dtype != np.int8 or samples.ndim != 2 or samples.shape[1] != width:
        raise ExportError(
            f"the samples for {firmware.interface.name!r} are {samples.dtype} of the shape {samples.shape}, "
            f"expected int8 of the shape (samples, {width})"
        )
    if len(samples) == 0:
        raise ExportError(f"there are no samples for {firmware.interface.name!r}: give at least one")


def _judge(firmware: Firmware, run: EmulatorRun, samples: int, emulator: str) -> EmulationResult:
    board, width = firmware.board.name, firmware.interface.result_bytes
    done = len(run.output) // width
    if status := _MODEL_STATUS.search(run.console):
        raise ExportError(f"the model returned status {status[1]} for sample {done} on {board} (tern_status, tern.h)")
    if run.status != 0:
        raise ExportError(
            f"the firmware failed at sample {done} on {board} with exit status {run.status}: {_complaint(run.console)}"
        )
    if len(run.output) != samples * width or run.instructions is None:
        raise ExportError(
            f"the firmware on {board} wrote {len(run.output)} bytes, expected {samples * width}: "
            f"{samples} samples of {width}"
        )
    outputs = np.frombuffer(run.output, dtype=np.int8).reshape(samples, width)
    return EmulationResult(firmware.interface.from_board(outputs), run.instructions, emulator)


def _complaint(console: str) -> str:
    lines = [line for line in console.splitlines() if line and not line.startswith("instructions: ")]
    return "; ".join(lines[:_COMPLAINT_LINES]) or "no message"
