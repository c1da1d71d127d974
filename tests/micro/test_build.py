"""How the library is built: warnings, sanitizers, C++, layouts, symbols, CMake, cross compilers."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tern_c
from tern_c import MICRO, PARAMS, SOURCES, WARNINGS

from tflite_export.boards import CORES

INCLUDE = f"-I{MICRO / 'include'}"
SANITIZE = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
TARGETS = {
    "arm-none-eabi-gcc": [
        *([f"-mcpu=cortex-{core}", "-mthumb"] for core in ("m0plus", "m4", "m55")),
        ["-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard"],  # with Helium
    ],
    "riscv64-unknown-elf-gcc": [["-march=rv32imc", "-mabi=ilp32"]],
}


def run(*command: object, **options: Any) -> str:
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)
    assert result.returncode == 0, f"{command[0]} failed:\n{result.stdout}{result.stderr}"
    return result.stdout


def compile_objects(compiler: str, folder: Path, *flags: str) -> list[Path]:
    run(compiler, *WARNINGS, *flags, INCLUDE, "-c", *SOURCES, cwd=folder)
    return sorted(folder.glob("*.o"))


@pytest.mark.parametrize("optimisation", ["-O0", "-Os", "-O3"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_no_warnings(compiler: str, optimisation: str, tmp_path: Path, require_tool: Callable[..., None]) -> None:
    require_tool(compiler)
    assert len(compile_objects(compiler, tmp_path, optimisation)) == len(SOURCES)


@pytest.mark.parametrize(("compiler", "flags"), [(name, flags) for name, cpus in TARGETS.items() for flags in cpus])
def test_no_warnings_from_cross_compilers(
    compiler: str, flags: list[str], tmp_path: Path, require_tool: Callable[..., None]
) -> None:
    require_tool(compiler)
    assert len(compile_objects(compiler, tmp_path, "-Os", "-ffreestanding", *flags)) == len(SOURCES)


@pytest.mark.parametrize("core", ["cortex-m0", "cortex-m3", "cortex-m4", "cortex-m55"])
def test_no_warnings_from_clang_about_assembly(core: str, tmp_path: Path) -> None:
    compiler = (sys.executable, "-m", "ziglang", "cc")
    sources = [path for path in SOURCES if "__asm__" in path.read_text() or "vectors" in path.name]
    flags = ("-Os", "-ffreestanding", *CORES[core].zig_flags)
    assert len(sources) > 10
    for source in sources:
        run(*compiler, *WARNINGS, *flags, INCLUDE, "-c", source, "-o", tmp_path / "source.o")


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_header_is_cpp(compiler: str, tmp_path: Path, require_tool: Callable[..., None]) -> None:
    require_tool(compiler)
    source = tmp_path / "consumer.cpp"
    source.write_text('#include "tern.h"\ntern_shape shape = {1, 2, TERN_ALIGNMENT};\n')
    run(compiler, "-std=c++11", "-pedantic", "-Wall", "-Wextra", "-Werror", INCLUDE, "-fsyntax-only", source)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_random_calls_under_sanitizers(compiler: str, tmp_path: Path, require_tool: Callable[..., None]) -> None:
    require_tool(compiler)
    program = tmp_path / "fuzz"
    source = Path(__file__).with_name("fuzz_kernels.c")
    run(compiler, *WARNINGS, *SANITIZE, INCLUDE, *SOURCES, source, "-o", program)
    for seed in range(3):
        run(program, seed, 5000)


def test_calls_that_a_fuzzer_searches_for(tmp_path: Path, require_tool: Callable[..., None]) -> None:
    require_tool("clang")
    program = tmp_path / "fuzz"
    source = Path(__file__).with_name("fuzz_kernels.c")
    fuzzer = ("-DLIBFUZZER", "-fsanitize=fuzzer")
    run("clang", *WARNINGS, *SANITIZE, *fuzzer, INCLUDE, *SOURCES, source, "-o", program)
    # not -rss_limit_mb: that looks at the peak, which a process inherits from the one that started it
    memory = {**os.environ, "ASAN_OPTIONS": "hard_rss_limit_mb=1024"}
    run(program, "-runs=20000", "-seed=1", "-timeout=10", "-rss_limit_mb=0", cwd=tmp_path, env=memory)


def structures() -> dict[str, type[ctypes.Structure]]:
    """The C name of every structure that the tests mirror."""
    headers = "".join(path.read_text() for path in (MICRO / "include").glob("*.h"))
    params = dict(re.findall(r"tern_status (tern_\w+)\(const (tern_\w+) \*", headers))
    return {params[name]: kind for name, kind in PARAMS.items()} | {
        "tern_shape": tern_c.Shape,
        "tern_weights": tern_c.Weights,
        "tern_window": tern_c.WindowParams,
        "tern_requantization": tern_c.RequantizationParams,
        "tern_float64_requantization": tern_c.RequantizationParams,
    }


def test_structures_are_laid_out_as_in_python(tmp_path: Path, require_tool: Callable[..., None]) -> None:
    require_tool("cc")
    lines = ["#include <stddef.h>", "#include <stdio.h>", '#include "tern.h"', "int main(void) {"]
    expected = []
    for name, kind in structures().items():
        lines.append(f'    printf("{name} %zu\\n", sizeof({name}));')
        expected.append(f"{name} {ctypes.sizeof(kind)}")
        for field, *_ in kind._fields_:
            lines.append(f'    printf("{name}.{field} %zu\\n", offsetof({name}, {field}));')
            expected.append(f"{name}.{field} {getattr(kind, field).offset}")
    source, program = tmp_path / "layout.c", tmp_path / "layout"
    source.write_text("\n".join([*lines, "    return 0;", "}", ""]))
    run("cc", *WARNINGS, INCLUDE, source, "-o", program)
    assert run(program).splitlines() == expected


def symbols(path: Path) -> dict[str, str]:
    """Symbol -> type of nm, of an object, an archive or a program."""
    fields = (line.split() for line in run("nm", path).splitlines())
    return {words[-1]: words[-2] for words in fields if len(words) >= 2}


def test_needs_nothing_and_writes_no_globals(tmp_path: Path, require_tool: Callable[..., None]) -> None:
    require_tool("gcc", "ld", "nm")
    objects = compile_objects("gcc", tmp_path, "-O2", "-fno-pie")
    linked = tmp_path / "tern.o"
    run("ld", "-r", *objects, "-o", linked)
    found = symbols(linked)
    undefined = {name for name, kind in found.items() if kind == "U"}
    assert undefined <= {"memcpy", "memmove", "memset"}, "these any compiler may call, even freestanding"
    assert {name for name, kind in found.items() if kind in "BbDdCGgSs"} == set()
    assert set(PARAMS) <= {name for name, kind in found.items() if kind == "T"}
    assert all(name.startswith("tern_") for name, kind in found.items() if kind == "T")


def test_linker_drops_the_formats_that_are_not_used(tmp_path: Path, require_tool: Callable[..., None]) -> None:
    require_tool("gcc", "nm")
    objects = compile_objects("gcc", tmp_path, "-Os", "-ffunction-sections")
    main, program = tmp_path / "main.c", tmp_path / "program"
    main.write_text(
        '#include "tern.h"\n'
        "int main(int argc, char **argv) {\n"
        "    return (int)tern_conv2d_ternary_ref((const void *)argv[argc], (const void *)argv[0], (void *)argv[0]);\n"
        "}\n"
    )
    run("gcc", "-Os", INCLUDE, main, *objects, "-Wl,--gc-sections", "-o", program)
    kept = {name for name in symbols(program) if name.startswith("tern_")}
    assert {"tern_conv2d_ternary_ref", "tern_dot_ternary"} <= kept
    assert not {name for name in kept if "int8" in name or "binary" in name or "softmax" in name or "column" in name}


CONSUMER = """
#include "tern.h"

