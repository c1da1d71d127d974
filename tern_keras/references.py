"""Exchange objects wherever a layer holds them: in attributes, and in lists, dictionaries and tuples there."""

from collections.abc import Iterator, Mapping
from functools import partial
from types import CellType
from typing import Any

from keras.layers import Layer


def exchange_references(holder: Layer, new_of: Mapping[int, Any]) -> None:
    """Replace objects that `holder` holds, Keras' own lists of its layers and weights included.

    Args:
        holder: built layer or model; changed in place.
        new_of: the new objects by the `id` of the old, which must still exist.

    Raises:
        ValueError: `holder` keeps an old object inside a function, where it cannot be replaced.
    """
    seen: set[int] = set()
    for name, value in vars(holder).items():
        if any(id(held) in new_of for held in _held_by_function(value)):
            raise ValueError(
                f"'{holder.name}' ({type(holder).__name__}) keeps a layer inside the function '{name}', where it "
                "cannot be exchanged. Keep the layer itself in an attribute, and call it."
            )
        # past __setattr__: a built layer takes no new ones
        vars(holder)[name] = _exchanged(value, new_of, seen)


def _exchanged(value: Any, new_of: Mapping[int, Any], seen: set[int]) -> Any:
    """Return `value` with each object replaced whose `id` is in `new_of`; lists and dictionaries change in place."""
    if id(value) in new_of:
        return new_of[id(value)]
    if isinstance(value, tuple):
        items = [_exchanged(item, new_of, seen) for item in value]
        if any(a is not b for a, b in zip(items, value, strict=True)):
            return value._make(items) if hasattr(value, "_make") else type(value)(items)
    elif isinstance(value, (list, dict)) and id(value) not in seen:
        seen.add(id(value))
        # past the tracking of Keras' lists and dictionaries, which would count the new object twice
        for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
            new = _exchanged(item, new_of, seen)
            if isinstance(value, dict):
                dict.__setitem__(value, key, new)
            else:
                list.__setitem__(value, key, new)
    return value


def _held_by_function(value: Any) -> Iterator[Any]:
    """Yield what a bound method, a closure, the defaults of a function or a `partial` keep; nothing for a layer."""
    if not callable(value) or isinstance(value, Layer):
        return
    if isinstance(value, partial):
        yield from (value.func, *value.args, *value.keywords.values())
        yield from _held_by_function(value.func)
    yield getattr(value, "__self__", None)
    yield from getattr(value, "__defaults__", None) or ()
    yield from (getattr(value, "__kwdefaults__", None) or {}).values()
    yield from (cell.cell_contents for cell in getattr(value, "__closure__", None) or () if cell != CellType())
