"""What comes behind a layer in a model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import keras

from tern_keras.layers.base import QuantizedLayer
from tern_keras.structure import is_graph

Operation = Any  # a layer, or a bare operation of a Functional graph

NORMALIZATIONS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.RMSNormalization,
    keras.layers.UnitNormalization,
)


class Graph:
    """The operations of a Sequential or Functional model, nested ones opened, and what takes their results.

    Models of other kinds have no graph that can be read: it is empty.
    """

    def __init__(self, model: keras.Model) -> None:
        self._operations: list[Operation] = []
        self._successors: dict[int, list[Operation]] = defaultdict(list)
        self._add(model)

    def quantized_layers(self) -> Iterator[tuple[QuantizedLayer, list[keras.layers.Layer], bool]]:
        """Yield each quantised layer, the normalisations next behind it, and whether a way past them exists.

        The search passes whatever has no weights to scale its input by, e.g. activations, pooling, dropout and sums.
        A way past them leads to another layer with weights, or to the model's output.
        """
        for operation in self._operations:
            layer = operation.layer if isinstance(operation, keras.layers.Wrapper) else operation
            if isinstance(layer, QuantizedLayer):
                yield layer, *self._behind(operation)

    def _behind(self, start: Operation) -> tuple[list[keras.layers.Layer], bool]:
        normalizations: list[keras.layers.Layer] = []
        way_past = False
        ways: list[Operation] = [start]
        seen: set[int] = set()
        while ways:
            successors = self._successors[id(ways.pop())]
            way_past |= not successors
            for operation in successors:
                if id(operation) in seen:
                    continue
                seen.add(id(operation))
                found = _normalizations(operation)
                normalizations += found
                if not found and _is_weighted(operation):
                    way_past = True
                elif not found:
                    ways.append(operation)
        return normalizations, way_past

    def _add(self, model: keras.Model) -> None:
        for source, target in _edges(model):
            for operation in _ends(source, last=True):
                self._successors[id(operation)] += _ends(target, last=False)
        for operation in _parts(model):
            if is_graph(operation):
                self._add(operation)
            else:
                self._operations.append(operation)


def _parts(model: keras.Model) -> list[Operation]:
    if isinstance(model, keras.Sequential):
        return model.layers
    return model.operations if is_graph(model) else []


def _edges(model: keras.Model) -> Iterator[tuple[Operation, Operation]]:
    parts = _parts(model)
    if isinstance(model, keras.Sequential):
        yield from pairwise(parts)
    elif parts:
        # Keras shows the edges of a graph nowhere else
        for nodes in model._nodes_by_depth.values():
            for node in nodes:
                yield from ((parent.operation, node.operation) for parent in node.parent_nodes)


def _ends(operation: Operation, last: bool) -> list[Operation]:
    """Return the operation itself, or of a nested model those that it begins or ends with."""
    if not is_graph(operation):
        return [operation]
    if isinstance(operation, keras.Sequential):
        ends = [operation.layers[-1 if last else 0]]
    else:
        ends = [tensor._keras_history.operation for tensor in (operation.outputs if last else operation.inputs)]
    return [inner for end in ends for inner in _ends(end, last)]


def _normalizations(operation: Operation) -> list[keras.layers.Layer]:
    if not isinstance(operation, keras.layers.Layer):
        return []
    return [layer for layer in operation._flatten_layers() if isinstance(layer, NORMALIZATIONS)]


def _is_weighted(operation: Operation) -> bool:
    # a scalar weight is a range of activations
    return isinstance(operation, keras.layers.Layer) and any(len(weight.shape) for weight in operation.weights)
