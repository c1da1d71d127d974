"""What a lowering gets besides its operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tflite_export.boards import CORES, DEFAULT_CORE, Core
from tflite_export.graph import Op
from tflite_export.kernel_call import KernelCall
from tflite_export.levels import Levels


@dataclass(frozen=True, eq=False)
class Context:
    """What an operator's translation depends on besides the operator.

    Attributes:
        planes: the weight tensors that are ternary, binary, or a sum of ternary ones, by tensor index.
        optimize: "speed" or "size": what the choice of kernel and weight format prefers.
        core: which that choice is made for; the C runs on any.
    """

    planes: Mapping[int, tuple[Levels, ...]]
    optimize: str = "speed"
    core: Core = CORES[DEFAULT_CORE]


# An operator becomes calls in their order; several where it has several outputs, or is done in parts.
Lowering = Callable[[Op, Context], list[KernelCall]]
