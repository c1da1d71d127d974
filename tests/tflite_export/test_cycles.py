"""Estimated cycles of short programs, held against the cores' manuals by hand; traces of steps."""

from __future__ import annotations

import pytest

from tflite_export.boards import get_core
from tflite_export.cycles import Decoder, Trace, estimate_cycles
from tflite_export.recorder import Recorder

START = 0x100


def cycles(core: str, code: str, *, taken: int = 0, count: int = 1) -> int:
    """Of straight code, given as halfwords in hexadecimal, that is left by a branch to its start `taken` times."""
    halfwords = [int(word, 16).to_bytes(2, "little") for word in code.split()]
    memory = b"".join(halfwords)
    end = START + len(memory)
    trace = Trace({(START, end, START): taken, (START, end, end): count - taken})
    decoder = Decoder(get_core(core), {START: memory})
    return estimate_cycles(get_core(core), trace, decoder)[1]


LDR_R0_R1, LDR_R2_R3, LDR_R2_R0 = "6808", "681a", "6802"
ADDS_R0_R1, ADDS_R2_R3, ADDS_R2_R0 = "1840", "18d2", "1812"
LDM_4, POP_R4_PC, STR_R0_R1, BX_LR = "c93c", "bd10", "6008", "4770"
SMULL, MLA, SDIV, SMLAD = "fb82 0103", "fb01 0002", "fb91 f0f2", "fb23 4408"
BNE_START = "d1fd"  # two halfwords back


@pytest.mark.parametrize(
    ("code", "m0", "m3", "m4"),
    [
        (LDR_R0_R1, 2, 2, 2),
        (f"{LDR_R0_R1} {LDR_R2_R3}", 4, 3, 3),  # pipelined
        (f"{LDR_R0_R1} {LDR_R2_R0}", 4, 4, 4),  # the address is what was loaded
        (STR_R0_R1, 2, 1, 1),
        (LDM_4, 5, 5, 5),
        (ADDS_R0_R1, 1, 1, 1),
    ],
)
def test_the_manuals_tables(code: str, m0: int, m3: int, m4: int) -> None:
    assert [cycles(core, code) for core in ("cortex-m0", "cortex-m3", "cortex-m4")] == [m0, m3, m4]


@pytest.mark.parametrize(("code", "m3", "m4"), [(SMULL, 4, 1), (MLA, 2, 1), (SDIV, 7, 7)])
def test_multiplications_and_divisions(code: str, m3: int, m4: int) -> None:
    assert [cycles(core, code) for core in ("cortex-m3", "cortex-m4")] == [m3, m4]


def test_branches() -> None:
    loop = f"{ADDS_R0_R1} {BNE_START}"
    assert [cycles(core, loop, taken=9, count=10) for core in ("cortex-m0", "cortex-m4")] == [20 + 9 * 2, 20 + 9]
    assert [cycles(core, BX_LR, taken=1) for core in ("cortex-m0", "cortex-m4")] == [3, 3]
    assert [cycles(core, POP_R4_PC, taken=1) for core in ("cortex-m0", "cortex-m4")] == [6, 5]


def test_two_instructions_a_cycle() -> None:
    assert cycles("cortex-m7", f"{ADDS_R0_R1} {ADDS_R2_R3}") == 1
    assert cycles("cortex-m7", f"{ADDS_R0_R1} {ADDS_R2_R0}") == 2
    assert cycles("cortex-m7", f"{SMLAD} {SMLAD}") == 2  # one multiplier; the sum goes on after a cycle
    assert cycles("cortex-m55", f"{ADDS_R0_R1} {ADDS_R2_R3}") == 2


def test_a_riscv_core_takes_a_cycle_an_instruction() -> None:
    decoder = Decoder(get_core("rv32imac"), {START: bytes.fromhex("3305b500 0105".replace(" ", ""))})  # add, addi
    trace = Trace({(START, START + 6, 0): 7})
    assert estimate_cycles(get_core("rv32imac"), trace, decoder) == (14, 14)


def test_a_recorder_separates_the_steps_and_leaves_out_the_hook() -> None:
    recorder = Recorder(hook=0x900)
    blocks = [(0x10, 0x20), (0x900, 0x902), (0x20, 0x30), (0x20, 0x30), (0x900, 0x902), (0x30, 0x40)]
    for start, end in blocks:
        recorder.block(start, end)
    recorder.finish()
    assert [dict(trace) for trace in recorder.traces] == [
        {(0x10, 0x20, 0x900): 1},
        {(0x20, 0x30, 0x20): 1, (0x20, 0x30, 0x900): 1},
        {(0x30, 0x40, 0): 1},
    ]
