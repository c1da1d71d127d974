"""Code and stack of a model on a core: against the linked image, the compilers' own figures and a run."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import unicorn
from random_networks import random_network
from tflite_builder import OpSpec, TensorSpec, build_model

from tflite_export import ExportError, ExportReport, export
from tflite_export.boards import CORES, Board, get_board
from tflite_export.core_sizes import measure_core
from tflite_export.elf import Elf
from tflite_export.emulator_unicorn import _Host, _Machine
from tflite_export.firmware import build_firmware
from tflite_export.host import c_sources, include_dirs
from tflite_export.running import model_interface
from tflite_export.stack import STACK_FLAGS, StackBound, stack_bound
from tflite_export.toolchain import find_toolchain

SEEDS = (16, 29)


def _files(report: ExportReport) -> dict[str, str]:
    return {file: (report.folder / file).read_text() for file in (f"{report.name}.c", f"{report.name}.h")}


@pytest.mark.parametrize("compiler", ["gcc", "zig"])
def test_sizes_are_those_of_the_linked_model(
    compiler: str, tmp_path: Path, require_board: Callable[[str], None]
) -> None:
    """The firmware compiles every kernel and drops what is not used; here only what is needed is compiled."""
    if compiler == "gcc":
        require_board("mps2-an386")
    report = export(random_network(29), tmp_path, cores=())
    board = get_board("mps2-an386")
    image = build_firmware(
        c_sources(report), include_dirs(report), board, model_interface(report), tmp_path / "model.elf", compiler
    )
    found = measure_core(_files(report), report.name, board.core.name, compiler)
    sizes = image.model_sizes
    # the linker fills gaps with other functions
    assert abs(found.code_bytes - sizes.text) <= 16
    assert abs(found.constant_bytes - sizes.rodata - sizes.data) <= 16
    assert found.constant_bytes > report.weight_bytes + report.constant_bytes


def test_every_core_is_measured(tmp_path: Path) -> None:
    report = export(random_network(3), tmp_path, cores=tuple(CORES))
    assert [found.core for found in report.cores] == list(CORES)
    assert report.notes == ()
    for found in report.cores:
        assert 500 < found.code_bytes < 20_000
        assert found.stack_bytes is not None
        assert 32 <= found.stack_bytes <= 2_000
    assert ExportReport.load(tmp_path) == report


def test_no_compiler_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tflite_export.toolchain.shutil.which", lambda name: None)
    monkeypatch.setattr("tflite_export.toolchain.importlib.util.find_spec", lambda name: None)
    report = export(random_network(0), tmp_path)
    assert report.cores == ()
    assert report.notes[0].startswith("code and stack on the cortex-m4 are not measured: no C compiler for the")
    assert "not measured" in (tmp_path / "report.html").read_text()


def test_unknown_core(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="unknown core z80: choose from cortex-m0"):
        export(random_network(0), tmp_path, cores="z80")
    assert list(tmp_path.iterdir()) == []


def _ternary_convolution() -> bytes:
    weights = 100 * np.random.default_rng(0).integers(-1, 2, (16, 3, 3, 16)).astype(np.int8)
    return build_model(
        [
            TensorSpec("x", (1, 8, 8, 16), 0.1, 3),
            TensorSpec("w", (16, 3, 3, 16), [0.001] * 16, [0] * 16, weights),
            TensorSpec("y", (1, 8, 8, 16), 0.1, -4),
        ],
        [OpSpec("CONV_2D", ["x", "w"], ["y"], {"padding": "SAME"})],
        inputs=["x"],
        outputs=["y"],
    )


@pytest.mark.parametrize(
    ("board_name", "model"),
    [
        *(("mps2-an385", random_network(seed)) for seed in SEEDS),
        *((name, _ternary_convolution()) for name in ("mps2-an385-m0", "mps2-an385", "mps2-an386")),
    ],
    ids=lambda value: value if isinstance(value, str) else "model",
)
def test_a_run_stays_within_the_bound_and_comes_near_it(tmp_path: Path, board_name: str, model: bytes) -> None:
    board = get_board(board_name)
    report = export(model, tmp_path, core=board.core.name, cores=())
    found = measure_core(_files(report), report.name, board.core.name, "zig")
    image = build_firmware(
        c_sources(report), include_dirs(report), board, model_interface(report), tmp_path / "model.elf", "zig"
    )
    sample = model_interface(report).to_board(np.zeros((1, model_interface(report).sample_bytes), np.int8))
    used = _stack_used(image.elf, f"{report.name}_invoke", board, sample.tobytes())
    assert found.stack_bytes is not None
    assert found.stack_bytes - 64 <= used <= found.stack_bytes


def _stack_used(image: Path, entry: str, board: Board, sample: bytes) -> int:
    """The lowest address below the stack pointer that a call writes to."""
    elf = Elf.read(image)
    machine = _Machine(board, elf)
    host = _Host(machine, sample)
    while host.samples_read == 0:
        machine.run_until(elf.symbols["semihosting_trap"], 60)
        host.serve_call()
    machine.run_until(elf.symbols[entry], 60)
    top = lowest = machine._uc.reg_read(machine._registers.stack)
    limit = top - board.stack_bytes

    def on_write(_uc: unicorn.Uc, _access: int, address: int, *_rest: object) -> None:
        nonlocal lowest
        if limit < address < top:
            lowest = min(lowest, address)

    handle = machine._uc.hook_add(unicorn.UC_HOOK_MEM_WRITE, on_write)
    machine.run_until(machine._uc.reg_read(machine._registers.link), 60)
    machine._uc.hook_del(handle)
    return top - lowest


# Frames that no optimisation takes away: 4 bytes an element.
LEAVES = """
void use(volatile int *values);
__attribute__((noinline)) static int big(int n) { volatile int a[100]; a[n] = n; return a[n] + a[n / 2]; }
__attribute__((noinline)) static int small(int n) { volatile int a[10]; a[n] = n; return a[n] + a[n / 2]; }
"""
CHAIN = LEAVES + "int entry(int n); int entry(int n) { volatile int a[50]; a[n] = small(n); return a[n] + big(n); }"
POINTER = (
    LEAVES
    + """
