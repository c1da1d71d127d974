"""From a float Keras model to the same model with quantised layers."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from tern_keras import quantizers
from tern_keras.cloning import carry_over, clone_with, config_of, layers_unknown_to_their_config
from tern_keras.layers import QUANTIZED_CLASSES, STOCK_CLASSES
from tern_keras.layers.base import require_finite
from tern_keras.selection import Skip, select
from tern_keras.structure import is_graph, leaf_layers, require_built


def ternarize(
    model: keras.Model,
    quantizer: Any = "ttq",
    skip: Skip | Sequence[Skip] = ("first", "last"),
    overrides: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Return a copy of `model` whose layers train quantised kernels, with the weights carried over.

    Layers that have a sibling in `tern_keras.layers` become that sibling under the same name: in Sequential and
    Functional models, in models and layers that hold others as attributes, and in wrappers such as `Bidirectional`.
    Other layers are copied as they are; a warning lists those among them that hold matrices of weights. Where a layer
    has several kernels, each gets a quantizer of its own. The quantizers' scales are calibrated to the weights.

    Train the result, then `finalize` it. To train the depth of SQ layers, give the quantizer its penalty:
    `ternarize(model, SQ(regularizer=AdaptiveRegularizer(0.1, 1e-2)))`.

    Models and layers written in Python are made anew from their `get_config()`, and their layers are exchanged
    afterwards. If the class makes its layers itself, a `.keras` file cannot know of that, and a warning says so: keep
    `save_weights()`, and load them into the result of the same call. A Functional model becomes a plain one.

    Args:
        model: a built model; not changed.
        quantizer: what `tern_keras.quantizers.get` accepts; an object is copied for each layer.
        skip: layers that stay float, one or several of: "first" and "last", the first and the last layer that could
            be quantised, in the order of the model's layers, a wrapper counting as one; the name of a layer, or of one
            that it is part of, or all of them, "block/conv"; a compiled regular expression, searched for in these
            names; a class of layers; a function of the layer. The default is the papers' choice; `()` skips none.
        overrides: quantizer, or None for float, by such a name, of which the innermost counts, or by the name of a
            class such as "Conv2D". A layer's name goes before `skip`, and `skip` before a class name.

    Returns:
        The new model, not compiled.

    Raises:
        TypeError: `model` is no Keras model, a part of it cannot be made from its `get_config()`, or a quantizer or an
            entry of `skip` is of a wrong type.
        ValueError: the model is not built, has NaN or infinite weights in a layer to be quantised, `skip` or
            `overrides` name an unknown layer, no layer is left to quantise, or a layer cannot be exchanged where it is
            held.

    Example:
        >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16), keras.layers.Dense(4)])
        >>> ternary = ternarize(model, "twn", skip=["last"])
        >>> [type(layer).__name__ for layer in ternary.layers]
        ['QuantDense', 'Dense']
    """
    require_built(model, "ternarize")
    entries = (skip,) if isinstance(skip, str) or not isinstance(skip, Sequence) else skip
    specs = select(model, quantizer, entries, overrides or {})

    def replacement(layer: keras.layers.Layer) -> keras.layers.Layer | None:
        spec = specs.get(id(layer))
        if spec is None:
            return None
        require_finite(layer)
        cls = QUANTIZED_CLASSES[type(layer)]
        arguments = {kernel.argument: quantizers.serialize(spec) for kernel in cls.kernel_specs}
        return cls.from_config({**config_of(layer), **arguments})

    def transfer(old: keras.layers.Layer, new: keras.layers.Layer) -> None:
        carry_over(old, new)
        for kernel in new.kernel_specs:
            getattr(new, kernel.argument).calibrate(kernel.variable(new))

    result = clone_with(model, replacement, transfer)
    for text in (_matrices_left(model), _class_left(model, result), layers_unknown_to_their_config(model, result)):
        if text:
            warnings.warn(f"ternarize(): {text}", stacklevel=2)
    return result


def _matrices_left(model: keras.Model) -> str | None:
    known = {*QUANTIZED_CLASSES, *STOCK_CLASSES}
    left = [
        f"'{layer.name}' ({type(layer).__name__})"
        for layer in leaf_layers(model)
        if type(layer) not in known and any(len(weight.shape) > 1 for weight in layer.trainable_weights)
    ]
    return f"{', '.join(left)} stay float: no layer of tern_keras.layers does their work." if left else None


def _class_left(model: keras.Model, result: keras.Model) -> str | None:
    name = type(model).__name__
    if type(result) is type(model) or not is_graph(model) or name == "Functional":
        return None
    return (
        f"'{model.name}' ({name}) becomes a plain {type(result).__name__} model, without methods of its own such as "
        f"train_step(). Where {name} takes inputs and outputs, make it anew: {name}(result.inputs, result.outputs)."
    )
