"""What is in a `.tflite`: operators, shapes, weights and their levels, sizes. For whoever is handed one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from tflite_export.arena import Buffer, lower_bound
from tflite_export.files import read_file
from tflite_export.graph import Graph, Op, Tensor
from tflite_export.levels import CHANNEL_AXES
from tflite_export.tensor_types import integer_range

# Levels are written out up to so many.
_SHOWN_LEVELS = 6


@dataclass(frozen=True)
class TensorReport:
    """An input, an output or an activation.

    Attributes:
        name: of the tensor.
        dtype: "int8", "float32", ...
        shape: the batch included.
        bytes: of its elements.
        scale: of `real = scale * (q - zero_point)`; None without one for the whole tensor.
        zero_point: likewise.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    scale: float | None
    zero_point: int | None

    @classmethod
    def of(cls, tensor: Tensor) -> TensorReport:
        """The report of a tensor."""
        single = tensor.quantization is not None and tensor.quantization.scales.size == 1
        return cls(
            tensor.name,
            tensor.dtype,
            tensor.shape,
            tensor.nbytes,
            tensor.scale if single else None,
            tensor.zero_point if single else None,
        )

    def __str__(self) -> str:
        text = f"'{self.name}' {self.dtype} {_product(self.shape)}"
        bounds = integer_range(self.dtype)
        if self.scale is None or self.zero_point is None or bounds is None:
            return text
        low, high = (self.scale * (bound - self.zero_point) for bound in bounds)
        return f"{text}, scale {self.scale:.9g}, zero point {self.zero_point}: {low:.4g} to {high:.4g}"


@dataclass(frozen=True)
class ConstantReport:
    """A constant operand: weights, a bias.

    Attributes:
        name: of the tensor.
        dtype: "int8", "float32", "INT4", ...
        shape: of the tensor.
        bytes: of its elements, as the file stores them.
        levels: "ternary {-127, 0, 127}", "binary {-1, 1}", "5 levels {...}", "211 levels"; "" where it has no numbers.
            Ternary and binary is what every channel by itself is.
        density: the fraction of elements that are not zero.
        scales: how many it has: one a channel, one, or none.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    levels: str
    density: float
    scales: int

    @property
    def packable(self) -> bool:
        """Whether it is ternary or binary."""
        return self.levels.startswith(("ternary", "binary"))


@dataclass(frozen=True)
class OperatorReport:
    """An operator.

    Attributes:
        index: in the order of execution.
        op: "CONV_2D", ...
        options: as the file has them.
        inputs: activations and state that it reads.
        outputs: what it computes.
        constants: its other inputs.
        macs: multiply-accumulates; 0 where it multiplies no weights.
    """

    index: int
    op: str
    options: dict[str, Any]
    inputs: tuple[TensorReport, ...]
    outputs: tuple[TensorReport, ...]
    constants: tuple[ConstantReport, ...]
    macs: int


@dataclass(frozen=True)
class Inspection:
    """What is in a `.tflite`.

    Attributes:
        tflite_bytes: size of the file.
        subgraphs: how many it has; the operators are those of the first.
        inputs: of the model.
        outputs: of the model.
        operators: in their order of execution.
        constant_bytes: of all constants, each counted once.
        packable_bytes: of those among them that are ternary or binary.
        activation_bytes: the most that has to be in memory at the same time, inputs, outputs and state included.
    """

    tflite_bytes: int
    subgraphs: int
    inputs: tuple[TensorReport, ...]
    outputs: tuple[TensorReport, ...]
    operators: tuple[OperatorReport, ...]
    constant_bytes: int
    packable_bytes: int
    activation_bytes: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates of an inference."""
        return sum(operator.macs for operator in self.operators)

    def json(self) -> str:
        """All of it as JSON."""
        return json.dumps({**dataclasses.asdict(self), "macs": self.macs}, indent=1, default=str) + "\n"

    def table(self, title: str) -> Table:
        """The operators as a table for the terminal."""
        table = Table(title=escape(title), title_justify="left", caption_justify="left")
        for column in ("", "operator", "output", "options", "weights", "levels"):
            table.add_column(column)
        for column in ("density", "constants", "MACs"):
            table.add_column(column, justify="right")
        for operator in self.operators:
            weights = max(operator.constants, key=lambda constant: constant.bytes, default=None)
            constant_bytes = sum(constant.bytes for constant in operator.constants)
            table.add_row(
                str(operator.index),
                escape(operator.op),
                "\n".join(f"{tensor.dtype} {_product(tensor.shape)}" for tensor in operator.outputs),
                escape(_short(operator.options)),
                f"{weights.dtype} {_product(weights.shape)}" if weights else "",
                weights.levels if weights else "",
                f"{weights.density:.2f}" if weights else "",
                f"{constant_bytes:,}" if constant_bytes else "",
                f"{operator.macs:,}" if operator.macs else "",
            )
        table.add_section()
        table.add_row("", "total", "", "", "", "", "", f"{self.constant_bytes:,}", f"{self.macs:,}")
        return table

    def summary(self) -> list[str]:
        """Lines on the interface and the sizes."""
        lines = [f"input {tensor}" for tensor in self.inputs] + [f"output {tensor}" for tensor in self.outputs]
        rest = max(self.tflite_bytes - self.constant_bytes, 0)
        lines.append(f"file {self.tflite_bytes:,} bytes: constants {self.constant_bytes:,}, all else {rest:,}")
        lines.append(f"ternary or binary {self.packable_bytes:,} bytes of constants")
        lines.append(f"activations at least {self.activation_bytes:,} bytes at the same time")
        if self.subgraphs > 1:
            lines.append(f"subgraphs {self.subgraphs}: the first is shown")
        return lines


