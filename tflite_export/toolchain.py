"""Finding and running C compilers: for this machine, and for the boards.

A GCC for the core is taken where one is installed; `zig cc` of the package `ziglang` is Clang for every core
with its run-time library and linker, and needs nothing but pip.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tflite_export.boards import Core
from tflite_export.cache import compile_once
from tflite_export.errors import ExportError

COMPILERS = ("gcc", "zig")

_HOST_COMPILERS = ("cc", "gcc", "clang")
_BOARD_FLAGS = (
    "-std=c99",
    "-Wall",
    "-Wextra",
    "-ffreestanding",
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-asynchronous-unwind-tables",
    "-fno-unwind-tables",
    "-fomit-frame-pointer",  # the default of GCC, not of Zig
)
# Zig switches undefined-behaviour checks on unless told not to.
_ZIG_FLAGS = ("-fno-sanitize=undefined",)
_HOST_FLAGS = ("-std=c99", "-fPIC")
# With it GCC writes what the functions take of the stack beside the object file.
_STACK_USAGE = "-fstack-usage"
_INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*["<]([^">]+)[">]', re.MULTILINE)
_THREADS = 2


def run(command: Sequence[str | Path], cwd: Path | None = None) -> str:
    """Run a program to its end.

    Args:
        command: The program and its arguments.
        cwd: Its working folder.

    Returns:
        What it wrote to the standard output.

    Raises:
        ExportError: The program is missing or failed; the message ends with its own words.

    Example:
        >>> run(["echo", "hello"]).strip()
        'hello'
    """
    words = [str(word) for word in command]
    try:
        result = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    except OSError as error:
        raise ExportError(f"cannot run {words[0]}: {error.strerror}") from error
    if result.returncode != 0:
        said = (result.stderr or result.stdout).strip()
        raise ExportError(f"{words[0]} failed with status {result.returncode}: {' '.join(words)}\n{said}")
    return result.stdout


def host_compiler() -> tuple[str, ...]:
    """The command of a C compiler for this machine: `cc`, `gcc`, `clang` or else `zig cc`.

    Raises:
        ExportError: There is none.
    """
    for name in _HOST_COMPILERS:
        if path := shutil.which(name):
            return (path,)
    if zig := _zig():
        return zig
    raise ExportError("no C compiler for this machine: install gcc or clang, or `pip install ziglang`")


def host_toolchain() -> Toolchain:
    """The compiler for this machine.

    Raises:
        ExportError: There is none.
    """
    return Toolchain("host", host_compiler(), _HOST_FLAGS, ())


@dataclass(frozen=True)
class Toolchain:
    """A compiler for one core, or for this machine.

    Attributes:
        name: `"gcc"`, `"zig"`, or `"host"` for this machine's.
        command: The program with the core's flags.
        compile_flags: What compiling takes besides.
        libraries: The run-time library, which 64-bit division needs, as a linker's flags.
    """

    name: str
    command: tuple[str, ...]
    compile_flags: tuple[str, ...]
    libraries: tuple[str, ...]

    def version(self) -> str:
        """Which compiler it is, such as `"gcc 12.2.1"`."""
        return _version(self.name, self.command)

    def compile(
        self,
        source: Path,
        target: Path,
        include_dirs: Sequence[Path] = (),
        flags: Sequence[str] = ("-O2",),
        before: Sequence[Path] = (),
    ) -> None:
        """Compile a C file to an object file, or take it from the cache.

        Args:
            source: The C file.
            target: The object file. GCC with `-fstack-usage` writes a file with the suffix `.su` beside it.
            include_dirs: Where to look for headers.
            flags: Optimisation, defines and the like.
            before: Headers that the source includes before its first line.

        Raises:
            ExportError: with the compiler's own words.
        """
        # quoted includes look here first, <angled> ones last: a model may be called stdint
        includes = [flag for folder in include_dirs for flag in (f"-iquote{folder}", f"-idirafter{folder}")]
        includes += [flag for path in before for flag in ("-include", str(path))]
        words = [*self.command, *self.compile_flags, *flags]
        targets = [target, target.with_suffix(".su")] if _STACK_USAGE in flags else [target]
        key = _digest(words, _description(self.command), [source, *before], include_dirs)
        compile_once(key, targets, lambda: run([*words, "-c", *includes, source, "-o", target]))

    def compile_all(
        self,
        sources: Sequence[Path],
        folder: Path,
        include_dirs: Sequence[Path] = (),
        flags: Sequence[str] = ("-O2",),
        before: Sequence[Path] = (),
    ) -> list[Path]:
        """Compile C files, several at once.

        Args:
            sources: The C files.
            folder: Where the object files go; it is made if it is missing.
            include_dirs: Where to look for headers.
            flags: Optimisation, defines and the like.
            before: Headers that the sources include before their first lines.

        Returns:
            The object files, in the order of the sources.

        Raises:
            ExportError: with the compiler's own words.
        """
        folder.mkdir(parents=True, exist_ok=True)
        # numbered: sources of one name may lie in several folders
        objects = [folder / f"{number}_{source.stem}.o" for number, source in enumerate(sources)]
        with ThreadPoolExecutor(_THREADS) as pool:
            jobs = zip(sources, objects, strict=True)
            done = [pool.submit(self.compile, *job, include_dirs, flags, before) for job in jobs]
            for future in done:
                future.result()
        return objects

    def link(self, objects: Sequence[Path], target: Path, script: Path, cwd: Path) -> None:
        """Link an executable, without the sections that nothing uses.

        Args:
            objects: Object files.
            target: The executable.
            script: The linker script.
            cwd: The folder to run in: where the script's `INCLUDE` looks.

        Raises:
            ExportError: with the linker's own words.
        """
        flags = ("-nostdlib", "-Wl,--gc-sections", "-T", str(script))
        run([*self.command, *flags, *objects, *self.libraries, "-o", target], cwd)

    def link_shared(self, objects: Sequence[Path], target: Path) -> None:
        """Link a shared library for this machine.

        Raises:
            ExportError: with the linker's own words.
        """
        run([*self.command, "-shared", *objects, "-o", target])

    def combine(self, objects: Sequence[Path], target: Path, entry: str) -> None:
        """Link object files to one object file that holds only what the function `entry` uses.

        Raises:
            ExportError: with the linker's own words.
        """
        flags = ("-r", "-nostdlib", "-Wl,--gc-sections", f"-Wl,-e,{entry}")
        run([*self.command, *flags, *objects, "-o", target])


def _digest(words: Sequence[str], compiler: str, sources: Sequence[Path], include_dirs: Sequence[Path]) -> str:
    """A name for what an object file depends on: not all headers, so that models share their kernels."""
    digest = hashlib.sha256("\0".join([*words, compiler]).encode())
    pending, seen = list(sources), set()
    while pending:
        path = pending.pop()
        if path in seen:
            continue
        seen.add(path)
        content = path.read_bytes()
        digest.update(f"\0{path.name}\0".encode() + content)
        for name in _INCLUDE.findall(content):
            candidates = (folder / name.decode() for folder in (path.parent, *include_dirs))
            pending += [found for found in candidates if found.is_file()][:1]  # else the compiler's own
    return digest.hexdigest()


@functools.cache
def _description(command: tuple[str, ...]) -> str:
    return run([*command, "--version"])


@functools.cache
def _version(name: str, command: tuple[str, ...]) -> str:
    number = re.search(r"\d+\.\d+(\.\d+)?", run([*command, "-dumpversion" if name == "gcc" else "--version"]))
    program = "gcc" if name == "gcc" else "zig clang"
    return f"{program} {number[0]}" if number else program


def find_toolchain(core: Core, compiler: str | None = None) -> Toolchain:
    """Find a compiler for a core.

    Args:
        core: The core.
        compiler: `"gcc"`, `"zig"`, or None for the first of the two that is installed.

    Returns:
        The compiler.

    Raises:
        ExportError: `compiler` is not one of these, or it is not installed; the message says what to install.
    """
    if compiler not in (None, *COMPILERS):
        raise ExportError(f"unknown compiler {compiler!r}: choose one of {', '.join(COMPILERS)}")
    if compiler != "zig":
        for name in core.gcc:
            if path := shutil.which(name):
                return Toolchain("gcc", (path, *core.gcc_flags), _BOARD_FLAGS, ("-lgcc",))
    if compiler != "gcc" and (zig := _zig()):
        return Toolchain("zig", (*zig, *core.zig_flags), (*_BOARD_FLAGS, *_ZIG_FLAGS), ("-lcompiler_rt",))
    remedies = {"gcc": f"{core.gcc[0]} (Debian: {_debian_package(core)})", "zig": "`pip install ziglang`"}
    wanted = [remedies[name] for name in COMPILERS if compiler in (None, name)]
    raise ExportError(f"no {compiler or 'C'} compiler for the {core.name}: install {' or '.join(wanted)}")


def _zig() -> tuple[str, ...] | None:
    if importlib.util.find_spec("ziglang") is None:
        return None
    return (sys.executable, "-m", "ziglang", "cc")


def _debian_package(core: Core) -> str:
    return "gcc-" + core.gcc[0].removesuffix("-gcc")
