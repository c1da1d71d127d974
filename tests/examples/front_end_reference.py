"""MFCC features in float64, from their definition: nothing of it is shared with the C or its tables."""

import numpy as np

RATE, FRAME, HOP, BANDS, COEFFICIENTS = 8000, 256, 160, 32, 10
LOWEST, HIGHEST = 60.0, 3900.0
SILENCE = 12  # log2 of a band's power, with a window whose squares add up to 2^6.6


def mel(hertz: np.ndarray | float) -> np.ndarray:
    return 1127 * np.log1p(np.asarray(hertz) / 700)


def filterbank() -> np.ndarray:
    """Triangles, shape (bands, frequencies)."""
    edges = np.linspace(mel(LOWEST), mel(HIGHEST), BANDS + 2)
    at = mel(np.arange(FRAME // 2 + 1) * RATE / FRAME)
    rising = (at - edges[:-2, None]) / (edges[1] - edges[0])
    falling = (edges[2:, None] - at) / (edges[1] - edges[0])
    return np.maximum(np.minimum(rising, falling), 0)


def cepstra(audio: np.ndarray) -> np.ndarray:
    """Cepstra of frames, float64 of shape (frames, coefficients), from samples of shape (samples,)."""
    frames = np.lib.stride_tricks.sliding_window_view(audio.astype(np.float64), FRAME)[::HOP]
    window = np.sin(np.pi * (np.arange(FRAME) + 0.5) / FRAME) ** 2
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    with np.errstate(divide="ignore"):
        levels = np.maximum(np.log2(power @ filterbank().T) - SILENCE, 0)
    k, band = np.arange(COEFFICIENTS)[:, None], np.arange(BANDS)
    transform = np.sqrt(np.where(k == 0, 1, 2) / BANDS) * np.cos(np.pi * k * (band + 0.5) / BANDS)
    return levels @ transform.T
