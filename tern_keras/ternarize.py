"""From a float Keras model to the same model with quantised layers."""

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from tern_keras import quantizers
from tern_keras.cloning import carry_over, clone_with, config_of, leaf_layers, require_built
from tern_keras.layers import QUANTIZED_CLASSES, STOCK_CLASSES
from tern_keras.layers.base import require_finite

Skip = str | re.Pattern[str] | Callable[[keras.layers.Layer], bool]


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

    A subclassed model is made anew from its `get_config()`, and its layers are exchanged afterwards. A `.keras` file of
    the result cannot know of that: keep `save_weights()`, and load them into `ternarize(YourModel(...), ...)`.

    Args:
        model: a built model; not changed.
        quantizer: what `tern_keras.quantizers.get` accepts; an object is copied for each layer.
        skip: layers that stay float, one or several of: "first" and "last", the first and the last layer that could
            be quantised, in the order of the model's layers; a layer's name; a compiled regular expression, searched
            for in the name; a function of the layer. The default is the papers' choice; `()` skips none.
        overrides: quantizer, or None for float, by the name of a layer or by a class name such as "Conv2D". A layer's
            name goes before `skip`, and `skip` before a class name.

    Returns:
        The new model, not compiled.

    Raises:
        TypeError: `model` is no Keras model, a part of it cannot be made from its `get_config()`, or a quantizer or an
            entry of `skip` is of a wrong type.
        ValueError: the model is not built, has NaN or infinite weights in a layer to be quantised, `skip` or
            `overrides` name an unknown layer, or no layer is left to quantise.

    Example:
        >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16), keras.layers.Dense(4)])
        >>> ternary = ternarize(model, "twn", skip=["last"])
        >>> [type(layer).__name__ for layer in ternary.layers]
        ['QuantDense', 'Dense']
    """
    require_built(model, "ternarize")
    entries = (skip,) if isinstance(skip, str) or not isinstance(skip, Sequence) else tuple(skip)
    specs = _specs(model, quantizer, entries, dict(overrides or {}))
    _warn_of_matrices_left(model)

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

    return clone_with(model, replacement, transfer)


def _specs(
    model: keras.Model, quantizer: Any, skip: tuple[Skip, ...], overrides: dict[str, Any]
) -> dict[int, quantizers.Quantizer | None]:
    """Return the quantizer of each layer that can have one, by the layer's id: nested models may repeat names."""
    candidates = [layer for layer in leaf_layers(model) if type(layer) in QUANTIZED_CLASSES]
    if not candidates:
        raise ValueError(
            f"ternarize() finds no layer to quantise in '{model.name}'. It knows {', '.join(_class_names())}."
        )
    _require_known("overrides", set(overrides), {layer.name for layer in candidates} | set(_class_names()))
    skipped = _skipped(candidates, skip)

    def spec(layer: keras.layers.Layer) -> Any:
        if layer.name in overrides:
            return overrides[layer.name]
        if id(layer) in skipped:
            return None
        return overrides.get(type(layer).__name__, quantizer)

    specs = {id(layer): quantizers.get(spec(layer)) for layer in candidates}
    if not any(specs.values()):
        names = sorted({layer.name for layer in candidates})
        raise ValueError(
            f"ternarize() would leave every layer of '{model.name}' float: skip={skip}, "
            f"overrides={overrides} cover all of {names}. Pass skip=() to quantise them all."
        )
    return specs


def _skipped(candidates: list[keras.layers.Layer], skip: tuple[Skip, ...]) -> set[int]:
    """Return the ids of the layers that `skip` covers."""
    ends = {"first": candidates[0], "last": candidates[-1]}
    names = {layer.name for layer in candidates}
    _require_known("skip", {entry for entry in skip if isinstance(entry, str)}, names | set(ends))
    skipped: set[int] = set()
    for entry in skip:
        if isinstance(entry, str):
            found = [ends[entry]] if entry in ends else [layer for layer in candidates if layer.name == entry]
        elif isinstance(entry, re.Pattern):
            found = [layer for layer in candidates if entry.search(layer.name)]
            if not found:
                raise ValueError(f"ternarize(): skip={entry.pattern!r} is found in none of {sorted(names)}.")
        elif callable(entry):
            found = [layer for layer in candidates if entry(layer)]
        else:
            raise TypeError(
                f"ternarize(): an entry of skip is a name, a compiled regular expression or a function of a layer; "
                f"received {entry!r}."
            )
        skipped.update(map(id, found))
    return skipped


def _warn_of_matrices_left(model: keras.Model) -> None:
    known = {*QUANTIZED_CLASSES, *STOCK_CLASSES}
    left = {
        f"'{layer.name}' ({type(layer).__name__})": None
        for layer in leaf_layers(model)
        if isinstance(layer, keras.layers.Layer)
        and type(layer) not in known
        and any(len(weight.shape) > 1 for weight in layer.trainable_weights)
    }
    if left:
        warnings.warn(
            f"ternarize() leaves {', '.join(left)} float: no layer of tern_keras.layers does their work.", stacklevel=3
        )


def _class_names() -> list[str]:
    return sorted(cls.__name__ for cls in QUANTIZED_CLASSES)


def _require_known(argument: str, names: set[str], known: set[str]) -> None:
    unknown = sorted(names - known)
    if unknown:
        raise ValueError(f"ternarize(): {argument} names {unknown}, not among {sorted(known)}.")