def inspect(model: bytes | str | Path) -> Inspection:
    """Look into a `.tflite`.

    Args:
        model: the file's content, or its path.

    Returns:
        What is in it.

    Raises:
        ExportError: if it cannot be read.

    Example:
        >>> import keras, numpy as np
        >>> from tern_keras.layers import QuantDense
        >>> from tflite_export import convert
        >>> from tflite_export.inspection import inspect
        >>> model = keras.Sequential([keras.Input((16,)), QuantDense(8, kernel_quantizer="twn")])
        >>> found = inspect(convert(model, np.random.default_rng(0).normal(size=(64, 16)).astype("float32")))
        >>> found.macs, found.operators[0].constants[0].levels
        (128, 'ternary {-127, 0, 127}')
    """
    content = bytes(model) if isinstance(model, bytes | bytearray) else read_file(Path(model))
    graph = Graph.read(content)
    constants: dict[int, ConstantReport] = {}
    operators = tuple(_operator(op, constants) for op in graph.ops)
    return Inspection(
        tflite_bytes=len(content),
        subgraphs=graph.subgraphs,
        inputs=tuple(map(TensorReport.of, graph.inputs)),
        outputs=tuple(map(TensorReport.of, graph.outputs)),
        operators=operators,
        constant_bytes=sum(constant.bytes for constant in constants.values()),
        packable_bytes=sum(constant.bytes for constant in constants.values() if constant.packable),
        activation_bytes=_activation_bytes(graph),
    )


def _operator(op: Op, constants: dict[int, ConstantReport]) -> OperatorReport:
    """The report of an operator; those of its constants are kept by the tensor's index."""
    activations, own = [], []
    for tensor in dict.fromkeys(op.inputs):
        if tensor is None:
            continue
        if tensor.data is None:
            activations.append(tensor)
            continue
        if tensor.index not in constants:
            constants[tensor.index] = _constant(op, tensor)
        own.append(constants[tensor.index])
    return OperatorReport(
        index=op.index,
        op=op.name,
        options={key: _plain(value) for key, value in op.options.items()},
        inputs=tuple(map(TensorReport.of, activations)),
        outputs=tuple(map(TensorReport.of, op.outputs)),
        constants=tuple(own),
        macs=count_macs(op),
    )


