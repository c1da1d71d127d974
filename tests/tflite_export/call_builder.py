"""Kernel calls of no particular operator: tensors of some bytes, and how they may share memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from tflite_export.graph import Graph, Op, Tensor
from tflite_export.kernel_call import KernelCall


class CallBuilder:
    """Collects tensors and calls.

    Example:
        >>> build = CallBuilder()
        >>> x, y = build.tensor("x", 16), build.tensor("y", 16)
        >>> build.call([x], y, in_place=(0,))
        >>> build.graph([x], [y]).outputs[0].name
        'y'
    """

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.calls: list[KernelCall] = []

    def tensor(self, name: str, size: int, dtype: str = "int8", constant: bool = False) -> Tensor:
        """A tensor of `size` elements."""
        data = np.zeros(size, dtype) if constant else None
        self.tensors.append(Tensor(len(self.tensors), name, (size,), dtype, None, data))
        return self.tensors[-1]

    def call(self, inputs: list[Tensor], output: Tensor, op: Op | None = None, **fields: Any) -> None:
        """A call of a kernel with what a `KernelCall` may say besides."""
        self.calls.append(self.make(inputs, output, op, **fields))

    def make(self, inputs: list[Tensor], output: Tensor, op: Op | None = None, **fields: Any) -> KernelCall:
        """The same without adding it."""
        op = op or Op(len(self.calls), "OP", tuple(inputs), (output,), {})
        fields = {"function": "tern_op", "struct": "tern_op_params", "fields": {}, **fields}
        return KernelCall(op=op, inputs=tuple(inputs), output=output, **fields)

    def concat(self, inputs: list[Tensor], output: Tensor) -> None:
        """A call an input, each of which writes a part."""
        op = Op(len(self.calls), "CONCATENATION", tuple(inputs), (output,), {})
        offset = 0
        for tensor in inputs:
            self.call([tensor], output, op, target_view=offset)
            offset += tensor.nbytes

    def graph(self, inputs: list[Tensor], outputs: list[Tensor]) -> Graph:
        """The graph of all calls."""
        ops = {id(call.op): call.op for call in self.calls}
        return Graph(tuple(self.tensors), tuple(ops.values()), tuple(inputs), tuple(outputs))
