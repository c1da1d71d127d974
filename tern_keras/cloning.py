"""Rebuild a model of any kind with some of its layers replaced."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
from keras.layers import Layer

from tern_keras.layers import kernel_specs
from tern_keras.layers.base import stock_weights
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
        raise TypeError(f"{function}() takes a Keras model, received {type(model).__name__}.")
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
    inner = layer._flatten_layers(include_self=False, recursive=False) if isinstance(layer, Layer) else []
    return [sub for sub in inner if not isinstance(sub, Quantizer)]


def is_composite(layer: Layer) -> bool:
    """Return whether `layer` consists of layers to be looked at; a recurrent layer's cell is part of it."""
    return bool(sub_layers(layer)) and not kernel_specs(layer)


def leaf_layers(model: Layer) -> Iterator[Layer]:
    """Yield the layers of `model` in its order, those opened that consist of other layers."""
    for layer in sub_layers(model):
        if is_composite(layer):
            yield from leaf_layers(layer)
        else:
            yield layer


def clone_with(
    model: keras.Model,
    replacement: Callable[[Layer], Layer | None],
    transfer: Callable[[Layer, Layer], None],
) -> keras.Model:
    """Return a new model of the same structure with replaced layers and with the weights carried over.

    Sequential and Functional models are built anew. A model or layer of another kind that consists of layers is
    made anew from its configuration, and then its layers are exchanged wherever it holds them.

    Args:
        model: built model; not changed.
        replacement: returns the new layer that takes a layer's place, or None to keep a plain copy of it.
        transfer: called with each replaced layer and its replacement, once built, to carry the weights over.

    Returns:
        The new model, not compiled.

    Raises:
        TypeError: a layer or model cannot be made from its `get_config()`.
        ValueError: what is made from it has other layers or weights.
    """
    copies: list[tuple[Layer, Layer]] = []
    replaced: list[tuple[Layer, Layer]] = []

    def clone(layer: Layer) -> Layer:
        if is_graph(layer):
            return _rebuild(layer, clone)
        new = replacement(layer)
        if new is not None:
            replaced.append((layer, new))
            return new
        new = _from_config(layer)
        copies.append((layer, new))
        return new

    if is_graph(model):
        result = _rebuild(model, clone)
    else:
        result = _from_config(model)
        _build_as(model, result)
        copies.append((model, result))
    for old, new in copies:
        _fill(old, new, replacement, transfer)
    for old, new in replaced:
        transfer(old, new)
    return result


def carry_over(old: Layer, new: Layer) -> None:
    """Copy the weights that a stock layer and its quantised sibling share.

    By value: on JAX, models that share an array lose it when one trains.
    """
    for source, target in zip(stock_weights(old), stock_weights(new), strict=True):
        target.assign(keras.ops.convert_to_numpy(source))


def _rebuild(model: keras.Model, clone: Callable[[Layer], Layer]) -> keras.Model:
    """Return an uncompiled model of the clones of the layers of `model`, which is Sequential or Functional."""
    if isinstance(model, keras.Sequential):
        (x,) = model.inputs
        start = keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name)
        result = keras.Sequential([start, *map(clone, model.layers)], name=model.name)
    else:
        # a view without the compile settings, which clone_model would copy, and cannot where they hold a lambda
        plain = keras.Model(model.input, model.output, name=model.name)
        result = keras.models.clone_model(plain, clone_function=clone)
    if not model.trainable:
        result.trainable = False
    return result


def config_of(layer: Layer) -> dict[str, Any]:
    """Return the configuration of `layer`; raise TypeError, naming the layer, if it has none."""
    try:
        return layer.get_config()
    except NotImplementedError as error:
        raise TypeError(_no_config(layer, error)) from error


def _from_config(layer: Layer) -> Layer:
    config = config_of(layer)
    try:
        return type(layer).from_config(config)
    except TypeError as error:
        raise TypeError(_no_config(layer, error)) from error