def _constant(op: Op, tensor: Tensor) -> ConstantReport:
    assert tensor.data is not None
    is_weights = len(op.inputs) > 1 and op.inputs[1] is tensor
    axis = CHANNEL_AXES.get(op.name, 0) if is_weights else 0
    return ConstantReport(
        name=tensor.name,
        dtype=tensor.dtype,
        shape=tensor.shape,
        bytes=tensor.nbytes,
        levels=_levels(tensor.data, axis),
        density=float(np.count_nonzero(tensor.data) / max(tensor.data.size, 1)),
        scales=0 if tensor.quantization is None else tensor.quantization.scales.size,
    )


def _levels(data: np.ndarray, axis: int) -> str:
    if data.dtype.kind not in "iuf" or data.size == 0:
        return ""
    values = np.unique(data)
    shown = f"{len(values)} levels"
    if len(values) <= _SHOWN_LEVELS:
        shown = f"{{{', '.join(f'{value:.4g}' if data.dtype.kind == 'f' else str(value) for value in values)}}}"
    rows = np.moveaxis(data, axis, 0).reshape(data.shape[axis], -1) if data.ndim > max(axis, 1) else data.reshape(1, -1)
    in_channel = np.sort(rows, axis=1)
    levels = 1 + np.count_nonzero(in_channel[:, 1:] != in_channel[:, :-1], axis=1)
    beside_zero = levels - (rows == 0).any(axis=1)
    # of two or three weights nothing can be said
    if rows.shape[1] > 3 and beside_zero.max() <= 2:
        return f"{'binary' if levels.max() <= 2 else 'ternary'} {shown}"
    return f"{len(values)} levels {shown}" if shown.startswith("{") else shown


def count_macs(op: Op) -> int:
    """Multiply-accumulates of an operator, padding included; 0 where it multiplies no weights."""
    weights = op.inputs[1] if len(op.inputs) > 1 else None
    if op.name == "UNIDIRECTIONAL_SEQUENCE_LSTM" and op.inputs[0] is not None:
        gates = sum(tensor.size for tensor in op.inputs[1:9] if tensor is not None)
        return gates * (op.inputs[0].size // max(op.inputs[0].shape[-1:], default=1))
    if weights is None or not op.outputs:
        return 0
    if op.name == "TRANSPOSE_CONV" and len(op.inputs) > 2 and op.inputs[2] is not None:
        return weights.size * (op.inputs[2].size // max(op.inputs[2].shape[-1:], default=1))
    if op.name not in CHANNEL_AXES or len(weights.shape) <= CHANNEL_AXES[op.name]:
        return 0
    return op.outputs[0].size * (weights.size // max(weights.shape[CHANNEL_AXES[op.name]], 1))


def _activation_bytes(graph: Graph) -> int:
    last = len(graph.ops) - 1
    lives: dict[int, Buffer] = {tensor.index: Buffer(tensor.nbytes, 0, 0) for tensor in graph.inputs}
    for step, op in enumerate(graph.ops):
        for tensor in (*op.inputs, *op.outputs):
            if tensor is None or tensor.data is not None:
                continue
            first = lives[tensor.index].first if tensor.index in lives else step
            lives[tensor.index] = Buffer(tensor.nbytes, first, step)
    for tensor in (*graph.outputs, *(tensor for tensor in graph.tensors if tensor.variable)):
        first = 0 if tensor.variable else lives[tensor.index].first
        lives[tensor.index] = Buffer(tensor.nbytes, first, last)
    return lower_bound(list(lives.values()))


def _short(options: dict[str, Any]) -> str:
    """The options that a network's drawing would have."""

    def pair(first: str, second: str) -> str | None:
        return f"{options[first]}x{options[second]}" if first in options and second in options else None

    parts: list[str | None] = [pair("filter_height", "filter_width")]
    for sign, size in (
        ("/", pair("stride_h", "stride_w")),
        ("dilated ", pair("dilation_h_factor", "dilation_w_factor")),
    ):
        parts.append(None if size in (None, "1x1") else f"{sign}{size}")
    parts.append(options.get("padding"))
    activation = options.get("fused_activation_function")
    parts.append(None if activation == "NONE" else activation)
    return " ".join(str(part) for part in parts if part is not None)


def _plain(value: Any) -> Any:
    """A value that JSON has."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


def _product(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape)) or "scalar"
