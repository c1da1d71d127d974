"""What a model's C takes on a core: machine code, constants and stack, from compiling it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tflite_export.boards import CORES
from tflite_export.elf import section_sizes
from tflite_export.errors import ExportError
from tflite_export.files import write_files
from tflite_export.micro_sources import kernel_sources, micro_dir
from tflite_export.report import CoreReport
from tflite_export.stack import STACK_FLAGS, stack_bound
from tflite_export.toolchain import find_toolchain

OPTIMIZE = "-O2"


def check_cores(names: Sequence[str]) -> tuple[str, ...]:
    """The names of cores, each once.

    Raises:
        ExportError: One is unknown; the message lists those that there are.
    """
    unknown = [name for name in names if name not in CORES]
    if unknown:
        raise ExportError(f"unknown core {', '.join(unknown)}: choose from {', '.join(CORES)}")
    return tuple(dict.fromkeys(names))


def measure_core(files: Mapping[str, str], name: str, core: str, compiler: str | None = None) -> CoreReport:
    """Compile a model with the kernels that it calls, and look at the object code.

    Args:
        files: The generated source and header, `NAME.c` and `NAME.h`.
        name: The model's name.
        core: A name of `tflite_export.boards.CORES`.
        compiler: `"gcc"`, `"zig"`, or None for what is installed.

    Returns:
        Sizes, without the compiler's run-time library.

    Raises:
        ExportError: No compiler for the core is installed, or the source does not compile.
    """
    toolchain = find_toolchain(CORES[core], compiler)
    flags = (OPTIMIZE, *STACK_FLAGS[toolchain.name])
    entry = f"{name}_invoke"
    with tempfile.TemporaryDirectory(prefix="tern-core-") as temporary:
        folder = Path(temporary)
        write_files(folder, files)
        includes = [folder, micro_dir() / "include"]
        sources = [folder / f"{name}.c", *kernel_sources(files[f"{name}.c"])]
        objects = toolchain.compile_all(sources, folder / "objects", includes, flags)
        combined = folder / "combined.elf"
        toolchain.combine(objects, combined, entry)
        sizes = section_sizes([combined])
        stack = stack_bound(objects, entry, CORES[core].architecture)
    return CoreReport(
        core=core,
        compiler=toolchain.version(),
        optimize=OPTIMIZE,
        code_bytes=sizes.text,
        constant_bytes=sizes.rodata + sizes.data,
        stack_bytes=stack.size,
        stack_note=stack.reason,
        library_functions=stack.excluded,
    )
