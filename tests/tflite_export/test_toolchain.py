import ctypes
import sys
from pathlib import Path

import pytest

from tflite_export import toolchain
from tflite_export.boards import BOARDS, CORES, get_board
from tflite_export.elf import Elf, SectionSizes, section_sizes
from tflite_export.errors import ExportError
from tflite_export.micro_sources import micro_dir
from tflite_export.toolchain import find_toolchain, host_compiler, run


@pytest.fixture
def no_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def no_ziglang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain.importlib.util, "find_spec", lambda name: None)


def test_run_returns_the_standard_output():
    assert run([sys.executable, "-c", "print('hello')"]) == "hello\n"


def test_run_reports_status_and_words():
    with pytest.raises(ExportError, match=r"failed with status 4: .*\n.*out of cheese"):
        run([sys.executable, "-c", "import sys; print('out of cheese', file=sys.stderr); sys.exit(4)"])


def test_run_reports_a_missing_program():
    with pytest.raises(ExportError, match="cannot run no-such-program: No such file"):
        run(["no-such-program"])


def build_and_call_library(folder: Path) -> int:
    source = folder / "answer.c"
    source.write_text("int answer(void);\nint answer(void) { return 42; }\n")
    library = folder / "answer.so"
    run([*host_compiler(), "-shared", "-fPIC", source, "-o", library])
    return ctypes.CDLL(str(library)).answer()


def test_host_compiler_builds_a_library(tmp_path: Path):
    assert build_and_call_library(tmp_path) == 42


@pytest.mark.usefixtures("no_programs")
def test_zig_is_a_host_compiler_where_there_is_no_other(tmp_path: Path):
    assert host_compiler()[1:] == ("-m", "ziglang", "cc")
    assert build_and_call_library(tmp_path) == 42


@pytest.mark.usefixtures("no_programs", "no_ziglang")
def test_no_host_compiler():
    with pytest.raises(ExportError, match="install gcc or clang, or `pip install ziglang`"):
        host_compiler()


@pytest.mark.usefixtures("no_programs")
def test_zig_where_no_gcc_is_installed():
    assert find_toolchain(CORES["cortex-m4"]).name == "zig"


@pytest.mark.emulator
@pytest.mark.parametrize("core", CORES.values(), ids=CORES)
def test_gcc_is_preferred(core, require_tool):
    require_tool(core.gcc[0])
    assert find_toolchain(core).name == "gcc"
    assert find_toolchain(core, "zig").name == "zig"


@pytest.mark.usefixtures("no_programs", "no_ziglang")
@pytest.mark.parametrize(
    ("core", "compiler", "message"),
    [
        ("cortex-m4", None, r"cortex-m4: install arm-none-eabi-gcc \(Debian: gcc-arm-none-eabi\) or `pip install z"),
        ("cortex-m4", "gcc", r"no gcc compiler for the cortex-m4: install arm-none-eabi-gcc \(.*\)$"),
        ("rv32imac", "gcc", r"riscv64-unknown-elf-gcc \(Debian: gcc-riscv64-unknown-elf\)$"),
        ("rv32imac", "zig", "no zig compiler for the rv32imac: install `pip install ziglang`$"),
    ],
)
def test_missing_compilers(core: str, compiler: str | None, message: str):
    with pytest.raises(ExportError, match=message):
        find_toolchain(CORES[core], compiler)


def test_unknown_compiler():
    with pytest.raises(ExportError, match="unknown compiler 'tcc': choose one of gcc, zig"):
        find_toolchain(CORES["cortex-m4"], "tcc")


def test_unknown_board_lists_the_known():
    with pytest.raises(ExportError, match=r"unknown board 'mps2': choose one of mps2-an385, .*, riscv-virt"):
        get_board("mps2")


def test_boards_are_found_by_name():
    assert [get_board(name).name for name in BOARDS] == list(BOARDS)


def test_micro_dir_has_the_sources():
    assert (micro_dir() / "include" / "tern.h").is_file()
    assert (micro_dir() / "firmware" / "link.ld").is_file()


SIZED_SOURCE = """#include <stdint.h>
const int8_t constants[100] = {1};
uint32_t variables[3] = {1, 2, 3};
int8_t zeros[50];
int entry(int i);
int entry(int i) { return constants[i] + (int)variables[i % 3] + zeros[i % 50]; }
int unused(int i);
int unused(int i) { return 5 * i; }
const int8_t unused_constants[1000] = {1};
"""


@pytest.fixture(params=["cortex-m0", "rv32imac"])
def sized_object(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    (tmp_path / "sized.c").write_text(SIZED_SOURCE)
    zig = find_toolchain(CORES[request.param], "zig")
    zig.compile(tmp_path / "sized.c", tmp_path / "sized.o")
    zig.combine([tmp_path / "sized.o"], tmp_path / "combined.o", "entry")
    return tmp_path / "sized.o"


def test_section_sizes_tell_code_from_constants_and_variables(sized_object: Path):
    sizes = section_sizes([sized_object])
    assert (sizes.rodata, sizes.data, sizes.bss) == (1100, 12, 50)
    assert 20 < sizes.text < 200
    assert section_sizes([sized_object, sized_object]) == SectionSizes(2 * sizes.text, 2200, 24, 100)


def test_combine_leaves_out_what_is_not_used(sized_object: Path):
    whole, used = section_sizes([sized_object]), section_sizes([sized_object.with_name("combined.o")])
    assert (used.rodata, used.data, used.bss) == (100, 12, 50)
    assert used.text < whole.text
    symbols = Elf.read(sized_object.with_name("combined.o")).symbols
    assert "entry" in symbols
    assert "unused" not in symbols


def test_compile_reports_the_compilers_words(tmp_path: Path):
    (tmp_path / "wrong.c").write_text("int f(void) { return undeclared; }\n")
    with pytest.raises(ExportError, match=r"wrong\.c:1:22: error: use of undeclared identifier 'undeclared'"):
        find_toolchain(CORES["cortex-m0"], "zig").compile(tmp_path / "wrong.c", tmp_path / "wrong.o")
    assert not (tmp_path / "wrong.o").exists()


def test_elf_refuses_other_files(tmp_path: Path, sized_object: Path):
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ExportError, match="text is not a 32-bit little-endian ELF file"):
        Elf.read(tmp_path / "text")
    with pytest.raises(ExportError, match="is not a 32-bit little-endian ELF file"):
        Elf.read(Path(sys.executable))  # 64 bit
    (tmp_path / "half.o").write_bytes(sized_object.read_bytes()[:200])
    with pytest.raises(ExportError, match=r"half\.o is a damaged ELF file"):
        Elf.read(tmp_path / "half.o")
