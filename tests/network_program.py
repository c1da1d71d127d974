"""Generated models in one program that runs any of them, under the sanitizers; every buffer is a heap block of its own.

    program NUMBER < samples > outputs

A sample is the bytes of all inputs of the model, one behind the other, and its result those of all outputs.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tflite_export import Graph
from tflite_export.pipeline import generate_c
from tflite_export.toolchain import host_compiler, run

SANITIZE = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")

_MAIN = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAXIMUM 16

typedef int invoke(void *const *inputs, void *const *outputs, void *arena);

typedef struct {
    invoke *call;
    size_t arena_bytes, inputs, outputs;
    size_t input_bytes[MAXIMUM], output_bytes[MAXIMUM];
} network;

@ADAPTERS@
static const network networks[] = {
@TABLE@};

static void *block(size_t bytes) {
    void *data = malloc(bytes);
    if (data == NULL)
        abort();
    memset(data, 0x5a, bytes);
    return data;
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    const network *net = &networks[atoi(argv[1])];
    for (;;) {
        void *inputs[MAXIMUM], *outputs[MAXIMUM], *arena = aligned_alloc(16, net->arena_bytes);
        if (arena == NULL)
            abort();
        memset(arena, 0xa5, net->arena_bytes);
        size_t complete = 0;
        for (size_t i = 0; i < net->inputs; i++) {
            inputs[i] = block(net->input_bytes[i]);
            complete += fread(inputs[i], net->input_bytes[i], 1, stdin);
        }
        for (size_t i = 0; i < net->outputs; i++)
            outputs[i] = block(net->output_bytes[i]);
        const int status = complete == net->inputs ? net->call(inputs, outputs, arena) : 0;
        for (size_t i = 0; i < net->outputs; i++) {
            if (complete == net->inputs)
                fwrite(outputs[i], net->output_bytes[i], 1, stdout);
            free(outputs[i]);
        }
        for (size_t i = 0; i < net->inputs; i++)
            free(inputs[i]);
        free(arena);
        if (status != 0)
            return 100 + status;
        if (complete != net->inputs)
            return 0;
    }
}
"""


class NetworkProgram:
    """The program, compiled.

    Args:
        folder: where its sources go.
        models: `.tflite` files by their C names.
        options: for `generate_c`, by the same names.
    """

    def __init__(
        self, folder: Path, models: Mapping[str, bytes], options: Mapping[str, Mapping[str, object]] | None = None
    ) -> None:
        self._names = list(models)
        self._graphs = {name: Graph.read(model) for name, model in models.items()}
        for name, model in models.items():
            generate_c(model, folder, name, **(options or {}).get(name, {}))
        includes = "".join(f'#include "{name}.h"\n' for name in models)
        adapters = "".join(map(self._adapter, models))
        table = "".join(map(self._row, models))
        main = folder / "main.c"
        main.write_text(includes + _MAIN.replace("@ADAPTERS@", adapters).replace("@TABLE@", table))
        self._path = folder / "program"
        sources = [*folder.glob("*.c"), *(folder / "tern").glob("*.c")]
        run([*host_compiler(), "-std=c11", *SANITIZE, f"-I{folder / 'tern'}", *sources, "-o", self._path])

    def __call__(self, name: str, samples: np.ndarray) -> np.ndarray:
        """Run samples, int8 bytes of shape (samples, bytes of all inputs), to outputs likewise."""
        done = subprocess.run(
            [self._path, str(self._names.index(name))], input=samples.tobytes(), capture_output=True, check=False
        )
        assert done.returncode == 0, f"{name}: status {done.returncode}\n{done.stderr.decode()}"
        return np.frombuffer(done.stdout, np.int8).reshape(len(samples), -1)

    def _several(self, name: str) -> bool:
        graph = self._graphs[name]
        return len(graph.inputs) > 1 or len(graph.outputs) > 1

    def _adapter(self, name: str) -> str:
        arguments = "(void *)inputs, (void *)outputs" if self._several(name) else "inputs[0], outputs[0]"
        return (
            f"static int call_{name}(void *const *inputs, void *const *outputs, void *arena) {{\n"
            f"    return {name}_invoke({arguments}, arena);\n}}\n"
        )

    def _row(self, name: str) -> str:
        graph = self._graphs[name]
        sizes = [", ".join(str(tensor.nbytes) for tensor in tensors) for tensors in (graph.inputs, graph.outputs)]
        counts = f"{len(graph.inputs)}, {len(graph.outputs)}"
        return f"    {{call_{name}, {name.upper()}_ARENA_BYTES, {counts}, {{{sizes[0]}}}, {{{sizes[1]}}}}},\n"