int main(void) {
    const tern_pad_params params = {{1, 1, 1, 3}, {1, 1, 1, 3}, {0, 0, 0, 0}, 0};
    const int8_t input[3] = {1, 2, 3};
    int8_t output[3] = {0, 0, 0};
    return tern_pad_ref(&params, input, output) == TERN_OK && output[2] == 3 ? 0 : 1;
}
"""


def consumer(folder: Path, finds_tern: str) -> Path:
    folder.mkdir()
    (folder / "main.c").write_text(CONSUMER)
    (folder / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\nproject(consumer LANGUAGES C)\n"
        f"{finds_tern}\nadd_executable(consumer main.c)\ntarget_link_libraries(consumer tern::tern)\n"
    )
    return folder


def test_cmake_subdirectory(tmp_path: Path, require_tool: Callable[..., None]) -> None:
    require_tool("cmake", "cc")
    source = consumer(tmp_path / "consumer", f"add_subdirectory({MICRO.as_posix()} tern)")
    run("cmake", "-S", source, "-B", tmp_path / "build", "-DTERN_WARNINGS_AS_ERRORS=ON")
    run("cmake", "--build", tmp_path / "build")
    run(tmp_path / "build" / "consumer")


def test_cmake_install_and_find_package(tmp_path: Path, require_tool: Callable[..., None]) -> None:
    require_tool("cmake", "cc")
    prefix = tmp_path / "prefix"
    run("cmake", "-S", MICRO, "-B", tmp_path / "tern", f"-DCMAKE_INSTALL_PREFIX={prefix}")
    run("cmake", "--build", tmp_path / "tern", "--target", "install")
    source = consumer(tmp_path / "consumer", "find_package(tern CONFIG REQUIRED)")
    run("cmake", "-S", source, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", tmp_path / "build")
    run(tmp_path / "build" / "consumer")


def test_cmake_with_a_cross_compiler(tmp_path: Path, require_tool: Callable[..., None]) -> None:
    require_tool("cmake", "arm-none-eabi-gcc", "nm")
    toolchain = tmp_path / "toolchain.cmake"
    toolchain.write_text(
        "set(CMAKE_SYSTEM_NAME Generic)\nset(CMAKE_C_COMPILER arm-none-eabi-gcc)\n"
        'set(CMAKE_C_FLAGS_INIT "-mcpu=cortex-m4 -mthumb -ffreestanding")\n'
        "set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)\n"
    )
    build = tmp_path / "build"
    run("cmake", "-S", MICRO, "-B", build, f"-DCMAKE_TOOLCHAIN_FILE={toolchain}", "-DTERN_WARNINGS_AS_ERRORS=ON")
    run("cmake", "--build", build)
    assert set(PARAMS) <= set(symbols(build / "libtern.a"))


def test_cmake_lists_every_source() -> None:
    listed = re.findall(r"src/\w+\.c", (MICRO / "CMakeLists.txt").read_text())
    assert listed == [f"src/{path.name}" for path in SOURCES]


def test_readme_example(tmp_path: Path, require_tool: Callable[..., None]) -> None:
    require_tool("cc")
    (example,) = re.findall(r"```c\n(.*?)```", (MICRO / "README.md").read_text(), re.DOTALL)
    source, program = tmp_path / "example.c", tmp_path / "example"
    source.write_text(example)
    run("cc", *WARNINGS, INCLUDE, source, *SOURCES, "-o", program)
    run(program)
