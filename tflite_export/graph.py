"""A `.tflite` file as plain dataclasses: tensors, operators, and nothing that has to be looked up.

Reading needs LiteRT's schema bindings alone, never TensorFlow, so that looking into a file takes milliseconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tflite_export.errors import ExportError
from tflite_export.files import read_file
from tflite_export.tensor_types import constant_bytes


@dataclass(frozen=True, eq=False)
class Quantization:
    """`real = scale * (q - zero_point)`, per tensor or per slice along `axis`.

    Attributes:
        scales: float32, shape (1,) or (channels,).
        zero_points: int64, of the same shape.
        axis: the dimension that the scales run along; 0 where there is one scale.
    """

    scales: np.ndarray
    zero_points: np.ndarray
    axis: int


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor: a constant where `data` is there, else an activation, or state where it is `variable`.

    Attributes:
        index: its place in the file's list of tensors.
        name: as the converter called it; mostly the Keras layer's path.
        shape: dimensions, the batch included.
        dtype: a numpy type's name ("int8"), or the schema's own name where numpy has none ("INT4").
        quantization: scales and zero points, or None.
        data: the constant's values in `shape`, or None. INT4 and INT2 are unpacked to int8, UINT4 to uint8, BFLOAT16
            to float32; what has no numbers, such as STRING, is its bytes.
        variable: it keeps its value from one inference to the next, and is zero before the first.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None
    data: np.ndarray | None = field(repr=False)
    variable: bool = False

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements, as the file stores them: two INT4 share one. 0 for an activation of strings."""
        size = constant_bytes(self.dtype, self.size)
        if size is None:
            return 0 if self.data is None else self.data.nbytes
        return size

    @property
    def scale(self) -> float:
        """The only scale, exactly as the file's float32."""
        return float(self._per_tensor().scales[0])

    @property
    def zero_point(self) -> int:
        """The only zero point."""
        return int(self._per_tensor().zero_points[0])

    def _per_tensor(self) -> Quantization:
        if self.quantization is None or self.quantization.scales.size != 1:
            raise ExportError(f"{self} should have one scale and zero point for the whole tensor")
        return self.quantization

    def __str__(self) -> str:
        shape = "x".join(map(str, self.shape)) or "scalar"
        return f"tensor {self.index} '{self.name}' ({self.dtype} {shape})"


@dataclass(frozen=True, eq=False)
class Op:
    """An operator.

    Attributes:
        index: its place in the order of execution.
        name: the builtin's name, such as "CONV_2D", or "CUSTOM name".
        inputs: its tensors; None for one that is left out, such as a bias.
        outputs: what it computes.
        options: the builtin's options with names in snake case; padding and activation as their enum's names. A
            custom operator has its bytes as `custom_options`.
        intermediates: tensors that carry nothing but the quantisation of values inside of it, as an LSTM's gates.
    """

    index: int
    name: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: dict[str, Any]
    intermediates: tuple[Tensor, ...] = ()

    def __str__(self) -> str:
        # fused operators list the names of all that they are made of
        output = f" '{self.outputs[0].name.split(';')[0][:80]}'" if self.outputs else ""
        return f"op {self.index} {self.name}{output}"


@dataclass(frozen=True, eq=False)
class Graph:
    """The main subgraph of a `.tflite` file.

    Attributes:
        tensors: every tensor, by index.
        ops: in their order of execution.
        inputs: the activations that the caller fills.
        outputs: the activations that the caller reads.
        subgraphs: how many the file has; those beside the main one belong to operators such as WHILE.
    """

    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    subgraphs: int = 1

    @classmethod
    def read(cls, model: bytes | str | Path) -> Graph:
        """Read a `.tflite` file.

        Args:
            model: the file's content, or its path.

        Returns:
            The graph of its first subgraph.

        Raises:
            ExportError: if it is not a `.tflite` file, is damaged or cut short, or has a tensor without a fixed shape.

        Example:
            >>> from tflite_export import Graph
            >>> Graph.read(b"not a model")
            Traceback (most recent call last):
            ...
            tflite_export.errors.ExportError: not a .tflite file: it lacks the identifier TFL3; give the bytes ...
        """
        from tflite_export.tflite_reader import read_graph  # which makes these classes

        return read_graph(bytes(model) if isinstance(model, bytes | bytearray) else read_file(Path(model)))
