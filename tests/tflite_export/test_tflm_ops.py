"""The TFLM operators in the interpreter of the package tflite_micro, whose own files they extend."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from random_networks import random_network

from tflite_export import Graph
from tflite_export.micro_sources import micro_dir
from tflite_export.reference import Reference
from tflite_export.targets.custom import rewrite

FOLDER = Path(__file__).resolve().parent.parent / "tflm"
NETWORKS = 40
MICRO = micro_dir()
INCLUDES = [f"-I{path}" for path in (FOLDER / "headers", MICRO / "include", MICRO / "tflm")]
WARNINGS = ("-std=c++17", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-fno-exceptions", "-fno-rtti")

# Runs packed networks; in a process of its own, as an interface that changed may end it.
RUN = """
import ctypes, sys
import numpy as np
ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL)
from tflite_micro.python.tflite_micro import runtime

outputs = {}
with np.load(sys.argv[2]) as file:
    for name in (name for name in file if name.startswith("model")):
        interpreter = runtime.Interpreter.from_bytes(
            file[name].tobytes(), custom_op_registerers=["register_tern_ops"], arena_size=1 << 20
        )
        shapes = []
        while True:
            try:
                shapes.append(interpreter.get_input_details(len(shapes))["shape"])
            except (IndexError, ValueError):
                break
        rows = []
        for sample in file[name.replace("model", "samples")]:
            ends = np.cumsum([np.prod(shape) for shape in shapes])
            for index, (shape, values) in enumerate(zip(shapes, np.split(sample, ends[:-1]))):
                interpreter.set_input(values.reshape(shape), index)
            interpreter.invoke()
            count = int(file[name.replace("model", "outputs")])
            rows.append(np.concatenate([interpreter.get_output(index).ravel() for index in range(count)]))
        outputs[name] = np.array(rows)
np.savez(sys.argv[3], **outputs)
"""


def _run(*command: object) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr} (status {done.returncode})"
    return done.stdout


@pytest.mark.parametrize("names", [(), ("-DTFLM_GLOBAL_NAMES",)])
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_no_warnings(compiler: str, names: tuple[str, ...], require_tool: Callable[..., None]) -> None:
    require_tool(compiler)
    sources = sorted((MICRO / "tflm").glob("*.cc"))
    _run(compiler, *WARNINGS, *names, *INCLUDES, "-fsyntax-only", *sources, FOLDER / "registerer.cc")


def _library(folder: Path) -> Path:
    """The operators and what registers them, for the interpreter's own names."""
    spec = importlib.util.find_spec("tflite_micro.python.tflite_micro._runtime")
    assert spec is not None
    assert spec.origin is not None
    # a function's decorated name tells where its parameters' types are
    names = () if b"GetEvalInputEPKNS0_" in Path(spec.origin).read_bytes() else ("-DTFLM_GLOBAL_NAMES",)
    c_sources = sorted([*(MICRO / "src").glob("*.c"), *(MICRO / "custom_ops").glob("*.c")])
    flags = ("-O1", "-fPIC", "-fvisibility=hidden", "-w")
    subprocess.run(["gcc", "-std=c99", *flags, *INCLUDES, "-c", *c_sources], cwd=folder, check=True)
    sources = [*sorted((MICRO / "tflm").glob("*.cc")), FOLDER / "registerer.cc"]
    objects = sorted(folder.glob("*.o"))
    _run("g++", "-std=c++17", *flags, *names, *INCLUDES, "-shared", *sources, *objects, "-o", folder / "tern_tflm.so")
    return folder / "tern_tflm.so"


def test_the_python_packages_interpreter_equals_the_reference(
    tmp_path: Path, require_module: Callable[..., None], require_tool: Callable[..., None]
) -> None:
    require_module("tflite_micro")
    require_tool("gcc", "g++")
    arrays: dict[str, np.ndarray] = {}
    expected = {}
    for seed in range(NETWORKS):
        model = random_network(seed, edges=False)
        graph = Graph.read(model)
        if any(op.name == "UNIDIRECTIONAL_SEQUENCE_LSTM" for op in graph.ops):
            continue  # its state lasts from sample to sample there
        samples = (
            np.random.default_rng(seed).integers(-128, 128, (3, sum(t.size for t in graph.inputs))).astype(np.int8)
        )
        for optimize in ("speed", "size"):
            packed = rewrite(model, optimize, lambda _: None).tflite
            arrays[f"model_{optimize}{seed}"] = np.frombuffer(packed, np.uint8)
            arrays[f"samples_{optimize}{seed}"] = samples
            arrays[f"outputs_{optimize}{seed}"] = np.array(len(graph.outputs))
            expected[f"model_{optimize}{seed}"] = Reference(model)(samples)
    np.savez(tmp_path / "networks.npz", **arrays)
    _run(sys.executable, "-c", RUN, _library(tmp_path), tmp_path / "networks.npz", tmp_path / "outputs.npz")
    with np.load(tmp_path / "outputs.npz") as outputs:
        different = [name for name in expected if not np.array_equal(outputs[name], expected[name])]
    assert different == []


def test_the_readmes_lines(tmp_path: Path, require_tool: Callable[..., None]) -> None:
    require_tool("g++")
    (lines,) = re.findall(r"```cpp\n(.*?)```", (MICRO / "tflm" / "README.md").read_text(), re.DOTALL)
    include, declaration, *calls = [line for line in lines.splitlines() if line]
    source = tmp_path / "firmware.cc"
    source.write_text(
        f"{include}\nnamespace tflite {{\ntemplate <unsigned> struct MicroMutableOpResolver {{\n"
        "    void AddCustom(const char *, const micro::TFLMRegistration *) {}\n    void AddAdd() {}\n};\n}\n"
        + "\n".join([declaration, "void setup() {", *calls, "}"])
    )
    _run("g++", *WARNINGS, *INCLUDES, "-fsyntax-only", source)
    named = re.findall(r'AddCustom\("(\w+)"', lines)
    sources = "".join(path.read_text() for path in (MICRO / "custom_ops").glob("*.c"))
    assert len(named) == 4
    assert all(f'"{name}"' in sources for name in named)
