import ctypes
from pathlib import Path

import numpy as np
import pytest
import toy_model

from tflite_export.boards import BOARDS, CORES
from tflite_export.elf import section_sizes
from tflite_export.emulator import run_firmware
from tflite_export.errors import ExportError
from tflite_export.firmware import ModelInterface, build_firmware, glue_source
from tflite_export.micro_sources import micro_dir
from tflite_export.toolchain import find_toolchain, host_compiler, run

HOUSE_FLAGS = ("-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror")


def firmware_sources(*core_names: str) -> list:
    """Pairs of a core's name and a source of its firmware, as parameters of a test."""
    pairs = []
    for name in core_names:
        foreign = {"cortex_m", "riscv"} - {CORES[name].architecture}
        for path in sorted((micro_dir() / "firmware").glob("*.c")):
            if not path.stem.endswith(tuple(foreign)):
                pairs.append(pytest.param(name, path, id=f"{name}-{path.name}"))
    return pairs


def compile_without_warnings(core_name: str, source: Path, compiler: str, folder: Path) -> None:
    flags = (*HOUSE_FLAGS, "-DTERN_SYSTICK_TICKS=1", "-DTERN_SYSTICK_INSTRUCTIONS=40", "-DTERN_PROFILE_STEPS=3")
    find_toolchain(CORES[core_name], compiler).compile(source, folder / "source.o", flags=flags)
    assert section_sizes([folder / "source.o"]).text > 0


@pytest.mark.parametrize(("core_name", "source"), firmware_sources("cortex-m0", "cortex-m4", "rv32imac"))
def test_sources_give_clang_nothing_to_warn_about(core_name: str, source: Path, tmp_path: Path):
    compile_without_warnings(core_name, source, "zig", tmp_path)


@pytest.mark.emulator
@pytest.mark.parametrize(("core_name", "source"), firmware_sources(*CORES))
def test_sources_give_gcc_nothing_to_warn_about(core_name: str, source: Path, tmp_path: Path, require_tool):
    require_tool(CORES[core_name].gcc[0])
    compile_without_warnings(core_name, source, "gcc", tmp_path)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """memory.c on this machine, under other names: the C library has these already."""
    path = tmp_path_factory.mktemp("memory") / "memory.so"
    renamed = [f"-D{name}=tern_{name}" for name in ("memcpy", "memmove", "memset", "memcmp")]
    source = micro_dir() / "firmware" / "memory.c"
    run([*host_compiler(), "-std=c99", "-O2", "-shared", "-fPIC", *renamed, source, "-o", path])
    return ctypes.CDLL(str(path))


class TestMemory:
    @pytest.mark.parametrize("to", range(4))
    @pytest.mark.parametrize("origin", range(4))
    def test_memcpy(self, library: ctypes.CDLL, to: int, origin: int):
        for size in range(13):
            source = ctypes.create_string_buffer(bytes(range(1, 33)))
            target = ctypes.create_string_buffer(32)
            library.tern_memcpy(ctypes.byref(target, to), ctypes.byref(source, origin), size)
            expected = bytes(to) + source.raw[origin : origin + size]
            assert target.raw == expected.ljust(32, b"\0")

    @pytest.mark.parametrize("to", range(9))
    @pytest.mark.parametrize("origin", range(9))
    def test_memmove_overlapping(self, library: ctypes.CDLL, to: int, origin: int):
        buffer = ctypes.create_string_buffer(bytes(range(20)), 20)
        expected = bytearray(range(20))
        expected[to : to + 7] = expected[origin : origin + 7]
        library.tern_memmove(ctypes.byref(buffer, to), ctypes.byref(buffer, origin), 7)
        assert buffer.raw == bytes(expected)

    def test_memset(self, library: ctypes.CDLL):
        buffer = ctypes.create_string_buffer(b"abcdefgh", 8)
        library.tern_memset(ctypes.byref(buffer, 1), 0x17A, 3)
        assert buffer.raw == b"azzzefgh"

    def test_memcmp(self, library: ctypes.CDLL):
        assert library.tern_memcmp(b"abc", b"abd", 2) == 0
        assert library.tern_memcmp(b"abc", b"abd", 3) < 0
        assert library.tern_memcmp(b"ab\xff", b"abc", 3) > 0


