"""From a trained quantised model to a plain Keras model."""

import json
import re

import keras

from tern_keras.cloning import carry_over, clone_with, require_cloneable
from tern_keras.layers import STOCK_CLASSES
from tern_keras.layers.base import QuantizedLayer


def finalize(model: keras.Model) -> keras.Model:
    """Return a copy of `model` in stock Keras layers whose kernels hold exactly the quantised values.

    The copy computes what `model` computes, saves and loads without `tern_keras`, and is what an exporter
    reads. The exception are `SQ` layers that have turned binary: their zeros become ±|μ| here, so evaluate
    the result. The latent weights stay behind in `model`; continue training there.

    Args:
        model: a built Sequential or Functional model, possibly nested; not changed.

    Returns:
        The new model, not compiled.

    Raises:
        TypeError: `model` is neither Sequential nor Functional.
        ValueError: the model is not built, a quantised layer has NaN or infinite weights, or a layer holds an
            object of `tern_keras` where it cannot be replaced, e.g. inside a wrapper.

    Example:
        >>> from tern_keras.layers import QuantDense
        >>> model = keras.Sequential([keras.Input((8,)), QuantDense(4, kernel_quantizer="twn")])
        >>> plain = finalize(model)
        >>> type(plain.layers[0]).__name__, len(set(plain.get_weights()[0].ravel())) <= 3
        ('Dense', True)
    """
    require_cloneable(model, "finalize")
    return clone_with(model, _stock_layer, _transfer)


def _stock_layer(layer: keras.layers.Layer) -> keras.layers.Layer | None:
    config = layer.get_config()
    # penalties are for training; ours would tie the file to this package
    penalties = [key for key, value in config.items() if key.endswith("_regularizer") and _is_ours(value)]
    config.update(dict.fromkeys(penalties))
    cls = STOCK_CLASSES.get(type(layer))
    if cls is not None:
        for kernel in layer.kernel_specs:
            del config[kernel.argument]
    if _is_ours(config):
        raise ValueError(
            f"finalize(): layer '{layer.name}' ({type(layer).__name__}) holds an object of tern_keras that has no "
            "stock counterpart there. Use the quantised layer directly in the model, not inside another layer."
        )
    if cls is None and not penalties:
        return None
    return (cls or type(layer)).from_config(config)


def _is_ours(config: object) -> bool:
    return re.search(r'"tern_keras[.>]', json.dumps(config, default=str)) is not None


def _transfer(old: keras.layers.Layer, new: keras.layers.Layer) -> None:
    carry_over(old, new)
    if not isinstance(old, QuantizedLayer):
        return
    quantized = old.quantized_kernels()
    for kernel in old.kernel_specs:
        if kernel.role in quantized:
            kernel.variable(new).assign(quantized[kernel.role].dequantize())
