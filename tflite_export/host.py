"""The generated C on this machine: compiled to a shared library and called through ctypes.

It is the very source that goes onto the chip, so what it computes here is what the chip computes.
"""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tflite_export.arena import ARENA_ALIGNMENT
from tflite_export.errors import ExportError
from tflite_export.pipeline import RUNTIME_FOLDER
from tflite_export.report import ExportReport
from tflite_export.toolchain import host_toolchain


def c_sources(report: ExportReport) -> list[Path]:
    """The C files of an export: the model's and the kernel library's.

    Raises:
        ExportError: if the export has no C, or files of it are gone.
    """
    if "c" not in report.targets:
        raise ExportError(f"{report.folder} was exported without C: export it with the target c")
    sources = [
        report.folder / file for file in report.files if file.endswith(".c") and file != f"{report.name}_tflite.c"
    ]
    missing = [str(path) for path in sources if not path.is_file()]
    if missing:
        raise ExportError(f"files of the export are missing: {', '.join(missing)}; export the model again")
    return sources


def include_dirs(report: ExportReport) -> list[Path]:
    """Where the headers of an export are."""
    return [report.folder, report.folder / RUNTIME_FOLDER]


class HostModel:
    """A model's C source, compiled for this machine.

    Args:
        report: of an export with the target "c".

    Raises:
        ExportError: if no compiler is installed, or it refuses the source.
    """

    def __init__(self, report: ExportReport) -> None:
        self._report = report
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / "model.so"
            compiler = host_toolchain()
            compiler.link_shared(compiler.compile_all(c_sources(report), Path(folder), include_dirs(report)), library)
            loaded = ctypes.CDLL(str(library))  # stays mapped when the file is gone
        self._invoke = getattr(loaded, f"{report.name}_invoke")
        self._invoke.argtypes = [ctypes.c_void_p] * 3
        self._invoke.restype = ctypes.c_int

    def __call__(self, samples: np.ndarray, progress: Callable[[int], None] | None = None) -> np.ndarray:
        """Run samples.

        Args:
            samples: int8, shape (samples, bytes): a row is all inputs of a sample, one after the other.
            progress: called with the number of samples done.

        Returns:
            int8, shape (samples, bytes): a row is all outputs, one after the other.

        Raises:
            ExportError: if the model returns an error.
        """
        samples = np.ascontiguousarray(samples, np.int8)
        outputs = np.zeros((len(samples), sum(tensor.nbytes for tensor in self._report.outputs)), np.int8)
        arena = aligned_bytes(self._report.arena_bytes)
        for index in range(len(samples)):
            status = self._invoke(
                _pointers(samples[index], [tensor.nbytes for tensor in self._report.inputs], self._several),
                _pointers(outputs[index], [tensor.nbytes for tensor in self._report.outputs], self._several),
                arena.ctypes.data,
            )
            if status != 0:
                raise ExportError(f"{self._report.name}_invoke returned the tern_status {status} for sample {index}")
            if progress is not None:
                progress(index + 1)
        return outputs

    @property
    def _several(self) -> bool:
        return len(self._report.inputs) > 1 or len(self._report.outputs) > 1


def aligned_bytes(count: int) -> np.ndarray:
    """An uninitialised buffer of `count` bytes with the alignment that an arena needs."""
    buffer = np.empty(count + ARENA_ALIGNMENT, np.uint8)
    start = -buffer.ctypes.data % ARENA_ALIGNMENT
    return buffer[start : start + count]


def _pointers(row: np.ndarray, sizes: list[int], several: bool) -> object:
    """What the generated function takes: the row itself, or an array of pointers into it."""
    if not several:
        return row.ctypes.data
    offsets = np.cumsum([0, *sizes[:-1]])
    return (ctypes.c_void_p * len(sizes))(*(row.ctypes.data + int(offset) for offset in offsets))
