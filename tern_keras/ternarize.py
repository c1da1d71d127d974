"""From a float Keras model to the same model with quantised layers."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from tern_keras import quantizers
from tern_keras.cloning import carry_over, clone_with, leaf_layers, require_cloneable
from tern_keras.layers import QUANTIZED_CLASSES
from tern_keras.layers.base import require_finite


def ternarize(
    model: keras.Model,
    quantizer: Any = "ttq",
    skip: Sequence[str] = ("first", "last"),
    overrides: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Return a copy of `model` whose layers train quantised kernels, with the weights carried over.

    Layers that have a sibling in `tern_keras.layers`, also in nested models, become that sibling under the same
    name; other layers are copied as they are. Where a layer has several kernels, each gets a quantizer of its own.
    The quantizers' scales are calibrated to the weights.
    Train the result, then `finalize` it. To train the depth of SQ layers, give the quantizer its penalty:
    `ternarize(model, SQ(regularizer=AdaptiveRegularizer(0.1, 1e-2)))`.

    Args:
        model: a built Sequential or Functional model; not changed.
        quantizer: what `tern_keras.quantizers.get` accepts; an object is copied for each layer.
        skip: layers that stay float: "first" and "last" for the first and the last layer that could be
            quantised, and names of layers. The default is the papers' choice; `()` skips none.
        overrides: quantizer, or None for float, by the name of a layer or by a class name such as "Conv2D". A layer's
            name goes before `skip`, and `skip` before a class name.

    Returns:
        The new model, not compiled.

    Raises:
        TypeError: `model` is neither Sequential nor Functional, or a quantizer is of a wrong type.
        ValueError: the model is not built, has NaN or infinite weights in a layer to be quantised, `skip` or
            `overrides` name an unknown layer, or no layer is left to quantise.

    Example:
        >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16), keras.layers.Dense(4)])
        >>> ternary = ternarize(model, "twn", skip=["last"])
        >>> [type(layer).__name__ for layer in ternary.layers]
        ['QuantDense', 'Dense']
    """
    require_cloneable(model, "ternarize")
    specs = _specs(model, quantizer, skip, dict(overrides or {}))

    def replacement(layer: keras.layers.Layer) -> keras.layers.Layer | None:
        spec = specs.get(id(layer))
        if spec is None:
            return None
        require_finite(layer)
        cls = QUANTIZED_CLASSES[type(layer)]
        arguments = {kernel.argument: quantizers.serialize(spec) for kernel in cls.kernel_specs}
        return cls.from_config({**layer.get_config(), **arguments})

    def transfer(old: keras.layers.Layer, new: keras.layers.Layer) -> None:
        carry_over(old, new)
        for kernel in new.kernel_specs:
            getattr(new, kernel.argument).calibrate(kernel.variable(new))

    return clone_with(model, replacement, transfer)


def _specs(
    model: keras.Model, quantizer: Any, skip: Sequence[str], overrides: dict[str, Any]
) -> dict[int, quantizers.Quantizer | None]:
    """Return the quantizer of each layer that can have one, by the layer's id: nested models may repeat names."""
    candidates = [layer for layer in leaf_layers(model) if type(layer) in QUANTIZED_CLASSES]
    if not candidates:
        raise ValueError(
            f"ternarize() finds no layer to quantise in '{model.name}'. It knows {', '.join(_class_names())}."
        )
    if isinstance(skip, str):
        skip = (skip,)
    names = {layer.name for layer in candidates}
    _require_known("skip", set(skip), names | {"first", "last"})
    _require_known("overrides", set(overrides), names | set(_class_names()))
    ends = {"first": candidates[0], "last": candidates[-1]}
    skipped_ends = [ends[name] for name in skip if name in ends]

    def spec(layer: keras.layers.Layer) -> Any:
        if layer.name in overrides:
            return overrides[layer.name]
        if layer.name in skip or any(layer is end for end in skipped_ends):
            return None
        return overrides.get(type(layer).__name__, quantizer)

    specs = {id(layer): quantizers.get(spec(layer)) for layer in candidates}
    if not any(specs.values()):
        raise ValueError(
            f"ternarize() would leave every layer of '{model.name}' float: skip={tuple(skip)}, "
            f"overrides={overrides} cover all of {sorted(names)}. Pass skip=() to quantise them all."
        )
    return specs


def _class_names() -> list[str]:
    return sorted(cls.__name__ for cls in QUANTIZED_CLASSES)


def _require_known(argument: str, names: set[str], known: set[str]) -> None:
    unknown = sorted(names - known)
    if unknown:
        raise ValueError(f"ternarize(): {argument} names {unknown}, not among {sorted(known)}.")
