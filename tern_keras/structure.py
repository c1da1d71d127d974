"""What a model consists of: its layers at any depth, whatever kind of model it is."""

from collections.abc import Iterator

import keras
from keras.layers import Layer

from tern_keras.layers import kernel_specs
from tern_keras.quantizers import Quantizer


def is_graph(model: object) -> bool:
    """Return whether `model` is Sequential or Functional; Keras exports no class for the latter."""
    return isinstance(model, keras.Sequential) or (isinstance(model, keras.Model) and hasattr(model, "operations"))


def require_built(model: keras.Model, function: str) -> None:
    """Raise an error, in the name of `function`, unless `model` is a Keras model with weights.

    Raises:
        TypeError: it is no model.
        ValueError: the model or one of its layers has no weights yet.
    """
    if not isinstance(model, keras.Model):
        kind = type(model)
        raise TypeError(f"{function}() takes a Keras 3 model, received {kind.__module__}.{kind.__qualname__}.")
    unbuilt = [layer.name for layer in model.layers if not layer.built]
    if not model.built or unbuilt:
        detail = f" (layers without weights: {', '.join(unbuilt)})" if unbuilt else ""
        raise ValueError(
            f"{function}() needs a built model, and '{model.name}' is not{detail}. "
            "Begin it with keras.Input(shape), or call it on a sample, or its build(input_shape), first."
        )


def sub_layers(layer: Layer) -> list[Layer]:
    """Return the layers that `layer` consists of, in its order, quantizers apart; none for a bare operation."""
    if is_graph(layer):
        return layer.layers
    # Keras has no public list of the layers that a layer holds
    inner = layer._flatten_layers(include_self=False, recursive=False) if isinstance(layer, Layer) else []
    return [sub for sub in inner if not isinstance(sub, Quantizer)]


def is_composite(layer: Layer) -> bool:
    """Return whether `layer` consists of layers to be looked at; a recurrent layer's cell is part of it."""
    return bool(sub_layers(layer)) and not kernel_specs(layer)


def layer_paths(model: Layer) -> Iterator[tuple[Layer, ...]]:
    """Yield the way to each layer inside `model`: the layers that it is part of, outermost first, then itself.

    In the order of the layers, each before those that it consists of, and each once, however often it serves.
    """
    seen: set[int] = set()

    def inside(path: tuple[Layer, ...], holder: Layer) -> Iterator[tuple[Layer, ...]]:
        for layer in sub_layers(holder):
            if id(layer) in seen:
                continue
            seen.add(id(layer))
            yield (*path, layer)
            if is_composite(layer):
                yield from inside((*path, layer), layer)

    return inside((), model)


def all_layers(model: Layer) -> Iterator[Layer]:
    """Yield every layer inside `model`, in its order, each before those that it consists of."""
    return (path[-1] for path in layer_paths(model))


def leaf_layers(model: Layer) -> Iterator[Layer]:
    """Yield the layers inside `model` that do not consist of others, in its order."""
    return (layer for layer in all_layers(model) if not is_composite(layer))
