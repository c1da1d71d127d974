"""From sound to word in C: features and network, on this machine and on an emulated board."""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spoken_digits.front_end import COEFFICIENTS, FEATURE_SCALE, SOURCES, Normalisation, frames_in
from spoken_digits.mfcc_tables import FIRMWARE
from spoken_digits.recordings import WINDOW_SAMPLES, WORDS
from tflite_export import ExportError, ExportReport
from tflite_export.boards import get_board
from tflite_export.cycles import Decoder, estimate_cycles
from tflite_export.emulator import run_firmware
from tflite_export.files import write_files
from tflite_export.firmware import Firmware, ModelInterface, build_firmware
from tflite_export.host import aligned_bytes, c_sources, include_dirs
from tflite_export.running import model_interface
from tflite_export.toolchain import host_compiler
from tflite_export.toolchain import run as run_tool
from tflite_export.tracing import trace_firmware

NAME = "spoken_digits"  # of the network, in spotter.c
RESULT = np.dtype(
    [
        ("features", np.int8, (frames_in(WINDOW_SAMPLES), COEFFICIENTS)),
        ("scores", np.int8, len(WORDS)),
        ("word", np.int8),
    ]
)
_FILES = (*SOURCES, *(FIRMWARE / name for name in ("mfcc.h", "mfcc_tables.h", "real_fft.h", "spotter.c", "spotter.h")))


@dataclass(frozen=True)
class Cost:
    """Of a part of the program, for one second of sound.

    Attributes:
        instructions: exact, under emulation.
        cycles: the estimate of `tflite_export.cycles`.
        flash_bytes: code and constants.
    """

    instructions: int
    cycles: int
    flash_bytes: int


@dataclass(frozen=True, eq=False)
class BoardResults:
    """What a board computed from sound.

    Attributes:
        results: of type `RESULT`, shape (recordings,).
        emulator: "qemu" or "unicorn".
        compiler: "gcc" or "zig".
        instructions: of the first recording.
    """

    results: np.ndarray
    emulator: str
    compiler: str
    instructions: int


class Spotter:
    """The C that takes a second of sound to a word: an exported network with `mfcc.c` and `spotter.c` beside it.

    Args:
        report: of the network's export, under the name `NAME`.
        normalisation: of the features that it was trained with; written into the export's folder with the C.

    Raises:
        ExportError: the network's input is not what the features are, the folder cannot be written, no compiler is
            installed, or it refuses the C.
    """

    def __init__(self, report: ExportReport, normalisation: Normalisation) -> None:
        self.report = report
        (network_input,) = report.inputs
        if (network_input.scale, network_input.zero_point) != (FEATURE_SCALE, 0):
            raise ExportError(
                f"the input of {report.name} has the scale {network_input.scale} and the zero point "
                f"{network_input.zero_point}, the features {FEATURE_SCALE} and 0: build it with build_network"
            )
        written = write_files(
            report.folder,
            {"normalisation.c": normalisation.source(), **{path.name: path.read_bytes() for path in _FILES}},
        )
        self.sources = [*c_sources(report), *(path for path in written if path.suffix == ".c")]
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / "spotter.so"
            includes = [f"-iquote{path}" for path in include_dirs(report)]
            flags = ("-std=c99", "-O2", "-fPIC", "-shared")
            run_tool([*host_compiler(), *flags, *includes, *self.sources, "-o", library])
            self._library = ctypes.CDLL(str(library))  # stays mapped when the file is gone
        arena_bytes = ctypes.c_uint32.in_dll(self._library, "spotter_arena_bytes").value
        self.interface = ModelInterface("spotter", (2 * WINDOW_SAMPLES,), (RESULT.itemsize,), arena_bytes)

    def on_the_host(self, audio: np.ndarray) -> np.ndarray:
        """Run it on this machine.

        Args:
            audio: int16, shape (recordings, 8000).

        Returns:
            `RESULT`, shape (recordings,).

        Raises:
            ExportError: the network returns an error.
        """
        audio = np.ascontiguousarray(audio, np.int16)
        results = np.zeros(len(audio), RESULT)
        arena = aligned_bytes(self.interface.arena_bytes)
        for number, samples in enumerate(audio):
            addresses = (samples.ctypes.data, results[number:].ctypes.data, arena.ctypes.data)
            status = self._library.spotter_invoke(*map(ctypes.c_void_p, addresses))
            if status != 0:
                raise ExportError(f"spotter_invoke returned the tern_status {status} for recording {number}")
        return results

    def on_board(
        self,
        audio: np.ndarray,
        board: str,
        compiler: str | None = None,
        emulator: str | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> BoardResults:
        """Run it as the firmware of an emulated board.

        Args:
            audio: int16, shape (recordings, 8000).
            board: a name of `tflite_export.boards.BOARDS`.
            compiler: "gcc", "zig", or None for what is installed.
            emulator: "qemu", "unicorn", or None for what is installed.
            progress: called with the number of recordings done.

        Raises:
            ExportError: the image does not fit the board, a tool is missing, or the network returns an error.
        """
        with tempfile.TemporaryDirectory() as folder:
            firmware = self._build(board, Path(folder), compiler)
            run = run_firmware(firmware, _bytes(audio), emulator, progress)
        return BoardResults(run.outputs.view(RESULT)[:, 0], run.emulator, firmware.compiler, run.instructions)

    def costs(
        self, audio: np.ndarray, board: str, compiler: str | None = None, emulator: str | None = None
    ) -> tuple[Cost, Cost]:
        """What the features and what the network take on an emulated board, for one recording.

        Args:
            audio: int16, shape (1, 8000).
            board: a name of `tflite_export.boards.BOARDS`.
            compiler: "gcc", "zig", or None for what is installed.
            emulator: "qemu", "unicorn", or None for what is installed.

        Raises:
            ExportError: as `on_board` does.
        """
        target = get_board(board)
        steps = 1 + len(self.report.layers)
        with tempfile.TemporaryDirectory() as folder:
            whole = self._build(board, Path(folder), compiler).model_sizes
            network = self._network(board, Path(folder), compiler).model_sizes
            firmware = self._build(board, Path(folder), compiler, steps)
            decoder = Decoder.of_image(target.core, firmware.elf)
            traces = trace_firmware(firmware, _bytes(audio), emulator)
        counts = [estimate_cycles(target.core, trace, decoder) for trace in traces]
        instructions, cycles = (sum(column) for column in zip(*counts[1:], strict=True))
        flash = network.text + network.rodata
        return Cost(*counts[0], whole.text + whole.rodata - flash), Cost(instructions, cycles, flash)

    def _build(self, board: str, folder: Path, compiler: str | None, profiled_steps: int = 0) -> Firmware:
        return build_firmware(
            self.sources,
            include_dirs(self.report),
            get_board(board),
            self.interface,
            folder / "spotter.elf",
            compiler,
            profiled_steps=profiled_steps,
        )

    def _network(self, board: str, folder: Path, compiler: str | None) -> Firmware:
        interface = model_interface(self.report)
        sources, includes = c_sources(self.report), include_dirs(self.report)
        return build_firmware(sources, includes, get_board(board), interface, folder / "network.elf", compiler)


def _bytes(audio: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(audio, "<i2").view(np.int8)
