"""From a trained quantised model to a plain Keras model."""

import json
import re
import warnings

import keras
import numpy as np

from tern_keras.cloning import carry_over, clone_with, config_of, layers_unknown_to_their_config
from tern_keras.layers import STOCK_CLASSES, ActivationQuantizer
from tern_keras.layers.base import QuantizedLayer
from tern_keras.structure import is_composite, require_built


def finalize(model: keras.Model) -> keras.Model:
    """Return a copy of `model` in stock Keras layers whose kernels hold exactly the quantised values.

    The copy computes what `model` computes, saves and loads without `tern_keras`, and is what an exporter reads. The
    latent weights stay behind in `model`; continue training there. Two exceptions:

    - `SQ` layers that have turned binary: their zeros become ±|μ| here. A warning tells how many weights change side;
      evaluate the result, after `recalibrate_batch_norm` if the model normalises.
    - `ActivationQuantizer` layers stay, for no stock layer holds a range: such a copy loads where `tern_keras` is
      imported.

    Args:
        model: a built model; not changed.

    Returns:
        The new model, not compiled.

    Raises:
        TypeError: `model` is no Keras model, or a part of it cannot be made from its `get_config()`.
        ValueError: the model is not built, a quantised layer has NaN or infinite weights, or a layer holds an
            object of `tern_keras` that has no stock counterpart there.

    Example:
        >>> from tern_keras.layers import QuantDense
        >>> model = keras.Sequential([keras.Input((8,)), QuantDense(4, kernel_quantizer="twn")])
        >>> plain = finalize(model)
        >>> type(plain.layers[0]).__name__, len(set(plain.get_weights()[0].ravel())) <= 3
        ('Dense', True)
    """
    require_built(model, "finalize")
    changes: list[str] = []

    def transfer(old: keras.layers.Layer, new: keras.layers.Layer) -> None:
        carry_over(old, new)
        if isinstance(old, QuantizedLayer):
            changes.extend(_transfer_kernels(old, new))

    result = clone_with(model, _stock_layer, transfer)
    if changes:
        warnings.warn(
            f"finalize(): {', '.join(changes)}. The layers have turned binary: evaluate the result.", stacklevel=2
        )
    unknown = layers_unknown_to_their_config(model, result)
    if unknown:
        warnings.warn(f"finalize(): {unknown}", stacklevel=2)
    return result


def _transfer_kernels(old: QuantizedLayer, new: keras.layers.Layer) -> list[str]:
    """Give `new` the quantised kernels of `old`; return a phrase for each in which weights change side by that."""
    phrases = []
    quantized = old.quantized_kernels()
    for spec in old.kernel_specs:
        if spec.role not in quantized:
            continue
        final = quantized[spec.role].dequantize()
        spec.variable(new).assign(final)
        trained = keras.ops.convert_to_numpy(getattr(old, spec.argument)(spec.variable(old)))
        count = int((np.sign(final) != np.sign(trained)).sum())
        if count:
            phrases.append(f"{count:,} of {final.size:,} weights of '{old.name}' ({spec.role}) change side")
    return phrases


def _stock_layer(layer: keras.layers.Layer) -> keras.layers.Layer | None:
    if isinstance(layer, ActivationQuantizer) or is_composite(layer):
        return None  # the layers of a composite are replaced one by one
    cls = STOCK_CLASSES.get(type(layer))
    config = config_of(layer)
    # penalties are for training; ours would tie the file to this package
    penalties = [key for key, value in config.items() if key.endswith("_regularizer") and _is_ours(value)]
    config.update(dict.fromkeys(penalties))
    if cls is not None:
        for kernel in layer.kernel_specs:
            del config[kernel.argument]
    if _is_ours(config):
        raise ValueError(
            f"finalize(): layer '{layer.name}' ({type(layer).__name__}) holds an object of tern_keras that has no "
            "stock counterpart there. Use the layers of tern_keras.layers for what it computes."
        )
    if cls is None and not penalties:
        return None
    return (cls or type(layer)).from_config(config)


def _is_ours(config: object) -> bool:
    return re.search(r'"tern_keras[.>]', json.dumps(config, default=str)) is not None
