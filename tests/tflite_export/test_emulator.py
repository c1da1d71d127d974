import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import toy_model

from tflite_export import emulator, emulator_run
from tflite_export.boards import BOARDS
from tflite_export.emulator import find_emulator, run_firmware
from tflite_export.errors import ExportError
from tflite_export.firmware import Firmware, ModelInterface, build_firmware

SAMPLES = toy_model.samples(5)
EXPECTED = toy_model.reference(SAMPLES)
UNICORN_BOARDS = [name for name, board in BOARDS.items() if board.core.unicorn]
Build = Callable[[str, str], Firmware]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory, require_tool) -> Build:
    """Builds the hand-written model for a board with a compiler, once."""
    folder = tmp_path_factory.mktemp("toy")
    model = toy_model.write(folder)
    built: dict[tuple[str, str], Firmware] = {}

    def get(board_name: str, compiler: str) -> Firmware:
        board = BOARDS[board_name]
        if compiler == "gcc":
            require_tool(board.core.gcc[0])
        if (board_name, compiler) not in built:
            out = folder / f"{board_name}-{compiler}.elf"
            built[board_name, compiler] = build_firmware(
                **model, board=board, interface=toy_model.INTERFACE, out=out, compiler=compiler
            )
        return built[board_name, compiler]

    return get


@pytest.mark.emulator
@pytest.mark.parametrize("compiler", ["gcc", "zig"])
@pytest.mark.parametrize("board_name", BOARDS)
def test_qemu_computes_the_model(board_name: str, compiler: str, build: Build, require_tool):
    require_tool(BOARDS[board_name].qemu)
    result = run_firmware(build(board_name, compiler), SAMPLES, "qemu")
    np.testing.assert_array_equal(result.outputs, EXPECTED)
    assert result.outputs.dtype == np.int8
    assert result.emulator == "qemu"


@pytest.mark.parametrize("board_name", UNICORN_BOARDS)
def test_unicorn_computes_the_model(board_name: str, build: Build):
    result = run_firmware(build(board_name, "zig"), SAMPLES, "unicorn")
    np.testing.assert_array_equal(result.outputs, EXPECTED)
    assert result.emulator == "unicorn"


@pytest.mark.emulator
@pytest.mark.parametrize("compiler", ["gcc", "zig"])
@pytest.mark.parametrize("board_name", UNICORN_BOARDS)
def test_both_emulators_count_the_same_instructions(board_name: str, compiler: str, build: Build, require_tool):
    require_tool(BOARDS[board_name].qemu)
    firmware = build(board_name, compiler)
    counts = {
        name: [run_firmware(firmware, SAMPLES[i : i + 1], name).instructions for i in range(3)]
        for name in ("qemu", "unicorn")
    }
    assert counts["qemu"] == counts["unicorn"]


LOOP_SOURCE = """#include "toy.h"
int toy_invoke(const int8_t *input, int8_t *output, void *arena)
{
    (void)arena;
    for (int i = 0; i < 100 * input[0]; ++i) {
        __asm volatile("");
    }
    output[0] = input[0];
    return 0;
}
"""


@pytest.mark.emulator
@pytest.mark.parametrize("board_name", BOARDS)
def test_instructions_are_exact_for_a_known_loop(board_name: str, tmp_path: Path, require_board):
    require_board(board_name)
    board = BOARDS[board_name]
    model = toy_model.write(tmp_path, source=LOOP_SOURCE)
    firmware = build_firmware(
        **model, board=board, interface=ModelInterface("toy", (1,), (1,), 0), out=tmp_path / "a.elf", compiler="gcc"
    )
    counts = [run_firmware(firmware, np.array([[n]], np.int8), "qemu").instructions for n in (1, 2, 3, 100)]
    per_hundred = counts[1] - counts[0]
    assert per_hundred >= 100
    assert per_hundred % 100 == 0
    assert np.diff(counts).tolist() == [per_hundred, per_hundred, 97 * per_hundred]


def test_progress_reaches_the_number_of_samples(build: Build):
    seen: list[int] = []
    run_firmware(build("mps2-an386", "zig"), SAMPLES, "unicorn", progress=seen.append)
    assert seen == [1, 2, 3, 4, 5]


