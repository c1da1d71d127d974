"""Other integers for the levels of ternary weights in an int8 file: a better ratio of the two, or just -1, 0, 1.

The converter sets the larger of TTQ's two levels to 127 and rounds the smaller one, by up to 0.4 % of the larger. With
both integers free most ratios are met far better: 0.5484 is 68 / 124, not 70 / 127. Activations stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from tflite_export.errors import ExportError
from tflite_export.graph import Graph, Op, Tensor
from tflite_export.levels import CHANNEL_AXES, levels_of, weights_of
from tflite_export.targets.editing import Editor

_LARGEST = 127
# The converter's rounding of the smaller level, as a fraction of the larger: what is further off is another weight.
_CONVERTERS_ERROR = 0.005
# From a channel's signs and its two levels to other levels and the real ratio of minus to plus, or None to keep them.
_Choice = Callable[[np.ndarray, int, int], tuple[int, int, float] | None]
# The bias of an operator, by its place among the inputs, where it is not input 2.
_BIAS = {"TRANSPOSE_CONV": 3}


def level_ratios(kernels: Iterable[np.ndarray]) -> dict[bytes, list[float]]:
    """Ratios of minus to plus level of float kernels, by the signs of a channel's weights.

    Args:
        kernels: of Keras layers, with output channels last (transposed convolutions: last but one).

    Returns:
        `|minus| / plus` by the channel's signs (int8 -1, 0, 1, in TFLite's order of weights, as bytes). Channels of the
        same signs have an entry each.
    """
    found: dict[bytes, list[float]] = {}
    for kernel in kernels:
        for rows in _as_rows(kernel):
            for row in rows:
                positive, negative = np.unique(row[row > 0]), np.unique(row[row < 0])
                if len(positive) == 1 and len(negative) == 1:
                    found.setdefault(np.sign(row).astype(np.int8).tobytes(), []).append(
                        float(-negative[0] / positive[0])
                    )
    return found


def _as_rows(kernel: np.ndarray) -> list[np.ndarray]:
    """A row an output channel, in each of the orders that TFLite may store a kernel of these dimensions in."""
    if kernel.ndim < 2:
        return []
    rows = [np.moveaxis(kernel, -1, 0).reshape(kernel.shape[-1], -1)]
    if kernel.ndim > 2:
        rows.append(np.moveaxis(kernel, -2, 0).reshape(kernel.shape[-2], -1))  # transposed
        rows.append(kernel.reshape(-1, kernel.shape[-2] * kernel.shape[-1]).T)  # depthwise
    return rows


def best_pair(ratio: float) -> tuple[int, int]:
    """The integers p, n from 1 to 127 whose n / p is closest to a ratio; the largest such, for the finest bias.

    For ratios spread evenly over [0.1, 1] the median error is 0.010 % of the ratio, 71 % of them are within 0.02 %,
    95 % within 0.1 %, and the worst, beside simple ratios such as 1, at 0.4 %: no two such integers are closer.
    Rounding the smaller level alone leaves 0.36 % at the median, and 3.7 % at worst.

    Example:
        >>> from tflite_export.level_refinement import best_pair
        >>> best_pair(0.5484), best_pair(1.0)
        ((124, 68), (127, 127))
    """
    p = np.arange(1, _LARGEST + 1)
    n = np.clip(np.rint(p * ratio), 1, _LARGEST)
    errors = np.abs(n / p - ratio)
    best = int(np.flatnonzero(errors <= errors.min() * (1 + 1e-12))[-1])
    return int(p[best]), int(n[best])


def refine_levels(tflite: bytes, ratios: Mapping[bytes, list[float]]) -> bytes:
    """Give channels with two unequal levels the pair of integers with the best ratio.

    Args:
        tflite: an int8 file.
        ratios: see `level_ratios`, of the kernels that it was converted from.

    Returns:
        The file with other weights, weight scales and biases in these channels, and nothing else changed.

    Raises:
        ExportError: if it is no `.tflite` file, or is damaged.
    """

    def pair(codes: np.ndarray, plus: int, minus: int) -> tuple[int, int, float] | None:
        if plus * minus >= 0 or plus == -minus:
            return None
        known = _known_ratio(codes, -minus / plus, ratios)
        if known is None:
            return None
        p, n = best_pair(known) if known <= 1 else best_pair(1 / known)[::-1]
        return p, -n, known

    return _with_levels(tflite, pair)


def unit_levels(tflite: bytes) -> bytes:
    """Give channels {-m, 0, m} and {-m, m} the integers -1, 0, 1, which runtimes store in 4 or 2 bits.

    The weights stay the same real numbers. The bias is rounded to a unit that is m times as large: with m of 127 that
    is a tenth to a fifth of an output step in small networks, so that an output moves by a step here and there.

    Args:
        tflite: an int8 file.

    Returns:
        The file with other weights, weight scales and biases in these channels, and nothing else changed.

    Raises:
        ExportError: if it is no `.tflite` file, or is damaged.
    """

    def pair(codes: np.ndarray, plus: int, minus: int) -> tuple[int, int, float] | None:
        if plus == 0 or minus == 0:
            return (int(np.sign(plus)), int(np.sign(minus)), 1.0) if plus or minus else None
        return (1, -1, 1.0) if plus == -minus else None

    return _with_levels(tflite, pair)


def _known_ratio(codes: np.ndarray, found: float, ratios: Mapping[bytes, list[float]]) -> float | None:
    """The float ratio of a channel: batch-norm may have turned its signs round, and so exchanged the levels."""
    known = [*ratios.get(codes.tobytes(), []), *(1 / ratio for ratio in ratios.get((-codes).tobytes(), []))]
    # both relative to the larger level
    close = [r for r in known if abs(r - found) <= _CONVERTERS_ERROR * max(1.0, found)]
    return min(close, key=lambda r: abs(r - found)) if close else None


def _with_levels(tflite: bytes, pair: _Choice) -> bytes:
    graph = Graph.read(tflite)
    editor = Editor(tflite)
    users: dict[int, list[Op]] = {}
    for op in graph.ops:
        for tensor in weights_of(op):
            users.setdefault(tensor.index, []).append(op)
    changes = [_change(editor, graph.tensors[index], ops, pair) for index, ops in users.items()]
    return editor.content() if any(changes) else tflite


def _change(editor: Editor, weights: Tensor, ops: list[Op], pair: _Choice) -> bool:
    """New integers for the channels of one tensor, and their biases; whether there are any."""
    assert weights.data is not None
    axis = CHANNEL_AXES[ops[0].name]
    quantization = weights.quantization
    levels = levels_of(weights.data, axis)
    channels = weights.shape[axis]
    if levels is None or quantization is None or quantization.scales.size != channels:
        return False
    if any(op.name == "UNIDIRECTIONAL_SEQUENCE_LSTM" for op in ops):
        return False  # its biases have a scale of their own
    rows = np.moveaxis(levels.codes, axis, 0).reshape(channels, -1)
    plus, minus = levels.plus.astype(int), levels.minus.astype(int)
    factors = np.ones(channels)  # new scale / old scale
    for channel, codes in enumerate(rows):
        chosen = pair(codes, int(plus[channel]), int(minus[channel]))
        if chosen is None:
            continue
        factors[channel] = _factor(codes, plus[channel], minus[channel], chosen)
        plus[channel], minus[channel] = chosen[:2]
    if (plus == levels.plus).all() and (minus == levels.minus).all():
        return False
    shape = [1] * weights.data.ndim
    shape[axis] = channels
    values = np.where(levels.codes > 0, plus.reshape(shape), np.where(levels.codes < 0, minus.reshape(shape), 0))
    editor.set_data(weights.index, values.astype(np.int8))
    scales = (quantization.scales.astype(np.float64) * factors).astype(np.float32)
    editor.set_scales(weights.index, scales)
    exact = scales.astype(np.float64) / quantization.scales
    for op in ops:
        _change_bias(editor, op, scales, exact)
    return True


def _factor(codes: np.ndarray, plus: int, minus: int, chosen: tuple[int, int, float]) -> float:
    """The scale that brings the new levels closest to the real ones, by least squares over the channel's weights."""
    p, n, ratio = chosen
    # in units of the old scale: the larger level is exact, the smaller one follows from the ratio
    larger = max(abs(plus), abs(minus))
    real_plus, real_minus = (larger, larger * ratio) if ratio <= 1 else (larger / ratio, larger)
    ups, downs = np.count_nonzero(codes > 0), np.count_nonzero(codes < 0)
    return (ups * abs(p) * real_plus + downs * abs(n) * real_minus) / (ups * p * p + downs * n * n)


def _change_bias(editor: Editor, op: Op, scales: np.ndarray, factors: np.ndarray) -> None:
    place = _BIAS.get(op.name, 2)
    bias = op.inputs[place] if place < len(op.inputs) else None
    if bias is None or bias.data is None:
        return
    source = op.inputs[2 if op.name == "TRANSPOSE_CONV" else 0]
    assert source is not None
    values = np.rint(bias.data.reshape(-1) / factors)
    if np.abs(values).max() >= 2**31:
        raise ExportError(f"{op}: its bias {bias} does not fit the new scales")
    own = editor.own_input(op.index, place)  # the other readers of this bias keep their units
    editor.set_data(own, values.astype(np.int32).reshape(bias.shape))
    if bias.quantization is not None:
        editor.set_scales(own, (np.float32(source.scale) * scales).astype(np.float32))
