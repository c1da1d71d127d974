"""Running a firmware under QEMU.

With `-icount shift=0` every instruction takes one nanosecond of the emulated time, so that the firmware can count
its instructions with the board's timer. https://www.qemu.org/docs/master/devel/tcg-icount.html
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from threading import Thread

from tflite_export.elf import Elf
from tflite_export.emulator_run import EmulatorRun, Progress, timeout_message
from tflite_export.errors import ExportError
from tflite_export.firmware import Firmware
from tflite_export.recorder import Recorder

_POLL_SECONDS = 0.05
_END = "end of the log\n"
_INSTRUCTIONS = re.compile(r"^instructions: (\d+)$", re.MULTILINE)
# The log: an instruction of a block that is translated, and a block that is entered.
_TRANSLATED = re.compile(r"0x([0-9a-f]{8}):  ((?:[0-9a-f]{4} ?|[0-9a-f]{8})+)")
# One that was entered in vain: something asked for attention.
_STOPPED = "Stopped execution of TB chain before"
_ENTERED = re.compile(r"Trace 0: (0x[0-9a-f]+) \[[0-9a-f]+/([0-9a-f]+)/")


def run_qemu(
    firmware: Firmware, samples: bytes, timeout: float, progress: Progress | None, recorder: Recorder | None = None
) -> EmulatorRun:
    """Run a firmware under the QEMU that is installed.

    Args:
        firmware: The image.
        samples: The input, sample after sample.
        timeout: How many seconds a sample may take.
        progress: Called with the number of samples done, as it grows.
        recorder: Gets the basic blocks of the first inference.

    Returns:
        How it ended.

    Raises:
        ExportError: A sample took longer than `timeout`.
    """
    with tempfile.TemporaryDirectory(prefix="tern-qemu-") as name:
        folder = Path(name)
        output = folder / "output.bin"
        (folder / "input.bin").write_bytes(samples)
        with (folder / "console.txt").open("w+b") as console, _recorded(firmware, folder, recorder) as options:
            process = subprocess.Popen(
                [*_command(firmware), *options],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
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
    return EmulatorRun(status, said, results, int(counted[1]) if counted else None)


@contextmanager
def _recorded(firmware: Firmware, folder: Path, recorder: Recorder | None) -> Iterator[Sequence[str]]:
    """Follow QEMU's log while it runs. Gives the options that make it write one."""
    if recorder is None:
        yield ()
        return
    log = folder / "log"
    os.mkfifo(log)
    # opened for writing here, too: reading neither waits for QEMU to start nor misses its end
    with os.fdopen(os.open(log, os.O_RDWR), "r", errors="replace") as keep_open:
        follower = Thread(
            target=_follow, args=(log, Elf.read(firmware.elf).symbols["tern_model_invoke"] & ~1, recorder)
        )
        follower.start()
        try:
            yield ("-d", "exec,nochain,in_asm", "-D", str(log))
        finally:
            os.write(keep_open.fileno(), _END.encode())
            follower.join()


def _follow(log: Path, entry: int, recorder: Recorder) -> None:
    """Hand the blocks of the first call of a function to a recorder."""
    return_to: int | None = None
    end = 0  # of the block before
    with log.open(errors="replace") as file:
        lines = takewhile(lambda line: line != _END, file)
        for start, following in _blocks(lines):
            if return_to is None and start == entry:
                return_to = end
            if start == return_to:
                recorder.finish()
                break
            if return_to is not None:
                recorder.block(start, following)
            end = following
        for _ in lines:
            pass


def _blocks(lines: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Start and end of every block that the log says was executed."""
    ends: dict[str, int] = {}
    translated = 0
    entered: tuple[int, int] | None = None
    for line in lines:
        if found := _TRANSLATED.match(line):
            translated = int(found[1], 16) + len(found[2].replace(" ", "")) // 2
        elif line.startswith(_STOPPED):
            entered = None
        elif found := _ENTERED.match(line):
            if entered is not None:
                yield entered
            if translated:
                ends[found[1]], translated = translated, 0
            entered = int(found[2], 16), ends[found[1]]


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
