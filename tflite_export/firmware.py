"""Building a bare-metal image that streams samples through a generated model."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from tflite_export.boards import Board
from tflite_export.elf import SectionSizes, section_sizes
from tflite_export.errors import ExportError
from tflite_export.micro_sources import micro_dir
from tflite_export.toolchain import Toolchain, find_toolchain

_FIRMWARE_SOURCES = ("main.c", "counter.c", "division.c", "memory.c", "semihosting.c", "startup.c")
_BUFFER_ALIGNMENT = 4
_INSTRUCTIONS_PER_SECOND = 10**9  # of QEMU with -icount shift=0
# Where a model's source says that a step is done.
_HOOK = b"TERN_AFTER_OP"
# GNU ld: region `RAM' overflowed by 8 bytes. LLD: section '.bss' will not fit in region 'RAM': overflowed by 8 bytes
_OVERFLOW = re.compile(r"region [`'](\w+)':? overflowed by (\d+) byte")


@dataclass(frozen=True)
class ModelInterface:
    """How a generated model is called.

    Attributes:
        name: Its function is `NAME_invoke`, declared in `NAME.h`.
        input_bytes: The size of each input. One input and one output are passed as plain pointers, else as arrays
            of pointers.
        output_bytes: The size of each output.
        arena_bytes: The size of the arena.

    Example:
        >>> ModelInterface("digits", input_bytes=(64,), output_bytes=(10,), arena_bytes=512).sample_bytes
        64
    """

    name: str
    input_bytes: tuple[int, ...]
    output_bytes: tuple[int, ...]
    arena_bytes: int

    @property
    def sample_bytes(self) -> int:
        """Bytes of all inputs."""
        return sum(self.input_bytes)

    @property
    def result_bytes(self) -> int:
        """Bytes of all outputs, as they lie on the board."""
        return sum(_on_board(self.output_bytes))

    def to_board(self, samples: np.ndarray) -> np.ndarray:
        """Samples, int8 of shape (samples, sample_bytes), with each input moved to an aligned place."""
        splits = np.cumsum(self.input_bytes)[:-1]
        columns = [
            np.pad(part, ((0, 0), (0, size - part.shape[1])))
            for part, size in zip(np.split(samples, splits, axis=1), _on_board(self.input_bytes), strict=True)
        ]
        return np.concatenate(columns, axis=1)

    def from_board(self, results: np.ndarray) -> np.ndarray:
        """Results, int8 of shape (samples, result_bytes), with the outputs one after the other again."""
        splits = np.cumsum(_on_board(self.output_bytes))[:-1]
        parts = np.split(results, splits, axis=1)
        return np.concatenate([part[:, :size] for part, size in zip(parts, self.output_bytes, strict=True)], axis=1)


def _on_board(sizes: tuple[int, ...]) -> list[int]:
    """What each of several buffers takes, so that the next may be of floats."""
    return list(sizes) if len(sizes) == 1 else [-(-size // _BUFFER_ALIGNMENT) * _BUFFER_ALIGNMENT for size in sizes]


@dataclass(frozen=True)
class Firmware:
    """A built image.

    Attributes:
        elf: The executable.
        board: The board that it is for.
        compiler: `"gcc"` or `"zig"`.
        interface: The model's interface.
        model_sizes: Bytes of the model alone, with the kernels that it uses: the image without startup, input and
            output, buffers and the compiler's run-time library.
        profiled_steps: How many steps of the model it tells apart; 0 for a plain image.
    """

    elf: Path
    board: Board
    compiler: str
    interface: ModelInterface
    model_sizes: SectionSizes
    profiled_steps: int = 0


def build_firmware(
    sources: Sequence[Path],
    include_dirs: Sequence[Path],
    board: Board,
    interface: ModelInterface,
    out: Path,
    compiler: str | None = None,
    optimize: str = "-O2",
    profiled_steps: int = 0,
) -> Firmware:
    """Compile a model and link it with the firmware of a board.

    Args:
        sources: The generated C file and the kernel library's.
        include_dirs: Where their headers are.
        board: The board.
        interface: The model's interface.
        out: The executable to write; its folder is made if it is missing.
        compiler: `"gcc"`, `"zig"`, or None for what is installed.
        optimize: The compiler's optimisation flag.
        profiled_steps: The number of the model's steps, to tell them apart in a trace; 0 for a plain image.

    Returns:
        The image.

    Raises:
        ExportError: No compiler is installed, the sources do not compile, the image does not fit the board's
            memories, or `out` cannot be written. Nothing is written then.
    """
    toolchain = find_toolchain(board.core, compiler)
    micro = micro_dir()
    out = out.resolve()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".firmware.", dir=out.parent) as folder:
            build = Path(folder)
            (build / "glue.c").write_text(glue_source(interface, profiled_steps))
            (build / "memory.ld").write_text(memory_script(board))

            model = build / "model.o"
            # the model's folders first: its header may have the name of one of the firmware's
            includes = [*include_dirs, micro / "firmware"]
            hook = [micro / "firmware" / "profile.h"] if profiled_steps else []
            _compile_model(toolchain, sources, includes, f"{interface.name}_invoke", optimize, hook, model)
            own = [build / "glue.c", *_firmware_sources(board, micro / "firmware", profiled_steps)]
            objects = [model, *toolchain.compile_all(own, build / "firmware", includes, (optimize, *_defines(board)))]

            image = build / "image.elf"
            _link(toolchain, objects, image, micro / "firmware" / "link.ld", build, board)
            sizes = section_sizes([model])
            image.replace(out)
    except OSError as error:
        raise ExportError(f"cannot write {out}: {error.strerror}; choose another output folder") from error
    return Firmware(out, board, toolchain.name, interface, sizes, profiled_steps)


def glue_source(interface: ModelInterface, profiled_steps: int = 0) -> str:
    """The C source that gives the firmware its model: buffers, their sizes and the call."""
    inputs = _pointers("tern_model_input", _on_board(interface.input_bytes))
    outputs = _pointers("tern_model_output", _on_board(interface.output_bytes))
    # through void pointers: the model's may be of int8 or of anything else
    if len(inputs) == len(outputs) == 1:
        arrays, arguments = "", f"(const void *)({inputs[0]}), (void *)({outputs[0]})"
    else:
        arrays = (
            f"    const int8_t *const inputs[] = {{{', '.join(inputs)}}};\n"
            f"    int8_t *const outputs[] = {{{', '.join(outputs)}}};\n"
        )
        arguments = "(const void *)inputs, (void *)outputs"
    header = '#include "profile.h"\n' if profiled_steps else ""
    start = "    profile_step();\n" if profiled_steps else ""  # of the first step
    return f"""{header}#include "tern_model.h"
