"""What the emulators have in common: the outcome of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[int], None]


@dataclass(frozen=True)
class EmulatorRun:
    """How a run of a firmware ended.

    Attributes:
        status: The exit status.
        console: What the firmware and the emulator said.
        output: The results, one after another.
        instructions: Of the first inference; None where the run ended before.
    """

    status: int
    console: str
    output: bytes
    instructions: int | None


def timeout_message(emulator: str, board: str, sample: int, timeout: float) -> str:
    """Say that a sample took too long."""
    return (
        f"{emulator} did not finish sample {sample} on {board} within {timeout:g} s: "
        "the model is too large to emulate there, or loops for ever"
    )
