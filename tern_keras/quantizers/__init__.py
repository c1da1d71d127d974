"""Weight quantizers: the methods as Keras sub-layers, and the ways to name one."""

import ast
from typing import Any

import keras

from tern_keras.quantizers.base import QuantizedSum, QuantizedTensor, Quantizer, ScaledQuantizer
from tern_keras.quantizers.binary_connect import BinaryConnect
from tern_keras.quantizers.bwn import BWN, DoReFa
from tern_keras.quantizers.sq import SQ
from tern_keras.quantizers.statistical_scaling import ResidualExpansion, StatisticalScaling
from tern_keras.quantizers.truncated_gaussian import TruncatedGaussian
from tern_keras.quantizers.ttq import TTQ
from tern_keras.quantizers.twn import TWN

__all__ = [
    "BWN",
    "SQ",
    "TTQ",
    "TWN",
    "BinaryConnect",
    "DoReFa",
    "QuantizedSum",
    "QuantizedTensor",
    "Quantizer",
    "ResidualExpansion",
    "ScaledQuantizer",
    "StatisticalScaling",
    "TruncatedGaussian",
    "deserialize",
    "get",
    "serialize",
]

ALIASES: dict[str, type[Quantizer]] = {
    "twn": TWN,
    "ttq": TTQ,
    "sq": SQ,
    "bc": BinaryConnect,
    "bwn": BWN,
    "dorefa": DoReFa,
    "sws": StatisticalScaling,
    "rel": ResidualExpansion,
    "tga": TruncatedGaussian,
}


def serialize(quantizer: Quantizer | None) -> dict[str, Any] | None:
    """Return the configuration of `quantizer` as a dictionary for `deserialize`, or None for None."""
    return None if quantizer is None else keras.saving.serialize_keras_object(quantizer)


def deserialize(config: dict[str, Any]) -> Quantizer:
    """Return a new quantizer from the configuration that `serialize` returned.

    Args:
        config: dictionary with "class_name" and "config".

    Returns:
        The quantizer, without state.

    Raises:
        ValueError: `config` does not describe a quantizer.
    """
    known = {cls.__name__: cls for cls in ALIASES.values()}
    if "class_name" not in config:
        raise ValueError(f"A quantizer's configuration needs a 'class_name', one of {sorted(known)}: {config}")
    quantizer = keras.saving.deserialize_keras_object({"config": {}, **config}, custom_objects=known)
    if not isinstance(quantizer, Quantizer):
        raise ValueError(f"{config['class_name']} is not a quantizer. Known: {sorted(known)}.")
    return quantizer


def alias(quantizer: Quantizer) -> str:
    """Return the name that `get` knows the class of `quantizer` by, or the class' own name.

    Example:
        >>> alias(StatisticalScaling())
        'sws'
    """
    names = {cls: name for name, cls in ALIASES.items()}
    return names.get(type(quantizer), type(quantizer).__name__)


def get(identifier: Any) -> Quantizer | None:
    """Return the quantizer that `identifier` names.

    Args:
        identifier: None; an alias, "twn", "ttq", "sq", "bc", "bwn", "dorefa", "sws", "rel" or "tga"; an alias with
            arguments, "ttq(threshold=0.1)"; a dictionary from `serialize`; a `Quantizer` class; or a `Quantizer`,
            which is returned as it is.

    Returns:
        A quantizer, or None for None.

    Raises:
        ValueError: the alias is unknown or the text is not an alias with keyword arguments.
        TypeError: `identifier` is of another type, or an argument is unknown.

    Example:
        >>> get("ttq(threshold=0.1)").threshold
        0.1
        >>> get(None) is None
        True
    """
    if identifier is None or isinstance(identifier, Quantizer):
        return identifier
    if isinstance(identifier, str):
        return _from_text(identifier)
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, type) and issubclass(identifier, Quantizer):
        return identifier()
    raise TypeError(
        f"A quantizer is None, one of {sorted(ALIASES)}, a dictionary, a Quantizer or a Quantizer class; "
        f"received {identifier!r}."
    )


def _from_text(text: str) -> Quantizer:
    name, parenthesis, _ = text.partition("(")
    cls = ALIASES.get(name.strip().lower())
    if cls is None:
        raise ValueError(f"Unknown quantizer {text!r}. Known: {', '.join(sorted(ALIASES))}.")
    return cls(**_keywords(text)) if parenthesis else cls()


def _keywords(text: str) -> dict[str, Any]:
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if not isinstance(call, ast.Call) or call.args or any(keyword.arg is None for keyword in call.keywords):
            raise ValueError("not a call with keyword arguments alone")
        return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError) as error:
        raise ValueError(
            f"Cannot read the quantizer {text!r}: write a name and keyword arguments with plain values, "
            "e.g. 'ttq(threshold=0.1)'."
        ) from error
