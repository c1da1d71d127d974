"""The custom operators of packed files, on their own: warnings, sanitizers, cross compilers, what an image carries."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tern_c import MICRO, SOURCES, WARNINGS
from test_build import INCLUDE, SANITIZE, TARGETS, run, symbols

CUSTOM_OPS = sorted((MICRO / "custom_ops").glob("*.c"))
DELEGATE = sorted((MICRO / "delegate").glob("*.c"))


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_no_warnings(compiler: str, tmp_path: Path, require_tool: Callable[..., None]) -> None:
    require_tool(compiler)
    run(compiler, *WARNINGS, "-O2", INCLUDE, "-c", *CUSTOM_OPS, *DELEGATE, cwd=tmp_path)
    assert len(list(tmp_path.glob("*.o"))) == len(CUSTOM_OPS) + len(DELEGATE)


@pytest.mark.parametrize(("compiler", "flags"), [(name, flags) for name, cpus in TARGETS.items() for flags in cpus])
def test_no_warnings_from_cross_compilers(
    compiler: str, flags: list[str], tmp_path: Path, require_tool: Callable[..., None]
) -> None:
    require_tool(compiler)
    # string.h is the C library's: its one function is declared here, as a freestanding compiler lacks the header
    (tmp_path / "string.h").write_text("#include <stddef.h>\nvoid *memcpy(void *, const void *, size_t);\n")
    run(compiler, *WARNINGS, "-Os", "-ffreestanding", *flags, INCLUDE, f"-I{tmp_path}", "-c", *CUSTOM_OPS, cwd=tmp_path)
    assert len(list(tmp_path.glob("*.o"))) == len(CUSTOM_OPS)


def test_damaged_files_under_sanitizers(tmp_path: Path, require_tool: Callable[..., None]) -> None:
    require_tool("gcc")
    program, count = tmp_path / "fuzz", 10000
    source = Path(__file__).with_name("fuzz_custom_op.c")
    run("gcc", *WARNINGS, *SANITIZE, INCLUDE, *SOURCES, *CUSTOM_OPS, source, "-o", program)
    ran = int(run(program, 1, count))
    assert count / 10 < ran < count / 2, "some files are whole, most are not"


def test_an_image_carries_the_operators_that_it_uses(tmp_path: Path, require_tool: Callable[..., None]) -> None:
    require_tool("gcc", "nm")
    main, program = tmp_path / "main.c", tmp_path / "program"
    main.write_text(
        '#include "custom_ops/tern_custom_op.h"\n'
        "int main(int argc, char **argv) {\n"
        "    static tern_custom_op op;\n"
        "    static const tern_bytes tensors[TERN_CUSTOM_TENSORS];\n"
        "    (void)argv;\n"
        "    return (int)tern_custom_op_read(&op, &tern_custom_fully_connected, &op, (size_t)argc, tensors);\n"
        "}\n"
    )
    sections = ("-Os", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections")
    run("gcc", *sections, INCLUDE, f"-I{MICRO}", main, *SOURCES, *CUSTOM_OPS, "-o", program)
    kept = {name for name in symbols(program) if name.startswith("tern_")}
    assert "tern_fully_connected_ternary_ref" in kept
    assert not {name for name in kept if "conv2d" in name}
