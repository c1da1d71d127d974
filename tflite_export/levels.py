"""Which weight tensors are ternary or binary: by their values, whoever made the file.

After the int8 step every ternary channel holds {-n, 0, p}. Batch-norm folds into the channel's scale and may flip
its sign, so the levels belong to the channel, and a whole tensor may hold up to five values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tflite_export.graph import Graph, Tensor

# The dimension of the output channels in the weights of each operator that has weights.
CHANNEL_AXES = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}


@dataclass(frozen=True, eq=False)
class Levels:
    """Int8 weights as codes and two levels a channel: `plus` where the code is +1, `minus` where it is -1.

    Attributes:
        bits: 1 (every code is +1 or -1) or 2 (zeros as well).
        codes: int8 of the weights' own shape, values -1, 0, +1.
        plus: int8, shape (channels,).
        minus: int8, shape (channels,). Both may have any sign, and be 0 where no weight has that code.
        axis: the dimension of the channels.
    """

    bits: int
    codes: np.ndarray
    plus: np.ndarray
    minus: np.ndarray
    axis: int

    @property
    def density(self) -> float:
        """The fraction of weights that are not zero."""
        return float(np.count_nonzero(self.weights()) / self.codes.size)

    def weights(self) -> np.ndarray:
        """The int8 weights again, equal to what the levels were found in."""
        shape = [1] * self.codes.ndim
        shape[self.axis] = -1
        plus, minus = self.plus.reshape(shape), self.minus.reshape(shape)
        zero = np.int8(0)
        return np.where(self.codes > 0, plus, np.where(self.codes < 0, minus, zero)).astype(np.int8)


def levels_of(weights: np.ndarray, axis: int) -> Levels | None:
    """The levels of one weight tensor, or None if a channel has too many values.

    Args:
        weights: int8 of any shape.
        axis: the dimension of the output channels.

    Returns:
        1-bit levels where every channel has at most two values, 2-bit levels where every channel has at most two
        values beside zero, else None.

    Example:
        >>> import numpy as np
        >>> from tflite_export.levels import levels_of
        >>> levels = levels_of(np.array([[127, 0, -70], [0, 127, 127]], np.int8), axis=0)
        >>> levels.bits, levels.plus.tolist(), levels.minus.tolist()
        (2, [127, 127], [-70, 0])
    """
    rows = np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1)
    values = [np.unique(row) for row in rows]
    if all(len(found) <= 2 for found in values):
        bits, found_levels = 1, values
    else:
        bits, found_levels = 2, [found[found != 0] for found in values]
        if any(len(found) > 2 for found in found_levels):
            return None
    # `unique` sorts, so the greater value is `plus`; a channel with one level has it on the side of its sign.
    plus = np.array([found[-1] if len(found) and (len(found) > 1 or found[0] > 0) else 0 for found in found_levels])
    minus = np.array([found[0] if len(found) and (len(found) > 1 or found[0] <= 0) else 0 for found in found_levels])
    codes = np.where(rows == plus[:, None], 1, -1)
    if bits == 2:
        codes = np.where(rows == 0, 0, codes)
    shape = np.moveaxis(weights, axis, 0).shape
    return Levels(
        bits=bits,
        codes=np.moveaxis(codes.astype(np.int8).reshape(shape), 0, axis),
        plus=plus.astype(np.int8),
        minus=minus.astype(np.int8),
        axis=axis,
    )


def find_levels(graph: Graph) -> dict[int, Levels]:
    """The weight tensors of a graph that are ternary or binary.

    Args:
        graph: of any int8 `.tflite` file.

    Returns:
        Levels by the tensor's index, for the weights of CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED. Int8 weights
        with more values are not in it.

    Example:
        >>> import keras, numpy as np
        >>> from tern_keras.layers import QuantDense
        >>> from tflite_export import Graph, convert, find_levels
        >>> model = keras.Sequential([keras.Input((16,)), QuantDense(8, kernel_quantizer="twn")])
        >>> graph = Graph.read(convert(model, np.random.default_rng(0).normal(size=(64, 16)).astype("float32")))
        >>> [levels.bits for levels in find_levels(graph).values()]
        [2]
    """
    found: dict[int, Levels] = {}
    for op in graph.ops:
        tensor = weights_of(op.name, op.inputs)
        if tensor is None or tensor.index in found:
            continue
        assert tensor.data is not None
        levels = levels_of(tensor.data, CHANNEL_AXES[op.name])
        if levels is not None:
            found[tensor.index] = levels
    return found


def weights_of(op_name: str, inputs: tuple[Tensor | None, ...]) -> Tensor | None:
    """The int8 constant that is an operator's weights, or None."""
    if op_name not in CHANNEL_AXES or len(inputs) < 2:
        return None
    tensor = inputs[1]
    if tensor is None or tensor.data is None or tensor.dtype != "int8" or math.prod(tensor.shape) == 0:
        return None
    return tensor if len(tensor.shape) > CHANNEL_AXES[op_name] else None
