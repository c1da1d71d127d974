"""Running a firmware under QEMU.

With `-icount shift=0` every instruction takes one nanosecond of the emulated time, so that the firmware can count
its instructions with the board's timer. https://www.qemu.org/docs/master/devel/tcg-icount.html
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from pathlib import Path

from tflite_export.emulator_run import EmulatorRun, Progress, timeout_message
from tflite_export.errors import ExportError
from tflite_export.firmware import Firmware

_POLL_SECONDS = 0.05
_INSTRUCTIONS = re.compile(r"^instructions: (\d+)$", re.MULTILINE)
_READING = re.compile(r"^reading: (\d+)$", re.MULTILINE)


def run_qemu(firmware: Firmware, samples: bytes, timeout: float, progress: Progress | None) -> EmulatorRun:
    """Run a firmware under the QEMU that is installed.

    Args:
        firmware: The image.
        samples: The input, sample after sample.
        timeout: How many seconds a sample may take.
        progress: Called with the number of samples done, as it grows.

    Returns:
        How it ended.

    Raises:
        ExportError: A sample took longer than `timeout`.
    """
    with tempfile.TemporaryDirectory(prefix="tern-qemu-") as name:
        folder = Path(name)
        output = folder / "output.bin"
        (folder / "input.bin").write_bytes(samples)
        with (folder / "console.txt").open("w+b") as console:
            process = subprocess.Popen(
                _command(firmware), cwd=folder, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT
            )
            try:
                status = _watch(process, firmware, output, timeout, progress)
            finally:
                process.kill()
                process.wait()
            console.seek(0)
            said = console.read().decode(errors="replace")
        results = output.read_bytes() if output.exists() else b""
    counted = _INSTRUCTIONS.search(said)
    readings = tuple(map(int, _READING.findall(said)))
    return EmulatorRun(status, said, results, int(counted[1]) if counted else None, readings)


def _command(firmware: Firmware) -> list[str]:
    board = firmware.board
    devices = ["-nographic", "-monitor", "none", "-serial", "none"]
    if board.core.architecture == "riscv":
        devices += ["-bios", "none"]
    return [
        *(board.qemu, "-M", board.machine, *devices),
        *("-icount", "shift=0", "-semihosting-config", "enable=on,target=native"),
        *("-kernel", str(firmware.elf.resolve())),
    ]


def _watch(
    process: subprocess.Popen[bytes], firmware: Firmware, output: Path, timeout: float, progress: Progress | None
) -> int:
    """Wait for the end; the growing output file tells how far it is."""
    done = 0
    deadline = time.monotonic() + timeout
    while True:
        try:
            status = process.wait(_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            status = None
        written = output.stat().st_size // firmware.interface.result_bytes if output.exists() else 0
        if written > done:
            done = written
            deadline = time.monotonic() + timeout
            if progress is not None:
                progress(done)
        if status is not None:
            return status
        if time.monotonic() > deadline:
            raise ExportError(timeout_message("QEMU", firmware.board.name, done, timeout))
