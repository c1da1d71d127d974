"""Recordings of the Free Spoken Digit Dataset, and the distortions that they are trained with."""

import re
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spoken_digits.front_end import SAMPLE_RATE

ARCHIVE = "fsdd_8khz.npz"
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEST_RECORDINGS = 5  # of each speaker and digit: the data set's usual split
WINDOW_SAMPLES = SAMPLE_RATE  # a second
_NAME = re.compile(r"(\d)_(\w+)_(\d+)")

HOW_TO_GET_IT = f"""the recordings are the Free Spoken Digit Dataset, 3,000 of digits at 8 kHz:
    git clone https://github.com/Jakobovski/free-spoken-digit-dataset
and --wav-dir free-spoken-digit-dataset/recordings; --data-dir is for a folder with the same as {ARCHIVE}:
    wave     int16 (samples of all recordings, one behind the other)
    offset   int64 (recordings + 1): recording i is wave[offset[i]:offset[i + 1]]
    y        uint8 (recordings): the digit
    speaker  strings (recordings)
    index    uint8 (recordings): of the speaker and digit; 0 to {TEST_RECORDINGS - 1} are the test set"""


@dataclass(frozen=True)
class Recordings:
    """Recordings of any length.

    Attributes:
        waves: int16 arrays at 8 kHz.
        labels: int32, shape (recordings,): the digits.
        numbers: int32, shape (recordings,): each recording's among those of its speaker and digit.
    """

    waves: list[np.ndarray]
    labels: np.ndarray
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.waves)

    def where(self, chosen: np.ndarray) -> "Recordings":
        """Those for which `chosen`, bool of shape (recordings,), holds."""
        waves = [wave for wave, keep in zip(self.waves, chosen, strict=True) if keep]
        return Recordings(waves, self.labels[chosen], self.numbers[chosen])

    def split(self) -> tuple["Recordings", "Recordings"]:
        """The training set and the test set."""
        test = self.numbers < TEST_RECORDINGS
        return self.where(~test), self.where(test)

    def seconds(self) -> np.ndarray:
        """Int16, shape (recordings, 8000): each in the middle of a second."""
        return np.stack([in_a_second(wave) for wave in self.waves])


def load_archive(path: Path) -> Recordings:
    """Read `fsdd_8khz.npz`."""
    with np.load(path) as file:
        waves = np.split(file["wave"], file["offset"][1:-1])
        return Recordings(waves, file["y"].astype(np.int32), file["index"].astype(np.int32))


def load_wavs(folder: Path) -> Recordings:
    """Read the files `<digit>_<speaker>_<number>.wav` of a folder.

    Raises:
        ValueError: there are none, or one is not 16-bit mono at 8 kHz.
    """
    paths = sorted(path for path in folder.glob("*.wav") if _NAME.fullmatch(path.stem))
    if not paths:
        raise ValueError(f"{folder} holds no <digit>_<speaker>_<number>.wav")
    names = [_NAME.fullmatch(path.stem).groups() for path in paths]
    labels, numbers = (np.array([name[part] for name in names], np.int32) for part in (0, 2))
    return Recordings([read_wav(path) for path in paths], labels, numbers)


def read_wav(path: Path) -> np.ndarray:
    """The int16 samples of a file.

    Raises:
        ValueError: it is not 16-bit mono at 8 kHz.
    """
    with wave.open(str(path), "rb") as file:
        found = file.getnchannels(), 8 * file.getsampwidth(), file.getframerate()
        if found != (1, 16, SAMPLE_RATE):
            raise ValueError(f"{path} has {found[0]} channel(s) of {found[1]} bits at {found[2]} Hz: convert it to one")
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)


def in_a_second(wave: np.ndarray, shift: int = 0) -> np.ndarray:
    """A recording in the middle of a second, or `shift` samples behind it.

    Args:
        wave: int16, shape (samples,). What does not fit is cut off on both sides.
        shift: in samples; of either sign.

    Returns:
        int16, shape (8000,): zeros beside the recording.
    """
    second = np.zeros(WINDOW_SAMPLES, np.int16)
    start = (WINDOW_SAMPLES - len(wave)) // 2 + shift
    first, last = max(start, 0), min(start + len(wave), WINDOW_SAMPLES)
    if first < last:
        second[first:last] = wave[first - start : last - start]
    return second


def distort(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A recording as another day would have brought it: faster or slower, louder or softer, earlier or later, noisy.

    Args:
        wave: int16, shape (samples,).
        rng: draws speed (15 %), place (0.15 s), level (-12 to 6 dB, clipped) and white noise (to 150 of 32768).

    Returns:
        int16, shape (8000,).
    """
    times = np.arange(0, len(wave) - 1, rng.uniform(0.85, 1.15))
    faster = np.interp(times, np.arange(len(wave)), wave)
    louder = faster * 10 ** (rng.uniform(-12, 6) / 20)
    reach = int(0.15 * SAMPLE_RATE)
    second = in_a_second(np.clip(louder, -32768, 32767).astype(np.int16), int(rng.integers(-reach, reach + 1)))
    noise = rng.normal(scale=np.exp(rng.uniform(0, np.log(150))), size=WINDOW_SAMPLES)
    return np.clip(second + noise.round(), -32768, 32767).astype(np.int16)
