"""Whether the generated C of a damaged but accepted `.tflite` computes what TFLite computes of it.

Both run in processes of their own: the reference may die on such a file, which settles nothing; the C, compiled with
the address and undefined behaviour sanitizers, may not.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from tflite_export import ExportReport
from tflite_export.arena import ARENA_ALIGNMENT
from tflite_export.host import c_sources, include_dirs
from tflite_export.micro_sources import micro_dir
from tflite_export.report import Interface

SAMPLES = 4
# What a file may claim that its buffers and its work are, before it is left out as too large to run.
MAX_BYTES = 1 << 24
MAX_WORK = 1 << 27
SECONDS = 20
# A sanitizer's exit status, above any tern_status.
_FAULT = 100
_FLAGS = ("-std=c11", "-O1", "-g0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")

_MAIN = """
#include "{name}.h"
#include <stdio.h>
#include <stdlib.h>

static const size_t input_bytes[] = {{{inputs}}};
static const size_t output_bytes[] = {{{outputs}}};
#define INPUTS (sizeof input_bytes / sizeof *input_bytes)
#define OUTPUTS (sizeof output_bytes / sizeof *output_bytes)

int main(void) {{
    void *inputs[INPUTS], *outputs[OUTPUTS];
    void *arena = aligned_alloc({alignment}, {arena});
    int status = 0;
    for (size_t i = 0; i < INPUTS; i++) inputs[i] = malloc(input_bytes[i]);
    for (size_t i = 0; i < OUTPUTS; i++) outputs[i] = malloc(output_bytes[i]);
    while (status == 0 && fread(inputs[0], 1, input_bytes[0], stdin) == input_bytes[0]) {{
        for (size_t i = 1; i < INPUTS; i++)
            if (fread(inputs[i], 1, input_bytes[i], stdin) != input_bytes[i]) return 100;
        status = {call};
        for (size_t i = 0; i < OUTPUTS; i++) fwrite(outputs[i], 1, output_bytes[i], stdout);
    }}
    for (size_t i = 0; i < INPUTS; i++) free(inputs[i]);
    for (size_t i = 0; i < OUTPUTS; i++) free(outputs[i]);
    free(arena);
    return status;
}}
"""

_REFERENCE = """
import resource, sys
import numpy as np
from tflite_export import ExportError
from tflite_export.reference import Reference
tflite, samples, outputs = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_DATA, (2 << 30, 2 << 30))
try:
    reference = Reference(open(tflite, "rb").read())
    np.save(outputs, reference(np.load(samples)))
except (ExportError, ValueError, RuntimeError, MemoryError) as error:
    sys.exit(f"refused: {error}")
"""


class ReferenceCheck:
    """Compares C with the reference.

    Args:
        folder: for the kernels, compiled once, and what a comparison needs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kernels = folder / "kernels"
        self._kernels.mkdir()
        sources = sorted((micro_dir() / "src").glob("*.c"))
        self._gcc(["-c", f"-I{micro_dir() / 'include'}", *sources], self._kernels)

    def __call__(self, report: ExportReport, seed: int) -> tuple[str, str]:
        """Run both on random samples.

        Returns:
            "equal", "reference refused", "too large to run" or "VIOLATION"; and what there is to say about it.
        """
        sizes = [tensor.nbytes for tensor in (*report.inputs, *report.outputs)]
        # a kernel does no more than this for each of its outputs
        work = sum(layer.macs or _elements(layer.output_shape) * 64 for layer in report.layers)
        if sum(sizes) + report.arena_bytes > MAX_BYTES or work > MAX_WORK:
            return "too large to run", ""
        rng = np.random.default_rng(seed)
        samples = np.concatenate([_values(tensor, rng) for tensor in report.inputs], axis=1)
        return self._compare(self._run(report, samples), self._reference(report, samples))

    def _compare(self, done: subprocess.CompletedProcess[bytes], reference: np.ndarray | str) -> tuple[str, str]:
        refused = isinstance(reference, str)
        if done.returncode < 0 or done.returncode >= _FAULT or (done.returncode and not refused):
            return "VIOLATION", f"the C ended with {done.returncode}: {done.stderr.decode(errors='replace')[:600]}"
        if isinstance(reference, str):
            return "reference refused", reference
        outputs = np.frombuffer(done.stdout, np.int8)
        if outputs.size != reference.size:
            return "VIOLATION", f"the C wrote {outputs.size} bytes, the reference {reference.size}"
        different = int(np.count_nonzero(outputs.reshape(reference.shape) != reference))
        if different:
            return "VIOLATION", f"{different} of {reference.size} outputs of the C differ from the reference"
        return "equal", ""

    def _reference(self, report: ExportReport, samples: np.ndarray) -> np.ndarray | str:
        given, found = self._folder / "samples.npy", self._folder / "outputs.npy"
        np.save(given, samples)
        found.unlink(missing_ok=True)
        command = [sys.executable, "-c", _REFERENCE, report.tflite_path, given, found]
        try:
            done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return "it took too long"
        if done.returncode != 0 or not found.exists():
            return f"ended with {done.returncode}: {done.stderr.decode(errors='replace').strip()[-200:]}"
        return np.load(found)

    def _run(self, report: ExportReport, samples: np.ndarray) -> subprocess.CompletedProcess[bytes]:
        several = len(report.inputs) > 1 or len(report.outputs) > 1
        arguments = "(void *)inputs, (void *)outputs, arena" if several else "inputs[0], outputs[0], arena"
        main = self._folder / "main.c"
        main.write_text(
            _MAIN.format(
                name=report.name,
                inputs=", ".join(str(tensor.nbytes) for tensor in report.inputs),
                outputs=", ".join(str(tensor.nbytes) for tensor in report.outputs),
                alignment=ARENA_ALIGNMENT,
                arena=report.arena_bytes,
                call=f"{report.name}_invoke({arguments})",
            )
        )
        model = [path for path in c_sources(report) if path.parent == report.folder]
        program = self._folder / "program"
        includes = [f"-I{path}" for path in include_dirs(report)]
        self._gcc([*includes, main, *model, *self._kernels.glob("*.o"), "-lm", "-o", program])
        faults = f"exitcode={_FAULT}"
        environment = {**os.environ, "ASAN_OPTIONS": f"detect_leaks=0:{faults}", "UBSAN_OPTIONS": faults}
        return subprocess.run(
            [program], input=samples.tobytes(), capture_output=True, timeout=SECONDS, check=False, env=environment
        )

    def _gcc(self, arguments: list[object], folder: Path | None = None) -> None:
        subprocess.run(["gcc", *_FLAGS, *map(str, arguments)], check=True, capture_output=True, cwd=folder)


def _values(tensor: Interface, rng: np.random.Generator) -> np.ndarray:
    """Bytes of an input, shape (samples, bytes)."""
    if tensor.dtype == "float32":
        return rng.normal(0, 3, (SAMPLES, tensor.size)).astype(np.float32).view(np.int8)
    values = rng.integers(-128, 128, (SAMPLES, tensor.nbytes)).astype(np.int8)
    values[0] = 127
    return values


def _elements(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64))
