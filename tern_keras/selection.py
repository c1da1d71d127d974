"""Which layers of a model are quantised, and how: the arguments `skip` and `overrides` of `ternarize`."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
from keras.layers import Layer

from tern_keras import quantizers
from tern_keras.layers import QUANTIZED_CLASSES
from tern_keras.layers.base import QuantizedLayer
from tern_keras.structure import all_layers, layer_paths

Skip = str | re.Pattern[str] | type | Callable[[Layer], bool]
Path = tuple[Layer, ...]

# Keras does not derive the latter from the former
_WRAPPERS = (keras.layers.Wrapper, keras.layers.Bidirectional)


def select(
    model: keras.Model, quantizer: Any, skip: Iterable[Skip], overrides: Mapping[str, Any]
) -> dict[int, quantizers.Quantizer | None]:
    """Return the quantizer of each layer that can have one, None for float, by the layer's id.

    Args:
        model: built model.
        quantizer: what `tern_keras.quantizers.get` accepts.
        skip: as in `tern_keras.ternarize`.
        overrides: as in `tern_keras.ternarize`.

    Returns:
        A quantizer or None for each stock layer that has a sibling in `tern_keras.layers`.

    Raises:
        TypeError: an entry of `skip` or a quantizer is of a wrong type.
        ValueError: a name is unknown, an expression is found nowhere, or nothing is left to quantise.
    """
    paths = [path for path in layer_paths(model) if type(path[-1]) in QUANTIZED_CLASSES]
    if not paths:
        raise ValueError(_nothing_to_quantise(model))
    skip = tuple(skip)
    names = set().union(*map(_names, paths))
    classes = {cls.__name__ for cls in QUANTIZED_CLASSES} | {type(layer).__name__ for path in paths for layer in path}
    _require_known("overrides", set(overrides), names | classes)
    _require_known("skip", {entry for entry in skip if isinstance(entry, str)}, names | {"first", "last"})
    skipped = {id(path[-1]) for entry in skip for path in _covered(entry, paths)}

    def spec(path: Path) -> Any:
        names = ("/".join(layer.name for layer in path), *(layer.name for layer in reversed(path)))
        for name in names:
            if name in overrides:
                return overrides[name]
        if id(path[-1]) in skipped:
            return None
        for layer in reversed(path):
            if type(layer).__name__ in overrides:
                return overrides[type(layer).__name__]
        return quantizer

    specs = {id(path[-1]): quantizers.get(spec(path)) for path in paths}
    if not any(specs.values()):
        raise ValueError(
            f"ternarize() would leave every layer of '{model.name}' float: skip={skip}, overrides={dict(overrides)} "
            f"cover all of {sorted({path[-1].name for path in paths})}. Pass skip=() to quantise them all."
        )
    return specs


def _nothing_to_quantise(model: keras.Model) -> str:
    done = [layer.name for layer in all_layers(model) if isinstance(layer, QuantizedLayer)]
    if done:
        return f"ternarize() finds nothing more to quantise in '{model.name}': {', '.join(done)} are quantised already."
    known = ", ".join(sorted(cls.__name__ for cls in QUANTIZED_CLASSES))
    return f"ternarize() finds no layer to quantise in '{model.name}'. It knows {known}."


def _names(path: Path) -> set[str]:
    """Return the names that a layer answers to: its own, those of the layers it is part of, and all with slashes."""
    return {"/".join(layer.name for layer in path), *(layer.name for layer in path)}


def _covered(entry: Skip, paths: list[Path]) -> list[Path]:
    """Return the ways to the layers that an entry of `skip` covers."""
    if entry in ("first", "last"):
        path = paths[0 if entry == "first" else -1]
        end = next((layer for layer in path if isinstance(layer, _WRAPPERS)), path[-1])
        return [path for path in paths if any(layer is end for layer in path)]
    if isinstance(entry, str):
        return [path for path in paths if entry in _names(path)]
    if isinstance(entry, re.Pattern):
        found = [path for path in paths if any(map(entry.search, _names(path)))]
        if not found:
            names = sorted(set().union(*map(_names, paths)))
            raise ValueError(f"ternarize(): skip={entry.pattern!r} is found in none of {names}.")
        return found
    if isinstance(entry, type):
        return [path for path in paths if any(isinstance(layer, entry) for layer in path)]
    if callable(entry):
        return [path for path in paths if entry(path[-1])]
    raise TypeError(
        "ternarize(): an entry of skip is a name, a class, a compiled regular expression or a function of a layer; "
        f"received {entry!r}."
    )


def _require_known(argument: str, names: set[str], known: set[str]) -> None:
    unknown = sorted(names - known)
    if unknown:
        raise ValueError(f"ternarize(): {argument} names {unknown}, not among {sorted(known)}.")
