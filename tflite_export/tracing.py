"""What every step of a model executes."""

from __future__ import annotations

import numpy as np

from tflite_export.cycles import Trace
from tflite_export.elf import Elf
from tflite_export.emulator import run_firmware
from tflite_export.errors import ExportError
from tflite_export.firmware import Firmware
from tflite_export.recorder import Recorder


def trace_firmware(
    firmware: Firmware, sample: np.ndarray, emulator: str | None = None, timeout: float = 600.0
) -> tuple[Trace, ...]:
    """Run one inference and record it, step by step.

    Args:
        firmware: an image that was built with `profiled_steps`.
        sample: int8, shape (1, bytes of all inputs).
        emulator: "qemu", "unicorn", or None for QEMU where it is installed, else Unicorn.
        timeout: how many seconds the run may take.

    Returns:
        A trace a step. The first has what comes before it, too.

    Raises:
        ExportError: as `run_firmware` does; or the model does not call the hook behind every step.
    """
    recorder = Recorder(Elf.read(firmware.elf).symbols["profile_step"] & ~1)
    run_firmware(firmware, sample, emulator, timeout=timeout, recorder=recorder)
    calls = len(recorder.traces) - 1
    if calls != firmware.profiled_steps + 1:
        raise ExportError(
            f"the model calls its hook {calls - 1} times, expected {firmware.profiled_steps}: export the model again"
        )
    return tuple(recorder.traces[1:-1])
