"""From a model that TFMOT quantised and trained to Keras 3."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tf_keras

from tern_keras.tfmot.layer_conversion import carry_over, counterparts


def from_tfmot(model: tf_keras.Model) -> keras.Model:
    """Return the Keras 3 model that computes what a model from TFMOT's `quantize_apply` does.

    Layers with a `TernaryQuantizeConfig` become layers of `tern_keras.layers` that hold the latent weights and the
    trained scales: training can go on, and `finalize` and the exporter take the result. Where TFMOT quantised a tensor
    to 8 bits, an `ActivationQuantizer` with its range follows, named `<layer>_range`; an activation whose input TFMOT
    quantised, such as a softmax, becomes a layer `<layer>_activation` behind that. All other layers become their
    namesakes of Keras 3, without the 8-bit rounding that TFMOT itself gave their kernels.

    The outputs are equal, but for activations that lie between two of the 256 values and may be rounded to the other.

    Args:
        model: a built Sequential or Functional tf_keras model of stock layers, quantised by TFMOT or not.

    Returns:
        The new model, not compiled.

    Raises:
        TypeError: `model` is of another kind, or Keras 3 has no counterpart for one of its layers.
        ValueError: `model` is not built, or a layer uses what its counterpart lacks.

    Example:
        >>> import tf_keras
        >>> from tensorflow_model_optimization.quantization.keras import quantize_annotate_layer, quantize_apply
        >>> from tern_keras.tfmot import TernaryQuantizeConfig
        >>> dense = quantize_annotate_layer(tf_keras.layers.Dense(4, name="dense"), TernaryQuantizeConfig("ttq"))
        >>> model = quantize_apply(tf_keras.Sequential([tf_keras.Input((8,)), dense]))
        >>> [type(layer).__name__ for layer in from_tfmot(model).layers]
        ['ActivationQuantizer', 'QuantDense', 'ActivationQuantizer']
    """
    _check(model)
    chains = {layer.name: counterparts(layer) for layer in model.layers}
    rebuild = _sequential if isinstance(model, tf_keras.Sequential) else _functional
    result = rebuild(model, chains)
    for layer in model.layers:
        carry_over(layer, result.get_layer(chains[layer.name][0].name))
    return result


def _check(model: tf_keras.Model) -> None:
    # tf_keras exports no class for Functional models
    if not isinstance(model, tf_keras.Sequential) and not getattr(model, "_is_graph_network", False):
        kind = type(model)
        raise TypeError(
            "from_tfmot() takes a Sequential or Functional tf_keras model, received "
            f"{kind.__module__}.{kind.__qualname__}."
        )
    if not model.built or not model.inputs:
        raise ValueError(
            f"from_tfmot() needs a built model, and '{model.name}' is not: begin it with tf_keras.Input(shape)."
        )


def _sequential(model: tf_keras.Model, chains: Mapping[str, Sequence[keras.layers.Layer]]) -> keras.Model:
    (x,) = model.inputs
    start = keras.Input(batch_shape=tuple(x.shape), dtype=x.dtype.name, name=model.input_names[0])
    return keras.Sequential([start, *(layer for chain in chains.values() for layer in chain)], name=model.name)


def _functional(model: tf_keras.Model, chains: Mapping[str, Sequence[keras.layers.Layer]]) -> keras.Model:
    """Return the model of the chains, wired as the configuration of `model` says."""

    def redirected(structure: Any) -> Any:
        """Return a structure of tensors, each written [layer, node, ...], that come from the ends of the chains."""
        if isinstance(structure, dict):
            return {key: redirected(value) for key, value in structure.items()}
        if not isinstance(structure, list | tuple):
            return structure
        if structure and isinstance(structure[0], str) and structure[0] in chains:
            return [chains[structure[0]][-1].name, *map(redirected, structure[1:])]
        return [redirected(item) for item in structure]

    config = model.get_config()
    layers = []
    for entry in config["layers"]:
        nodes = redirected(entry["inbound_nodes"])
        for layer in chains[entry["name"]]:
            layers.append({**keras.saving.serialize_keras_object(layer), "name": layer.name, "inbound_nodes": nodes})
            nodes = [[[layer.name, index, 0, {}]] for index in range(len(nodes))]
    ends = {key: redirected(config[key]) for key in ("input_layers", "output_layers")}
    return keras.Model.from_config({"name": model.name, "trainable": model.trainable, "layers": layers, **ends})
