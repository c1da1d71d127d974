"""Networks that others trained, with ternary weights."""

from __future__ import annotations

import numpy as np

from tflite_export import Graph
from tflite_export.levels import CHANNEL_AXES
from tflite_export.targets.editing import Editor


def ternary(tflite: bytes) -> bytes:
    """An int8 network with the weights of each channel made -m, 0 or m by TWN's rule; scales and biases stay.

    Channels that share a scale share m.
    """
    graph, editor = Graph.read(tflite), Editor(tflite)
    for op in graph.ops:
        if op.name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            weights = op.inputs[1]
            assert weights is not None
            assert weights.data is not None
            axis = CHANNEL_AXES[op.name]
            rows = np.moveaxis(weights.data.astype(int), axis, 0)
            assert weights.quantization is not None
            others = tuple(range(weights.quantization.scales.size > 1, rows.ndim))
            sizes = np.abs(rows)
            kept = sizes > 0.7 * sizes.mean(others, keepdims=True)
            levels = (sizes * kept).sum(others, keepdims=True) / np.maximum(kept.sum(others, keepdims=True), 1)
            values = np.sign(rows) * kept * np.rint(levels)
            editor.set_data(weights.index, np.moveaxis(values, 0, axis).astype(np.int8))
    return editor.content()
