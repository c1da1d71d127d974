"""Calls of `micro/`'s kernels: what the C source will hold, as Python values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tflite_export.graph import Op, Tensor


@dataclass(frozen=True, eq=False)
class Constant:
    """An array in flash; `role` is what it is for ("weights", "bias", ...)."""

    role: str
    data: np.ndarray

    @property
    def key(self) -> tuple[str, bytes]:
        """Equal for arrays that are equal: one copy serves them all."""
        return self.data.dtype.name, self.data.tobytes()


# The value of a struct's field: a number, an array inside the struct, a pointer to a constant (None: null), a struct.
Field = int | float | tuple | Constant | Mapping | None


@dataclass(frozen=True, eq=False)
class KernelCall:
    """One call of a kernel: `function(&params, inputs..., output)`, and `, scratch` behind it where it needs any.

    An output may be written by several calls, a part each; it is whole behind the last of them.

    Attributes:
        op: the operator that it computes, or computes a part of.
        function: the kernel's name.
        struct: the type of its parameters.
        fields: their values, in the order of the struct.
        inputs: the activations (or constants) that it reads, in the order of its arguments.
        output: the activation that it writes.
        weight_format: "int8", "ternary", "binary"; None for an operator without weights.
        scratch_bytes: working memory during the call, aligned to 16 bytes.
        in_place: those inputs whose bytes the output may take over: the kernel reads each element before it writes
            to its place.
        source_view: the output is these very bytes of input 0, from this offset on: no call is needed where they may
            share memory.
        target_view: input 0 is these very bytes of the output, from this offset on: likewise.
        reason: why this kernel and weight format, for the report.
        alternatives: slower calls for the same with less scratch, the fastest first.
    """

    op: Op
    function: str
    struct: str
    fields: Mapping[str, Field]
    inputs: tuple[Tensor, ...]
    output: Tensor
    weight_format: str | None = None
    scratch_bytes: int = 0
    in_place: tuple[int, ...] = ()
    source_view: int | None = None
    target_view: int | None = None
    reason: str = ""
    alternatives: tuple[KernelCall, ...] = ()

    def constants(self) -> list[Constant]:
        """Every constant of the parameters, in the order of the fields."""
        return _constants(self.fields)


def _constants(fields: Mapping[str, Field]) -> list[Constant]:
    found: list[Constant] = []
    for value in fields.values():
        if isinstance(value, Constant):
            found.append(value)
        elif isinstance(value, Mapping):
            found += _constants(value)
    return found


def distinct_constants(calls: Sequence[KernelCall]) -> list[list[Constant]]:
    """For every call those constants that no call before it holds: what flash stores."""
    seen: set[tuple[str, bytes]] = set()
    found = []
    for call in calls:
        own = {constant.key: constant for constant in reversed(call.constants())}
        found.append(
            [constant for constant in call.constants() if constant.key not in seen and own[constant.key] is constant]
        )
        seen |= own.keys()
    return found
