"""Rebuild a Sequential or Functional model with some of its layers replaced."""

from collections.abc import Callable, Iterator

import keras

from tern_keras.layers.base import stock_weights


def is_cloneable(model: object) -> bool:
    """Return whether `model` is Sequential or Functional; Keras exports no class for the latter."""
    return isinstance(model, keras.Sequential) or (isinstance(model, keras.Model) and hasattr(model, "operations"))


def require_cloneable(model: keras.Model, function: str) -> None:
    """Raise an error, in the name of `function`, unless `model` is a built Sequential or Functional model.

    Raises:
        TypeError: the model is of another kind.
        ValueError: the model is not built.
    """
    if not is_cloneable(model):
        raise TypeError(
            f"{function}() takes a Sequential or Functional Keras model, received {type(model).__name__}. "
            "A subclassed model cannot be taken apart: build it from tern_keras.layers directly."
        )
    require_built(model, function)


def require_built(model: keras.Model, function: str) -> None:
    """Raise ValueError, in the name of `function`, if `model` or one of its layers has no weights yet."""
    unbuilt = [layer.name for layer in model.layers if not layer.built]
    if not model.built or unbuilt:
        detail = f" (layers without weights: {', '.join(unbuilt)})" if unbuilt else ""
        raise ValueError(
            f"{function}() needs a built model, and '{model.name}' is not{detail}. "
            "Begin it with keras.Input(shape), or call model.build(input_shape) first."
        )


def leaf_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yield the layers of `model` in its order, nested Sequential and Functional models opened."""
    for layer in model.layers:
        if is_cloneable(layer):
            yield from leaf_layers(layer)
        else:
            yield layer


def clone_with(
    model: keras.Model,
    replacement: Callable[[keras.layers.Layer], keras.layers.Layer | None],
    transfer: Callable[[keras.layers.Layer, keras.layers.Layer], None],
) -> keras.Model:
    """Return a new model of the same topology with replaced layers and with the weights carried over.

    Args:
        model: built Sequential or Functional model, possibly nested; not changed.
        replacement: returns the new layer that takes a layer's place, or None to keep a plain copy of it.
        transfer: called with each replaced layer and its replacement, once built, to carry the weights over.

    Returns:
        The new model, not compiled.
    """
    copies: list[tuple[keras.layers.Layer, keras.layers.Layer]] = []
    replaced: list[tuple[keras.layers.Layer, keras.layers.Layer]] = []

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        if is_cloneable(layer):
            return _rebuild(layer, clone)
        new = replacement(layer)
        if new is not None:
            replaced.append((layer, new))
            return new
        new = type(layer).from_config(layer.get_config())
        copies.append((layer, new))
        return new

    result = _rebuild(model, clone)
    for old, new in copies:
        _copy_weights(old, new)
    for old, new in replaced:
        transfer(old, new)
    return result


def _rebuild(model: keras.Model, clone: Callable[[keras.layers.Layer], keras.layers.Layer]) -> keras.Model:
    """Return an uncompiled model of the clones of the layers of `model`."""
    if isinstance(model, keras.Sequential):
        (x,) = model.inputs
        start = keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name)
        return keras.Sequential([start, *map(clone, model.layers)], name=model.name)
    # a view without the compile settings, which clone_model would copy, and cannot where they hold a lambda
    view = keras.Model(model.input, model.output, name=model.name)
    return keras.models.clone_model(view, clone_function=clone)


def _copy_weights(old: keras.layers.Layer, new: keras.layers.Layer) -> None:
    if not isinstance(old, keras.layers.Layer):
        return  # a bare operation of a Functional graph
    new.set_weights(old.get_weights())
    if hasattr(new, "finalize_state"):
        # Normalization and its kin derive tensors from their weights
        new.finalize_state()


def carry_over(old: keras.layers.Layer, new: keras.layers.Layer) -> None:
    """Copy the weights that a stock layer and its quantised sibling share.

    By value: on JAX, models that share an array lose it when one trains.
    """
    for source, target in zip(stock_weights(old), stock_weights(new), strict=True):
        target.assign(keras.ops.convert_to_numpy(source))