__attribute__((noinline)) static int apply(int (*volatile f)(int), int n) {
    volatile int a[20];
    a[n] = n;
    return f(a[n]) + a[n / 2];
}
int entry(int n);
int entry(int n) { return apply(n > 3 ? small : big, n) + 1; }
"""
)
TABLE = (
    LEAVES
    + """
static int (*const table[2])(int) = {small, big};
int entry(int n);
int entry(int n) { return table[n & 1](n) + 1; }
"""
)
LOOP = """
int entry(int n);
__attribute__((noinline)) static int other(int n) { volatile int a[4]; a[n & 3] = n; return entry(n - 1) + a[0]; }
int entry(int n) { return n < 2 ? n : other(n) + other(n - 2); }
"""
SELF = """
int entry(int n);
__attribute__((noinline)) static int down(int n) {
    volatile int a[4];
    a[n & 3] = n;
    return n < 2 ? n : down(n - 1) + a[0];
}
int entry(int n) { return down(n) + 1; }
"""
DYNAMIC = "int entry(int n); int entry(int n) { volatile int a[n]; a[0] = n; a[n - 1] = 2; return a[0] + a[n / 2]; }"
LIBRARY = "int entry(int n); int far(int n); int entry(int n) { volatile int a[8]; a[n] = far(n); return a[n]; }"


def _bound(source: str, core: str, compiler: str, folder: Path) -> StackBound:
    (folder / "source.c").write_text(source)
    target = folder / "source.o"
    find_toolchain(CORES[core], compiler).compile(folder / "source.c", target, flags=("-O1", *STACK_FLAGS[compiler]))
    return stack_bound([target], "entry", CORES[core].architecture)


@pytest.mark.parametrize("core", ["cortex-m4", "rv32imac"])
@pytest.mark.parametrize("compiler", ["gcc", "zig"])
class TestStackBound:
    @pytest.fixture(autouse=True)
    def _needs(self, core: str, compiler: str, require_tool: Callable[..., None]) -> None:
        if compiler == "gcc":
            require_tool(CORES[core].gcc[0])

    @pytest.mark.parametrize(
        ("source", "arrays"), [(CHAIN, 150), (POINTER, 120), (TABLE, 100)], ids=["chain", "pointer", "table"]
    )
    def test_the_deepest_path(self, core: str, compiler: str, tmp_path: Path, source: str, arrays: int) -> None:
        found = _bound(source, core, compiler, tmp_path)
        assert found.size is not None
        assert 4 * arrays <= found.size <= 4 * arrays + 128  # besides the arrays: saved registers

    @pytest.mark.parametrize("source", [LOOP, SELF], ids=["two", "one"])
    def test_recursion_has_no_bound(self, core: str, compiler: str, tmp_path: Path, source: str) -> None:
        found = _bound(source, core, compiler, tmp_path)
        assert found.size is None
        assert "calls itself" in found.reason

    def test_a_frame_that_depends_on_data_has_no_bound(self, core: str, compiler: str, tmp_path: Path) -> None:
        found = _bound(DYNAMIC, core, compiler, tmp_path)
        assert found.size is None
        assert found.reason == "the frame of entry has no fixed size"

    def test_foreign_functions_are_named(self, core: str, compiler: str, tmp_path: Path) -> None:
        found = _bound(LIBRARY, core, compiler, tmp_path)
        assert found.excluded == ("far",)
        assert found.size is not None
