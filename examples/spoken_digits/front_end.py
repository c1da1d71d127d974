"""The features, computed by the very C that runs on the chip."""

from __future__ import annotations

import ctypes
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spoken_digits.mfcc_tables import FIRMWARE, constants
from tflite_export.toolchain import host_compiler, run

SAMPLE_RATE, FRAME_SAMPLES, HOP_SAMPLES, COEFFICIENTS = (
    constants()[name] for name in ("SAMPLE_RATE", "FRAME_SAMPLES", "HOP_SAMPLES", "COEFFICIENTS")
)
SOURCES = tuple(FIRMWARE / name for name in ("mfcc.c", "mfcc_tables.c", "real_fft.c"))
# A feature of 1 is a standard deviation of its coefficient.
FEATURE_SCALE = 1 / 32
SMALLEST_DEVIATION = 2**7  # of 2^23: with it, gains fit 32 bits


def frames_in(samples: int) -> int:
    """How many whole frames there are."""
    return (samples - FRAME_SAMPLES) // HOP_SAMPLES + 1


@dataclass(frozen=True)
class Normalisation:
    """How cepstra become int8: `mfcc_normalisation`.

    Attributes:
        mean: of each coefficient, in the C's fixed point.
        gain: what the distance from it is multiplied with, times 2^32.
    """

    mean: tuple[int, ...]
    gain: tuple[int, ...]

    @classmethod
    def of(cls, cepstra: np.ndarray) -> Normalisation:
        """That which gives cepstra, int32 of shape (..., coefficients), a mean of 0 and a deviation of 1."""
        values = cepstra.reshape(-1, cepstra.shape[-1]).astype(np.float64)
        gain = 2**32 / (FEATURE_SCALE * np.maximum(values.std(0), SMALLEST_DEVIATION))
        return cls(tuple(values.mean(0).round().astype(int).tolist()), tuple(gain.round().astype(int).tolist()))

    def source(self) -> str:
        """The C file that defines it as `normalisation`."""
        mean, gain = (", ".join(map(str, values)) for values in (self.mean, self.gain))
        return (
            f'#include "mfcc.h"\n\nconst mfcc_normalisation normalisation = {{\n    {{{mean}}},\n    {{{gain}}},\n}};\n'
        )


class FrontEnd:
    """`mfcc.c`, compiled for this machine.

    Raises:
        ExportError: no compiler is installed, or it refuses the source.
    """

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / "mfcc.so"
            run([*host_compiler(), "-std=c99", "-O2", "-fPIC", "-shared", *SOURCES, "-o", library])
            self._library = ctypes.CDLL(str(library))  # stays mapped when the file is gone
        self._scratch = np.empty(1024, np.int64)

    def cepstra(self, audio: np.ndarray) -> np.ndarray:
        """Cepstra before they become int8.

        Args:
            audio: int16, shape (recordings, samples).

        Returns:
            int32, shape (recordings, frames, coefficients), with 23 binary places.
        """
        audio = np.ascontiguousarray(audio, np.int16)
        cepstra = np.empty((len(audio), frames_in(audio.shape[1]), COEFFICIENTS), np.int32)
        for samples, rows in zip(audio, cepstra, strict=True):
            for frame, row in enumerate(rows):
                self._library.mfcc_cepstrum(_at(samples[frame * HOP_SAMPLES :]), _at(row), _at(self._scratch))
        return cepstra

    def features(self, audio: np.ndarray, normalisation: Normalisation) -> np.ndarray:
        """What the network is fed with, in units of `FEATURE_SCALE`.

        Args:
            audio: int16, shape (recordings, samples).
            normalisation: of the training set.

        Returns:
            int8, shape (recordings, frames, coefficients).
        """
        audio = np.ascontiguousarray(audio, np.int16)
        parameters = np.array([normalisation.mean, normalisation.gain], np.int32)
        features = np.empty((len(audio), frames_in(audio.shape[1]), COEFFICIENTS), np.int8)
        for samples, rows in zip(audio, features, strict=True):
            self._library.mfcc_features(
                _at(samples), ctypes.c_int32(len(rows)), _at(parameters), _at(rows), _at(self._scratch)
            )
        return features


def _at(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