class TestGlue:
    def test_one_input_and_output_are_plain_pointers(self):
        source = glue_source(ModelInterface("net", (16,), (4,), 0))
        assert "net_invoke((const void *)(tern_model_input + 0), (void *)(tern_model_output + 0), arena)" in source
        assert "tern_model_input[16];" in source
        assert "arena[1];" in source

    def test_several_inputs_and_outputs_are_arrays(self, tmp_path: Path):
        header = (
            '#include "tern.h"\nint toy_invoke(const int8_t *const inputs[], int8_t *const outputs[], void *arena);\n'
        )
        source = (
            '#include "toy.h"\n'
            "int toy_invoke(const int8_t *const inputs[], int8_t *const outputs[], void *arena)\n"
            "{\n"
            "    (void)arena;\n"
            "    outputs[0][0] = (int8_t)(inputs[0][2] - inputs[1][0]);\n"
            "    outputs[1][0] = inputs[1][1];\n"
            "    outputs[1][1] = inputs[0][0];\n"
            "    return 0;\n"
            "}\n"
        )
        interface = ModelInterface("toy", (3, 2), (1, 2), 0)
        model = toy_model.write(tmp_path, header, source)
        firmware = build_firmware(**model, board=BOARDS["microbit"], interface=interface, out=tmp_path / "a.elf")
        samples = np.array([[1, 2, 30, 4, 5], [6, 7, -8, 9, 10]], np.int8)
        result = run_firmware(firmware, samples, "unicorn")
        assert result.outputs.tolist() == [[26, 5, 1], [-17, 10, 6]]


class TestBuild:
    BOARD = BOARDS["mps2-an386"]

    def test_model_sizes_are_of_what_the_model_uses(self, tmp_path: Path):
        model = toy_model.write(tmp_path)
        firmware = build_firmware(
            **model, board=self.BOARD, interface=toy_model.INTERFACE, out=tmp_path / "new" / "a.elf", compiler="zig"
        )
        image = section_sizes([firmware.elf])
        assert firmware.compiler == "zig"
        assert firmware.model_sizes.rodata == len(toy_model.WEIGHTS)
        assert 200 < firmware.model_sizes.text < image.text
        assert firmware.model_sizes.bss == 0
        assert image.bss >= self.BOARD.stack_bytes + 16 + 8 + 48

    @pytest.mark.parametrize("compiler", ["zig", pytest.param("gcc", marks=pytest.mark.emulator)])
    def test_ram_overflow(self, tmp_path: Path, compiler: str, require_tool):
        if compiler == "gcc":
            require_tool("arm-none-eabi-gcc")
        interface = ModelInterface("toy", (16,), (8,), arena_bytes=20_000)
        with pytest.raises(
            ExportError,
            match=r"does not fit microbit: it needs (\d+) bytes more RAM than its 16384; make it smaller",
        ) as caught:
            build_firmware(
                **toy_model.write(tmp_path),
                board=BOARDS["microbit"],
                interface=interface,
                out=tmp_path / "build" / "a.elf",
                compiler=compiler,
            )
        excess = int(str(caught.value).split("needs ")[1].split()[0])
        assert excess == pytest.approx(2048 + 20_000 + 16 + 16 - 16384, abs=64)
        assert list((tmp_path / "build").iterdir()) == []

    def test_flash_overflow(self, tmp_path: Path):
        source = toy_model.SOURCE.replace("weights[16]", "weights[300000]")
        with pytest.raises(ExportError, match=r"does not fit microbit: it needs \d+ bytes more FLASH than its 262144"):
            build_firmware(
                **toy_model.write(tmp_path, source=source),
                board=BOARDS["microbit"],
                interface=toy_model.INTERFACE,
                out=tmp_path / "a.elf",
                compiler="zig",
            )
        assert not (tmp_path / "a.elf").exists()

    def test_a_model_that_does_not_compile(self, tmp_path: Path):
        model = toy_model.write(tmp_path, source='#error "no weights"\n')
        with pytest.raises(ExportError, match=r"toy\.c:1.*no weights"):
            build_firmware(**model, board=self.BOARD, interface=toy_model.INTERFACE, out=tmp_path / "build" / "a.elf")
        assert list((tmp_path / "build").iterdir()) == []

    def test_an_output_folder_that_cannot_be_made(self, tmp_path: Path):
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(ExportError, match=r"cannot write .*file/a\.elf: .*; choose another output folder"):
            build_firmware(
                **toy_model.write(tmp_path),
                board=self.BOARD,
                interface=toy_model.INTERFACE,
                out=tmp_path / "file" / "a.elf",
            )