#include "{interface.name}.h"

#define ALIGNED __attribute__((aligned(TERN_ALIGNMENT)))

ALIGNED int8_t tern_model_input[{sum(_on_board(interface.input_bytes))}];
ALIGNED int8_t tern_model_output[{interface.result_bytes}];
const uint32_t tern_model_input_bytes = sizeof tern_model_input;
const uint32_t tern_model_output_bytes = sizeof tern_model_output;

/* C has no arrays of no bytes. */
static ALIGNED uint8_t arena[{max(1, interface.arena_bytes)}];

int tern_model_invoke(void)
{{
{arrays}{start}    return {interface.name}_invoke({arguments}, arena);
}}
"""


def memory_script(board: Board) -> str:
    """The part of the linker script that is the board's."""
    return f"""MEMORY
{{
    FLASH (rx) : ORIGIN = {board.flash.origin:#x}, LENGTH = {board.flash.size:#x}
    RAM (rw)   : ORIGIN = {board.ram.origin:#x}, LENGTH = {board.ram.size:#x}
}}
__stack_bytes__ = {board.stack_bytes:#x};
"""


def _pointers(buffer: str, sizes: Sequence[int]) -> list[str]:
    return [f"{buffer} + {sum(sizes[:i])}" for i in range(len(sizes))]


def _firmware_sources(board: Board, folder: Path, profiled_steps: int) -> list[Path]:
    own = (f"startup_{board.core.architecture}.c", f"counter_{board.core.architecture}.c")
    return [folder / name for name in (*_FIRMWARE_SOURCES, *own, *(["profile.c"] if profiled_steps else []))]


def _defines(board: Board) -> tuple[str, ...]:
    if board.systick_hz == 0:
        return ()
    ticks = Fraction(board.systick_hz, _INSTRUCTIONS_PER_SECOND)
    return (
        f"-DTERN_SYSTICK_TICKS={ticks.numerator}",
        f"-DTERN_SYSTICK_INSTRUCTIONS={ticks.denominator}",
    )


def _compile_model(
    toolchain: Toolchain,
    sources: Sequence[Path],
    include_dirs: Sequence[Path],
    entry: str,
    optimize: str,
    hook: Sequence[Path],
    target: Path,
) -> None:
    # only the model's own source says when a step is done: the kernels are those of a plain image
    hooked = [source for source in sources if hook and _HOOK in source.read_bytes()]
    plain = [source for source in sources if source not in hooked]
    objects = toolchain.compile_all(plain, target.parent / "plain", include_dirs, (optimize,))
    objects += toolchain.compile_all(hooked, target.parent / "hooked", include_dirs, (optimize,), hook)
    toolchain.combine(objects, target, entry)


def _link(toolchain: Toolchain, objects: Sequence[Path], image: Path, script: Path, cwd: Path, board: Board) -> None:
    try:
        toolchain.link(objects, image, script, cwd)
    except ExportError as error:
        overflows: dict[str, int] = {}
        for region, excess in _OVERFLOW.findall(str(error)):
            overflows[region] = max(int(excess), overflows.get(region, 0))
        if not overflows:
            raise
        sizes = {"FLASH": board.flash.size, "RAM": board.ram.size}
        lacking = " and ".join(f"{n} bytes more {r} than its {sizes[r]}" for r, n in overflows.items())
        raise ExportError(
            f"the model does not fit {board.name}: it needs {lacking}; make it smaller or choose a larger board"
        ) from None
