"""A model written by hand, with the interface of a generated one, and the same in Python."""

from pathlib import Path

import numpy as np

from tflite_export.firmware import ModelInterface
from tflite_export.micro_sources import micro_dir

INTERFACE = ModelInterface("toy", input_bytes=(16,), output_bytes=(8,), arena_bytes=48)
WEIGHTS = (3, -1, 4, -1, 5, -9, 2, -6, 5, -3, 5, -8, 9, -7, 9, -3)
FAILING_INPUT = 127  # a first input that makes it return status 3

HEADER = """#include "tern.h"
int toy_invoke(const int8_t *input, int8_t *output, void *arena);
"""

# Takes what a compiler's run-time library and the firmware's memory.c provide: 64-bit division, memcpy, memset.
SOURCE = f"""#include "toy.h"
#include <string.h>

static const int8_t weights[16] = {{{", ".join(map(str, WEIGHTS))}}};

int unused(int x);
int unused(int x) {{ return 7 * x; }}

int toy_invoke(const int8_t *input, int8_t *output, void *arena)
{{
    int32_t *sums = arena;
    int8_t *copy = (int8_t *)(sums + 8);
    if (input[0] == {FAILING_INPUT}) {{
        return 3;
    }}
    memset(sums, 0, 8 * sizeof(int32_t));
    memcpy(copy, input, 16);
    for (int i = 0; i < 8; ++i) {{
        for (int k = 0; k < 16; ++k) {{
            sums[i] += (copy[k] ^ i) * weights[(i + k) % 16];
        }}
    }}
    for (int i = 0; i < 8; ++i) {{
        const int64_t scaled = (int64_t)sums[i] * 1234567891011 / (3 + (int64_t)input[i] * input[i]);
        output[i] = (int8_t)(scaled & 0x7f);
    }}
    return 0;
}}
"""


def write(folder: Path, header: str = HEADER, source: str = SOURCE) -> dict[str, list[Path]]:
    """Write the model's files; returns build_firmware's `sources` and `include_dirs`."""
    # <string.h> is the C library's, which a compiler for bare metal need not have.
    (folder / "string.h").write_text(
        "#include <stddef.h>\nvoid *memcpy(void *, const void *, size_t);\nvoid *memset(void *, int, size_t);\n"
    )
    (folder / "toy.h").write_text(header)
    (folder / "toy.c").write_text(source)
    return {"sources": [folder / "toy.c"], "include_dirs": [folder, micro_dir() / "include"]}


def samples(count: int) -> np.ndarray:
    """Random samples that the model accepts: int8, shape (count, 16)."""
    return np.random.default_rng(7).integers(-128, FAILING_INPUT, (count, 16)).astype(np.int8)


def reference(inputs: np.ndarray) -> np.ndarray:
    """What the model computes: int8, shape (count, 8)."""
    x = inputs.astype(np.int64)
    positions = np.arange(8)[:, None]
    weights = np.array(WEIGHTS)[(positions + np.arange(16)) % 16]
    sums = ((x[:, None, :] ^ positions) * weights).sum(axis=2)
    product, divisor = sums * 1234567891011, 3 + x[:, :8] ** 2
    scaled = np.sign(product) * (np.abs(product) // divisor)  # C rounds toward zero
    return (scaled & 0x7F).astype(np.int8)
