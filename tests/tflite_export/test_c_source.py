"""The text of the generated C: C99 and C++ alike, and pointers of every type."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from call_builder import CallBuilder
from random_networks import random_network

from tflite_export import c_source
from tflite_export.graph import Graph, Tensor
from tflite_export.kernel_call import Constant
from tflite_export.memory import plan_memory
from tflite_export.micro_sources import micro_dir
from tflite_export.pipeline import generate_c

C99 = ("-std=c99", "-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Wcast-align", "-Wcast-qual", "-Werror")
CPP20 = ("-x", "c++", "-std=c++20", "-Wall", "-Wextra", "-pedantic", "-Werror")
CPP11 = ("-x", "c++", "-std=gnu++11", "-Wall", "-Wextra", "-Werror")
LANGUAGES = {"c99": ("gcc", *C99), "c++20": ("g++", *CPP20), "gnu++11": ("g++", *CPP11)}


def _check(command: tuple[str, ...], *arguments: str | Path) -> None:
    done = subprocess.run([*command, "-fsyntax-only", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("language", LANGUAGES)
def test_networks_are_c_and_cpp(require_tool, tmp_path: Path, language: str) -> None:
    command = LANGUAGES[language]
    require_tool(command[0])
    for seed in (3, 35, 70, 116):  # every kernel, several inputs and outputs
        generate_c(random_network(seed), tmp_path, f"net{seed}")
    _check(command, f"-I{tmp_path / 'tern'}", *tmp_path.glob("*.c"))


_KERNELS = """
#include "tern.h"
typedef struct {
    int32_t count;
    float factor, limits[2];
    struct { float alpha; int32_t beta; } nested;
    const float *table;
    const int16_t *steps;
    const uint16_t *codes;
} tern_op_params;
tern_status tern_quantize(const tern_op_params *params, const float *input, int8_t *output);
tern_status tern_dequantize(const tern_op_params *params, const int8_t *input, float *output);
tern_status tern_bytes(const tern_op_params *params, const int8_t *input, uint8_t *output, void *scratch);
tern_status tern_words(const tern_op_params *params, const uint8_t *input, const float *other, int16_t *output);
tern_status tern_back(const tern_op_params *params, const int16_t *input, float *output);
"""


def _source(build: CallBuilder, inputs: list[Tensor], outputs: list[Tensor]) -> tuple[str, str]:
    graph = build.graph(inputs, outputs)
    plan = plan_memory(graph, build.calls)
    return c_source.header("net", graph, plan, "test"), c_source.source("net", graph, plan, "test")


def _check_text(header: str, source: str, folder: Path) -> None:
    (folder / "kernels.h").write_text(_KERNELS)
    (folder / "net.h").write_text(header)
    (folder / "net.c").write_text(source)
    for command in LANGUAGES.values():
        _check(command, f"-I{micro_dir() / 'include'}", "-include", folder / "kernels.h", folder / "net.c")


FIELDS = {
    "count": 3,
    "factor": np.float32(0.1).item(),
    "limits": (-6.0, 1e-30),
    "nested": {"alpha": 0.5, "beta": -7},
    "table": Constant("table", np.array([0.1, -1, 3e38, 1e-40], np.float32)),
    "steps": Constant("steps", np.array([-(2**15), 2**15 - 1], np.int16)),
    "codes": Constant("codes", np.array([0, 2**16 - 1], np.uint16)),
}


def _of_every_type(build: CallBuilder, x: Tensor, y: Tensor) -> None:
    rest = {"fields": FIELDS, "struct": "tern_op_params"}
    q, other, b = build.tensor("q", 12), build.tensor("f", 12, "float32"), build.tensor("b", 12, "uint8")
    w = build.tensor("w", 12, "int16")
    build.call([x], q, function="tern_quantize", **rest)
    build.call([q], other, function="tern_dequantize", **rest)
    build.call([q], b, function="tern_bytes", scratch_bytes=24, **rest)
    build.call([b, other], w, function="tern_words", **rest)
    build.call([w], y, function="tern_back", **rest)


def test_pointers_of_every_type(require_tool, tmp_path: Path) -> None:
    require_tool("gcc", "g++")
    build = CallBuilder()
    x, y = build.tensor("x", 12, "float32"), build.tensor("y", 12, "float32")
    _of_every_type(build, x, y)
    header, source = _source(build, [x], [y])
    assert "int net_invoke(const float *input, float *output, void *arena);" in header
    assert "#define NET_INPUT_BYTES 48" in header
    assert "SCALE" not in header
    assert "(const float *)(const void *)(a + " in source
    assert ".factor = 1.e-01f" in source
    _check_text(header, source, tmp_path)


def test_several_inputs_of_different_types(require_tool, tmp_path: Path) -> None:
    require_tool("gcc", "g++")
    build = CallBuilder()
    x, y, z = build.tensor("x", 12, "float32"), build.tensor("y", 12, "float32"), build.tensor("z", 12)
    _of_every_type(build, x, y)
    build.call([x], z, function="tern_quantize", struct="tern_op_params", fields=FIELDS)
    header, source = _source(build, [x], [y, z])
    assert "int net_invoke(const void *const inputs[], void *const outputs[], void *arena);" in header
    assert "(const float *)inputs[0], (int8_t *)outputs[1]" in source
    _check_text(header, source, tmp_path)


def test_views_into_the_callers_buffers(require_tool, tmp_path: Path) -> None:
    require_tool("gcc", "g++")
    build = CallBuilder()
    x, part, a, b, y = (
        build.tensor("x", 24),
        build.tensor("p", 12),
        build.tensor("a", 4, "float32"),
        build.tensor("b", 16, "uint8"),
        build.tensor("y", 8, "float32"),
    )
    rest = {"fields": FIELDS, "struct": "tern_op_params"}
    build.call([x], part, source_view=12)
    build.call([part], a, function="tern_dequantize", **rest)
    build.call([part], b, function="tern_bytes", scratch_bytes=8, **rest)
    build.concat([b, a], y)
    header, source = _source(build, [x], [y])
    assert "tern_dequantize(&op0, input + 12, output + 4);" in source
    assert "tern_bytes(&op1, input + 12, (uint8_t *)(void *)((int8_t *)output + 0), a + 0);" in source
    _check_text(header, source, tmp_path)


def test_the_callers_bytes_hold_no_floats(require_tool, tmp_path: Path) -> None:
    """They may lie at an odd address."""
    require_tool("gcc", "g++")
    build = CallBuilder()
    x, a, y = build.tensor("x", 16), build.tensor("a", 4, "float32"), build.tensor("y", 16)
    rest = {"fields": FIELDS, "struct": "tern_op_params"}
    build.call([x], a, function="tern_dequantize", **rest)
    build.call([a], y, function="tern_quantize", in_place=(0,), **rest)
    header, source = _source(build, [x], [y])
    assert "tern_dequantize(&op0, input, (float *)(void *)(a + 0));" in source
    _check_text(header, source, tmp_path)


@pytest.mark.parametrize("value", [0.1, -1 / 3, 1e-45, 3.4028235e38, 16777217.0, -0.0])
def test_floats_are_exact(value: float) -> None:
    exact = np.float32(value)
    text = c_source.c_array("x", np.array([exact])).split("{")[1].split(",")[0].strip()
    assert text.endswith("f")
    assert np.float32(float(text[:-1])).tobytes() == exact.tobytes()


def test_models_of_int8_keep_their_signature() -> None:
    graphs = [Graph.read(random_network(seed, edges=False)) for seed in range(12)]
    prototypes = {c_source._prototype("net", graph) for graph in graphs}
    assert prototypes == {
        "int net_invoke(const int8_t *input, int8_t *output, void *arena)",
        "int net_invoke(const int8_t *const inputs[], int8_t *const outputs[], void *arena)",
    }
