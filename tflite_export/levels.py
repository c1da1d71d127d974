"""Which weight tensors are ternary, binary, or sums of a few ternary ones: by their values, whoever made the file.

After the int8 step every ternary channel holds {-n, 0, p}. Batch-norm folds into the channel's scale and may flip
its sign, so the levels belong to the channel, and a whole tensor may hold up to five values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tflite_export.graph import Graph, Op, Tensor

# The dimension of the output channels in the weights of each operator that has weights.
CHANNEL_AXES = {
    "CONV_2D": 0,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 0,
    "TRANSPOSE_CONV": 0,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 0,
}
# Which inputs are weights, where it is not input 1 alone.
_WEIGHT_INPUTS = {"UNIDIRECTIONAL_SEQUENCE_LSTM": range(1, 9)}
# Four planes take 6.4 bits in base 3; five would take as much as int8.
MAXIMUM_PLANES = 4
# More than any int8, and what stands for a level that is not there.
_BEYOND = 999


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
    planes = planes_of(weights, axis)
    return planes[0] if planes is not None and len(planes) == 1 else None


def planes_of(weights: np.ndarray, axis: int) -> tuple[Levels, ...] | None:
    """A weight tensor as a sum of ternary ones, as a residual expansion is, or None if that takes more than 4.

    A channel with more than two levels is split as a thermometer: plane j holds the step from the j-th level of each
    sign to the next, wherever the weight reaches it.

    Args:
        weights: int8 of any shape.
        axis: the dimension of the output channels.

    Returns:
        The planes: one where `levels_of` finds levels, else two to four with 2-bit levels.

    Example:
        >>> import numpy as np
        >>> from tflite_export.levels import planes_of
        >>> planes = planes_of(np.array([[127, 58, 0, -58, -127]], np.int8), axis=0)
        >>> [(plane.codes.tolist(), plane.plus.tolist()) for plane in planes]
        [([[1, 1, 0, -1, -1]], [58]), ([[1, 0, 0, 0, -1]], [69])]
    """
    moved = np.moveaxis(weights, axis, 0)
    rows = moved.reshape(len(moved), -1).astype(np.int16)
    zero = rows == 0
    most, least = rows.max(1), rows.min(1)
    binary = bool(_holds_only(rows, most, least).all())
    if not binary:  # the levels beside zero
        most = np.where(zero, -_BEYOND, rows).max(1)
        least = np.where(zero, _BEYOND, rows).min(1)
        most, least = np.where(zero.all(1), 0, [most, least])
    simple = (zero | _holds_only(rows, most, least)).all(1)
    # the greater value is `plus`; a single one is on the side of its sign
    several = most != least
    plus, minus = np.zeros((2, MAXIMUM_PLANES, len(rows)), np.int16)
    plus[0] = np.where(several | (most > 0), most, 0)
    minus[0] = np.where(several | (least <= 0), least, 0)
    codes = np.zeros((MAXIMUM_PLANES, *rows.shape), np.int8)
    codes[0] = np.where(rows == plus[0][:, None], 1, -1)
    if not binary:
        codes[0][zero] = 0
    count = 1
    if not simple.all():
        others = rows[~simple]
        up, down = _thermometer(others), _thermometer(-others)
        if up is None or down is None:
            return None
        plus[:, ~simple], minus[:, ~simple] = up[0], -down[0]
        codes[:, ~simple] = up[1].astype(np.int8) - down[1]
        count = int(max(np.count_nonzero(steps, axis=0).max() for steps in (up[0], down[0])))
    return tuple(
        Levels(
            bits=1 if binary else 2,
            codes=np.moveaxis(codes[plane].reshape(moved.shape), 0, axis),
            plus=plus[plane].astype(np.int8),
            minus=minus[plane].astype(np.int8),
            axis=axis,
        )
        for plane in range(count)
    )


def _holds_only(rows: np.ndarray, most: np.ndarray, least: np.ndarray) -> np.ndarray:
    return (rows == most[:, None]) | (rows == least[:, None])


def _thermometer(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The positive levels of each row as steps, int16 of shape (planes, rows), and where the values reach them.

    None if a row has more than `MAXIMUM_PLANES` positive levels.
    """
    steps = np.zeros((MAXIMUM_PLANES, len(rows)), np.int16)
    reached = np.zeros((MAXIMUM_PLANES, *rows.shape), bool)
    level = np.zeros(len(rows), np.int16)
    for plane in range(MAXIMUM_PLANES):
        above = np.where(rows > level[:, None], rows, _BEYOND).min(1)
        steps[plane] = np.where(above < _BEYOND, above - level, 0)
        reached[plane] = rows >= above[:, None]
        level = above
    return None if (rows > level[:, None]).any() else (steps, reached)


def find_levels(graph: Graph) -> dict[int, Levels]:
    """The weight tensors of a graph that are ternary or binary.

    Args:
        graph: of any int8 `.tflite` file.

    Returns:
        Levels by the tensor's index, for the weights of the operators in `CHANNEL_AXES`. Int8 weights with more values
        are not in it.

    Example:
        >>> import keras, numpy as np
        >>> from tern_keras.layers import QuantDense
        >>> from tflite_export import Graph, convert, find_levels
        >>> model = keras.Sequential([keras.Input((16,)), QuantDense(8, kernel_quantizer="twn")])
        >>> graph = Graph.read(convert(model, np.random.default_rng(0).normal(size=(64, 16)).astype("float32")))
        >>> [levels.bits for levels in find_levels(graph).values()]
        [2]
    """
    return {index: planes[0] for index, planes in find_planes(graph).items() if len(planes) == 1}


def find_planes(graph: Graph) -> dict[int, tuple[Levels, ...]]:
    """The weight tensors of a graph that are sums of at most four ternary ones; see `planes_of`.

    Args:
        graph: of any int8 `.tflite` file.

    Returns:
        Planes by the tensor's index, for the weights that `find_levels` looks at.
    """
    found: dict[int, tuple[Levels, ...]] = {}
    for op in graph.ops:
        for tensor in weights_of(op):
            if tensor.index in found:
                continue
            assert tensor.data is not None
            planes = planes_of(tensor.data, CHANNEL_AXES[op.name])
            if planes is not None:
                found[tensor.index] = planes
    return found


def weights_of(op: Op) -> list[Tensor]:
    """The int8 constants that are an operator's weights."""
    if op.name not in CHANNEL_AXES:
        return []
    indices = _WEIGHT_INPUTS.get(op.name, (1,))
    tensors = [op.inputs[index] for index in indices if index < len(op.inputs)]
    return [
        tensor
        for tensor in tensors
        if tensor is not None
        and tensor.data is not None
        and tensor.dtype == "int8"
        and tensor.size > 0
        and len(tensor.shape) > CHANNEL_AXES[op.name]
    ]