@pytest.mark.emulator
def test_progress_under_qemu(build: Build, require_tool):
    require_tool("qemu-system-arm")
    seen: list[int] = []
    run_firmware(build("mps2-an386", "zig"), SAMPLES, "qemu", progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == len(SAMPLES)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (SAMPLES[:, :15], r"int8 of the shape \(5, 15\), expected int8 of the shape \(samples, 16\)"),
        (SAMPLES.astype(np.float32), r"'toy' are float32 of the shape \(5, 16\), expected int8"),
        (SAMPLES[0], r"int8 of the shape \(16,\), expected"),
        (SAMPLES[:0], "there are no samples for 'toy'"),
    ],
)
def test_samples_that_do_not_fit(samples: np.ndarray, message: str, build: Build):
    with pytest.raises(ExportError, match=message):
        run_firmware(build("mps2-an386", "zig"), samples, "unicorn")


def test_emulator_names():
    with pytest.raises(ExportError, match="unknown emulator 'bochs': choose one of qemu, unicorn"):
        find_emulator(BOARDS["microbit"], "bochs")


def test_unicorn_has_no_cortex_m55():
    with pytest.raises(ExportError, match="no emulator for mps3-an547: Unicorn does not emulate the cortex-m55"):
        find_emulator(BOARDS["mps3-an547"], "unicorn")


def test_missing_emulators(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert find_emulator(BOARDS["microbit"]) == "unicorn"
    with pytest.raises(ExportError, match=r"no emulator for microbit: install qemu-system-arm$"):
        find_emulator(BOARDS["microbit"], "qemu")
    monkeypatch.setattr(emulator.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ExportError, match="install qemu-system-riscv32; `pip install unicorn`"):
        find_emulator(BOARDS["riscv-virt"])


MISBEHAVING_SOURCE = """#include "toy.h"
int toy_invoke(const int8_t *input, int8_t *output, void *arena)
{
    (void)arena;
    output[0] = input[0];
    if (input[0] == 1) {
        return 3;
    }
    if (input[0] == 2) {
        __builtin_trap();
    }
    while (input[0] == 3) {
        __asm volatile("");
    }
    return 0;
}
"""


@dataclass(frozen=True)
class Misbehaviour:
    first_input: int
    message: str
    timeout: float = 60


MISBEHAVIOURS = [
    Misbehaviour(1, "the model returned status 3 for sample 2 on {board}"),
    Misbehaviour(2, "the firmware failed at sample 2 on {board} with exit status 1: fault: pc 0x"),
    # long enough for the emulator to start on a busy machine
    Misbehaviour(3, "{emulator} did not finish sample 2 on {board} within 3 s", timeout=3),
]


@pytest.fixture(scope="session")
def misbehaving(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Firmware]:
    folder = tmp_path_factory.mktemp("misbehaving")
    model = toy_model.write(folder, source=MISBEHAVING_SOURCE)
    interface = ModelInterface("toy", (1,), (1,), 0)

    def get(board_name: str) -> Firmware:
        out = folder / f"{board_name}.elf"
        return build_firmware(**model, board=BOARDS[board_name], interface=interface, out=out, compiler="zig")

    return get


def check_misbehaviour(case: Misbehaviour, board: str, name: str, firmware: Firmware) -> None:
    samples = np.array([[0], [0], [case.first_input], [0]], np.int8)
    message = case.message.format(board=board, emulator={"qemu": "QEMU", "unicorn": "Unicorn"}[name])
    with pytest.raises(ExportError, match=message):
        run_firmware(firmware, samples, name, timeout=case.timeout)


@pytest.mark.parametrize("case", MISBEHAVIOURS, ids=["status", "fault", "endless"])
@pytest.mark.parametrize("board_name", ["microbit", "mps2-an386", "riscv-virt"])
def test_misbehaving_models_in_unicorn(board_name: str, case: Misbehaviour, misbehaving):
    check_misbehaviour(case, board_name, "unicorn", misbehaving(board_name))


@pytest.mark.emulator
@pytest.mark.parametrize("case", MISBEHAVIOURS, ids=["status", "fault", "endless"])
@pytest.mark.parametrize("board_name", ["microbit", "mps2-an386", "mps3-an547", "riscv-virt"])
def test_misbehaving_models_in_qemu(board_name: str, case: Misbehaviour, misbehaving, require_tool):
    require_tool(BOARDS[board_name].qemu)
    check_misbehaviour(case, board_name, "qemu", misbehaving(board_name))


def test_output_of_another_length_than_expected(build: Build, monkeypatch: pytest.MonkeyPatch):
    run = emulator_run.EmulatorRun(status=0, console="", output=bytes(39), instructions=1)
    monkeypatch.setattr(emulator, "find_emulator", lambda board, name: "qemu")
    monkeypatch.setattr(emulator, "run_qemu", lambda *_: run)
    with pytest.raises(ExportError, match="wrote 39 bytes, expected 40: 5 samples of 8"):
        run_firmware(build("mps2-an386", "zig"), SAMPLES)