def _no_config(layer: Layer, error: Exception) -> str:
    reason = str(error).strip().splitlines()[0]
    return (
        f"'{layer.name}' ({type(layer).__name__}) cannot be made anew from its get_config(): {reason} "
        "Let get_config() return all arguments of the constructor."
    )


def _build_as(old: Layer, new: Layer) -> None:
    new.build_from_config(old.get_build_config())
    new.built = True


def _fill(
    old: Layer,
    new: Layer,
    replacement: Callable[[Layer], Layer | None],
    transfer: Callable[[Layer, Layer], None],
) -> None:
    """Give `new`, made from the configuration of `old` and built, the weights of `old`, and its layers replaced."""
    if not isinstance(old, Layer):
        return  # a bare operation of a Functional graph
    if is_composite(old):
        _require_alike(old, sub_layers(old), sub_layers(new), "layers")
        exchanged: dict[int, Layer] = {}
        for old_layer, new_layer in zip(sub_layers(old), sub_layers(new), strict=True):
            other = _other(old_layer, new_layer, replacement, transfer)
            if other is None:
                _fill(old_layer, new_layer, replacement, transfer)
            else:
                exchanged[id(new_layer)] = other
        # past __setattr__: a built layer takes no new ones, and Keras' own lists of them change here too
        vars(new).update({name: _exchanged(value, exchanged) for name, value in vars(new).items()})
    own, copied = _own_weights(old), _own_weights(new)
    _require_alike(old, own, copied, "weights")
    for source, target in zip(own, copied, strict=True):
        target.assign(keras.ops.convert_to_numpy(source))
    if hasattr(new, "finalize_state"):
        # Normalization and its kin derive tensors from their weights
        new.finalize_state()


def _other(
    old: Layer,
    new: Layer,
    replacement: Callable[[Layer], Layer | None],
    transfer: Callable[[Layer, Layer], None],
) -> Layer | None:
    """Return the layer that takes the place of `new`, filled with the weights of `old`; None if `new` may stay."""
    if is_graph(old):
        return clone_with(old, replacement, transfer)
    other = replacement(old)
    if other is not None:
        _build_as(old, other)
        transfer(old, other)
    elif type(new) is not type(old):
        # the class makes its own layers, and `old` has been exchanged since
        other = _from_config(old)
        _build_as(old, other)
        _fill(old, other, replacement, transfer)
    return other


def _own_weights(layer: Layer) -> list[keras.Variable]:
    """Return the weights of `layer` without those of the layers to be looked at inside it."""
    inner = {id(v) for sub in sub_layers(layer) for v in sub.weights} if is_composite(layer) else set()
    return [v for v in layer.weights if id(v) not in inner]


def _require_alike(old: Layer, expected: list[Any], found: list[Any], what: str) -> None:
    if [getattr(x, "shape", None) for x in expected] != [getattr(x, "shape", None) for x in found]:
        raise ValueError(
            f"'{old.name}' ({type(old).__name__}), made anew from its get_config(), has {len(found)} {what} in the "
            f"place of {len(expected)}, or others. Let get_config() return all arguments of the constructor, and "
            "create the layers there or in build()."
        )


def _exchanged(value: Any, new_of: Mapping[int, Layer]) -> Any:
    """Return `value` with each object replaced whose `id` is in `new_of`; lists and dictionaries change in place."""
    if id(value) in new_of:
        return new_of[id(value)]
    if isinstance(value, list):
        for index, item in enumerate(value):
            # past the tracking of Keras' lists, which would count the new layer twice
            list.__setitem__(value, index, _exchanged(item, new_of))
    elif isinstance(value, dict):
        for key, item in list(value.items()):
            dict.__setitem__(value, key, _exchanged(item, new_of))
    elif isinstance(value, tuple):
        items = [_exchanged(item, new_of) for item in value]
        if any(a is not b for a, b in zip(items, value, strict=True)):
            return value._make(items) if hasattr(value, "_make") else type(value)(items)
    return value
