"""Writes `firmware/mfcc_tables.c`, the constants of the features' C.

    python examples/spoken_digits/mfcc_tables.py

Run it after a change of the constants in `mfcc.h`; a test compares the file with what this program would write.
"""

import math
import re
from pathlib import Path

FIRMWARE = Path(__file__).resolve().parent / "firmware"
LOWEST_HZ, HIGHEST_HZ = 60.0, 3900.0
LOG_STEPS = 32
VALUES_IN_LINE = 8


def constants() -> dict[str, int]:
    """The whole numbers that `mfcc.h` defines, by their names without the prefix."""
    text = (FIRMWARE / "mfcc.h").read_text()
    return {name: int(value) for name, value in re.findall(r"^#define MFCC_(\w+) (\d+)$", text, re.MULTILINE)}


def sine(points: int) -> list[int]:
    """Three quarters of a turn of `points` steps, 2^31 - 1 at the most."""
    values = [round(2**31 * math.sin(2 * math.pi * i / points)) for i in range(3 * points // 4 + 1)]
    return [max(1 - 2**31, min(value, 2**31 - 1)) for value in values]


def window(samples: int) -> list[int]:
    """The first half of a Hann window that is never 0, 2^15 at the most."""
    return [round(2**14 * (1 - math.cos(2 * math.pi * (i + 0.5) / samples))) for i in range(samples // 2)]


def mel(hertz: float) -> float:
    """A frequency on O'Shaughnessy's mel scale."""
    return 2595 * math.log10(1 + hertz / 700)


def frequencies(rate: int, samples: int, bands: int) -> dict[int, tuple[int, int]]:
    """Where each frequency lies in the filterbank: frequency to (band, share of the next band in 2^-15).

    The triangles are as high as each other and cross at a half; they are straight in mel. Frequencies outside all of
    them are missing.
    """
    lowest, highest = mel(LOWEST_HZ), mel(HIGHEST_HZ)
    found = {}
    for k in range(samples // 2 + 1):
        position = (mel(k * rate / samples) - lowest) / (highest - lowest) * (bands + 1)
        if 0 < position < bands + 1:
            band = math.floor(position)
            found[k] = (band, round(2**15 * (position - band)))
    return found


def cosines(coefficients: int, bands: int) -> list[list[int]]:
    """The columns of an orthonormal DCT-II, times 2^15."""
    return [
        [
            round(2**15 * math.sqrt((2 if k else 1) / bands) * math.cos(math.pi * k * (band + 0.5) / bands))
            for k in range(coefficients)
        ]
        for band in range(bands)
    ]


def source() -> str:
    """The C file.

    Raises:
        ValueError: the first or last frequency in `mfcc.h` is not that of the filterbank.
    """
    c = constants()
    found = frequencies(c["SAMPLE_RATE"], c["FRAME_SAMPLES"], c["BANDS"])
    if (min(found), max(found)) != (c["FIRST_FREQUENCY"], c["LAST_FREQUENCY"]):
        raise ValueError(f"the mel bands cover the frequencies {min(found)} to {max(found)}: say so in mfcc.h")
    logarithms = [round(2**15 * math.log2(1 + i / LOG_STEPS)) for i in range(LOG_STEPS + 1)]
    pairs = [f"{{{band}, {rising}}}" for band, rising in found.values()]
    rows = [f"    {{{', '.join(map(str, row))}}}," for row in cosines(c["COEFFICIENTS"], c["BANDS"])]
    return f"""/* Written by mfcc_tables.py. */
/* clang-format off */
#include "mfcc_tables.h"

const int32_t mfcc_sine[{3 * c["FRAME_SAMPLES"] // 4 + 1}] = {{
{_lines(sine(c["FRAME_SAMPLES"]))}
}};

const uint16_t mfcc_window[{c["FRAME_SAMPLES"] // 2}] = {{
{_lines(window(c["FRAME_SAMPLES"]))}
}};

const mfcc_frequency mfcc_frequencies[{len(pairs)}] = {{
{_lines(pairs)}
}};

const uint16_t mfcc_log[{LOG_STEPS + 1}] = {{
{_lines(logarithms)}
}};

const int16_t mfcc_cosines[MFCC_BANDS][MFCC_COEFFICIENTS] = {{
{chr(10).join(rows)}
}};
"""


def _lines(values: list) -> str:
    """Values behind each other, a comma after each, some to a line."""
    groups = [values[i : i + VALUES_IN_LINE] for i in range(0, len(values), VALUES_IN_LINE)]
    return "\n".join("    " + " ".join(f"{value}," for value in group) for group in groups)


if __name__ == "__main__":
    (FIRMWARE / "mfcc_tables.c").write_text(source())
