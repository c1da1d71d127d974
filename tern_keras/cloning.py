"""Rebuild a model of any kind with some of its layers replaced."""

import warnings
from collections.abc import Callable
from textwrap import shorten
from typing import Any

import keras
from keras.layers import Layer

from tern_keras.layers.base import stock_weights
from tern_keras.references import exchange_references
from tern_keras.structure import is_composite, is_graph, layer_paths, leaf_layers, sub_layers


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
        TypeError: a layer or model cannot be made from its `get_config()`, or a Functional model has a `call` of its
            own.
        ValueError: what is made from it has other layers or weights, or it holds a layer inside a function.
    """
    return _Cloner(replacement, transfer).clone(model)


def carry_over(old: Layer, new: Layer) -> None:
    """Copy the weights that a stock layer and its quantised sibling share.

    By value: on JAX, models that share an array lose it when one trains.
    """
    for source, target in zip(stock_weights(old), stock_weights(new), strict=True):
        target.assign(keras.ops.convert_to_numpy(source))


def config_of(layer: Layer) -> dict[str, Any]:
    """Return the configuration of `layer`; raise TypeError, naming the layer, if it has none."""
    try:
        return layer.get_config()
    except NotImplementedError as error:
        raise TypeError(_no_config(layer, error)) from error


def from_config(layer: Layer) -> Layer:
    """Return a new layer of the configuration of `layer`; raise TypeError, naming the layer, if it does not serve."""
    config = config_of(layer)
    # nothing is loaded here: the function of a Lambda is the one that runs already
    options = {"safe_mode": False} if isinstance(layer, keras.layers.Lambda) else {}
    try:
        return type(layer).from_config(config, **options)
    except TypeError as error:
        raise TypeError(_no_config(layer, error)) from error


def layers_unknown_to_their_config(old: keras.Model, new: keras.Model) -> str | None:
    """Return what to say of layers in `new`, a clone of `old`, whose configuration does not hold what was exchanged.

    Returns:
        A sentence that names them, or None: a file of `new` is whole.
    """
    found: dict[int, Layer] = {}
    for old_path, new_path in zip(layer_paths(old), layer_paths(new), strict=False):
        if type(old_path[-1]) is type(new_path[-1]):
            continue
        holder = next((layer for layer in (new, *new_path[:-1]) if not is_graph(layer)), None)
        if holder is not None and type(new_path[-1]) not in set(map(type, leaf_layers(from_config(holder)))):
            found[id(holder)] = holder
    if not found:
        return None
    names = ", ".join(f"'{layer.name}' ({type(layer).__name__})" for layer in found.values())
    return (
        f"the layers inside {names} were exchanged, of which its get_config() knows nothing: a .keras file would be "
        "read with the class' own. Keep save_weights(), and load them into the result of this call."
    )


def _no_config(layer: Layer, error: Exception) -> str:
    reason = shorten(str(error), 200)
    return (
        f"'{layer.name}' ({type(layer).__name__}) cannot be made anew from its get_config(). Let get_config() return "
        f"all arguments of the constructor. Keras says: {reason}"
    )


def _build_as(old: Layer, new: Layer) -> None:
    with warnings.catch_warnings():
        # Keras advises how to save what it could not build; if weights are missing, _fill says so
        warnings.filterwarnings("ignore", message=".*had a build config")
        new.build_from_config(old.get_build_config())
    new.built = True


class _Cloner:
    """Makes the copy of one model, and remembers the layers that it has replaced: one may serve in many places."""

    def __init__(self, replacement: Callable[[Layer], Layer | None], transfer: Callable[[Layer, Layer], None]) -> None:
        self._replacement = replacement
        self._transfer = transfer
        self._new_of: dict[int, Layer] = {}

    def clone(self, model: keras.Model) -> keras.Model:
        """Return the copy of a model, or of a model inside it."""
        copies: list[tuple[Layer, Layer]] = []
        replaced: list[tuple[Layer, Layer]] = []

        def clone(layer: Layer) -> Layer:
            if id(layer) in self._new_of:
                return self._new_of[id(layer)]
            if is_graph(layer):
                return _rebuild(layer, clone)
            new = self._replacement(layer)
            if new is not None:
                self._new_of[id(layer)] = new
                replaced.append((layer, new))
                return new
            new = from_config(layer)
            copies.append((layer, new))
            return new

        if is_graph(model):
            result = _rebuild(model, clone)
        else:
            result = from_config(model)
            _build_as(model, result)
            copies.append((model, result))
        for old, new in copies:
            self._fill(old, new)
        for old, new in replaced:
            self._transfer(old, new)
        return result

    def _fill(self, old: Layer, new: Layer) -> None:
        """Give `new`, made from the configuration of `old` and built, the weights of `old`, and its layers replaced."""
        if not isinstance(old, Layer):
            return  # a bare operation of a Functional graph
        if is_composite(old):
            _require_alike(old, sub_layers(old), sub_layers(new), "layers")
            exchanged: dict[int, Any] = {}
            for old_layer, new_layer in zip(sub_layers(old), sub_layers(new), strict=True):
                other = self._other(old_layer, new_layer)
                if other is None:
                    self._fill(old_layer, new_layer)
                else:
                    exchanged[id(new_layer)] = other
                    # a wrapper may hold a weight of its layer too
                    weights = zip(stock_weights(new_layer), stock_weights(other), strict=True)
                    exchanged.update({id(weight): own for weight, own in weights})
            exchange_references(new, exchanged)
        own, copied = _own_weights(old), _own_weights(new)
        _require_alike(old, own, copied, "weights")
        for source, target in zip(own, copied, strict=True):
            target.assign(keras.ops.convert_to_numpy(source))
        if hasattr(new, "finalize_state"):
            # Normalization and its kin derive tensors from their weights
            new.finalize_state()
        if not _is_of_keras(type(old)):
            vars(new).update(_plain_attributes(old))

    def _other(self, old: Layer, new: Layer) -> Layer | None:
        """Return the layer that takes the place of `new`, filled with the weights of `old`; None if `new` may stay."""
        if id(old) in self._new_of:
            return self._new_of[id(old)]
        if is_graph(old):
            other = self.clone(old)
        else:
            other = self._replacement(old)
            if other is not None:
                _build_as(old, other)
                self._transfer(old, other)
            elif type(new) is not type(old):
                # the class makes its own layers, and `old` has been exchanged since
                other = from_config(old)
                _build_as(old, other)
                self._fill(old, other)
        if other is not None:
            self._new_of[id(old)] = other
        return other


def _rebuild(model: keras.Model, clone: Callable[[Layer], Layer]) -> keras.Model:
    """Return an uncompiled model of the clones of the layers of `model`, which is Sequential or Functional."""
    if not _is_of_keras(next(cls for cls in type(model).__mro__ if "call" in vars(cls))):
        raise TypeError(
            f"'{model.name}' ({type(model).__name__}) is made of inputs and outputs, but computes something else in a "
            "call() of its own. Let it hold its layers as attributes, or put what call() adds into a layer."
        )
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


def _own_weights(layer: Layer) -> list[keras.Variable]:
    """Return the weights of `layer` without those of the layers to be looked at inside it."""
    inner = {id(v) for sub in sub_layers(layer) for v in sub.weights} if is_composite(layer) else set()
    return [v for v in layer.weights if id(v) not in inner]


def _plain_attributes(layer: Layer) -> dict[str, Any]:
    """Return the numbers, texts and flags that the class of `layer`, or its user, has put into attributes.

    A configuration may leave them out: Keras guesses the one of a model that defines none, with the defaults.
    """
    of_keras = vars(keras.Model()) if isinstance(layer, keras.Model) else vars(Layer())
    return {
        name: value
        for name, value in vars(layer).items()
        if isinstance(value, (bool, int, float, str)) and not name.startswith("_") and name not in of_keras
    }


def _is_of_keras(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == "keras"


def _require_alike(old: Layer, expected: list[Any], found: list[Any], what: str) -> None:
    if [getattr(x, "shape", None) for x in expected] != [getattr(x, "shape", None) for x in found]:
        raise ValueError(
            f"'{old.name}' ({type(old).__name__}), made anew from its get_config(), has {len(found)} {what} in the "
            f"place of {len(expected)}, or others. Let get_config() return all arguments of the constructor, and "
            "create the layers there or in build()."
        )
