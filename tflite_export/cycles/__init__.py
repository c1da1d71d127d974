"""Clock cycles that a program would take, estimated from exactly counted instructions.

An emulator says how often every instruction was executed and every branch was taken (`tflite_export.tracing`); the
rules here say what that takes on a core. Memory answers at once: no wait states of a flash, no caches that miss, no bus
that another master holds, and an unaligned word takes as long as another (an M4 takes one cycle more). Nothing was
measured on silicon.

- Cortex-M0, M3, M4: the timing tables of Arm's Technical Reference Manuals (DDI 0432, 0337, 0439).
- Cortex-M7, M55: Arm publishes no such table. A model of in-order issue runs every basic block in its steady state;
  expect it to be wrong by 20 to 30 %, and to rank kernels right.
- RV32: a cycle an instruction.
"""

from __future__ import annotations

from tflite_export.cycles.decoding import Decoder, Instruction
from tflite_export.cycles.estimate import Trace, estimate_cycles

__all__ = ["Decoder", "Instruction", "Trace", "estimate_cycles"]
