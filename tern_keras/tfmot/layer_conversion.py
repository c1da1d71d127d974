"""From one tf_keras layer, with what TFMOT has put around it, to Keras 3 layers."""

from collections.abc import Mapping
from typing import Any

import keras
import tf_keras
from tensorflow_model_optimization.quantization.keras import QuantizeWrapper, quantizers

from tern_keras.layers import QUANTIZED_CLASSES, ActivationQuantizer
from tern_keras.layers.base import QuantizedLayer, stock_weights
from tern_keras.ops.gradients import Tensor
from tern_keras.quantizers import serialize
from tern_keras.tfmot.quantize_config import KernelQuantizer
from tern_keras.tfmot.stock_config import stock_config

# of TFMOT's moving averages
_MOMENTUM = 0.999
# where TFMOT's quantised activations hold the ranges of their input and of their output, if they quantise it
_PRE, _POST = "_pre_activation_vars", "_post_activation_vars"


def counterparts(layer: tf_keras.layers.Layer) -> list[keras.layers.Layer]:
    """Return the Keras 3 layers that compute, one after the other, what `layer` does; the first has its weights.

    Args:
        layer: a built layer of a model, as it is or wrapped by TFMOT.

    Raises:
        TypeError: Keras 3 has no counterpart.
        ValueError: `layer` uses what its counterpart lacks.
    """
    if isinstance(layer, tf_keras.layers.InputLayer):
        config = layer.get_config()
        shape, dtype = config["batch_input_shape"], config["dtype"]
        return [keras.layers.InputLayer(batch_shape=shape, dtype=dtype, name=layer.name)]
    if _is_quantize_layer(layer):
        if not hasattr(layer.quantizer, "num_bits"):  # the input stays as it is
            return [keras.layers.Identity(name=layer.name)]
        return [_range(layer.name, layer.quantizer, layer.quantizer_vars)]
    if not isinstance(layer, QuantizeWrapper):
        return [_counterpart(layer)]
    return _unwrapped(layer)


def carry_over(old: tf_keras.layers.Layer, new: keras.layers.Layer) -> None:
    """Copy the weights, latent ones of kernels, and the state of the quantizer of a ternary kernel.

    Args:
        old: a layer of a tf_keras model.
        new: the first of its `counterparts`, built.
    """
    if _is_quantize_layer(old):
        return  # its range is in the configuration of the new layer
    for source, target in zip(_weights(old), stock_weights(new), strict=True):
        target.assign(source.numpy())
    if isinstance(new, QuantizedLayer):
        ((_, _, state),) = _quantized(old)
        for variable in new.kernel_quantizer.weights:
            variable.assign(state[variable.name].numpy())
    if hasattr(new, "finalize_state"):
        new.finalize_state()  # Normalization and its kin derive tensors from their weights


def _is_quantize_layer(layer: tf_keras.layers.Layer) -> bool:
    return type(layer).__name__ == "QuantizeLayer"  # TFMOT exports it under no name


def _quantized(wrapper: QuantizeWrapper) -> list[tuple[Tensor, quantizers.Quantizer, Mapping[str, Tensor]]]:
    """Return the weights that TFMOT quantises, each with its quantizer and the state of that."""
    return wrapper._weight_vars  # nowhere else: the layer itself holds the quantised tensor since its first call


def _weights(layer: tf_keras.layers.Layer) -> list[Tensor]:
    """Return the weights of a layer in the order of their creation, without those that TFMOT added."""
    if not isinstance(layer, QuantizeWrapper):
        return layer.weights
    kernels = [kernel for kernel, _, _ in _quantized(layer)]
    return [*kernels, *(w for w in layer.layer.weights if all(w is not kernel for kernel in kernels))]


def _unwrapped(wrapper: QuantizeWrapper) -> list[keras.layers.Layer]:
    layer = wrapper.layer
    ternary = next((q.quantizer for _, q, _ in _quantized(wrapper) if isinstance(q, KernelQuantizer)), None)
    arguments: dict[str, Any] = {} if ternary is None else {"kernel_quantizer": serialize(ternary)}
    # TFMOT lets nobody ask for these
    activations, outputs = wrapper._quantize_activations, wrapper._output_quantizers
    name = layer.name
    before = [_range(name, a.quantizer, getattr(a, _PRE)) for a in activations if hasattr(a, _PRE)]
    if before:
        name = f"{layer.name}_activation"
        before.append(keras.layers.Activation(stock_config(layer)["activation"], name=name))
        arguments["activation"] = "linear"
    after = [_range(name, a.quantizer, getattr(a, _POST)) for a in activations if hasattr(a, _POST)]
    after += [_range(name, quantizer, wrapper._output_quantizer_vars) for quantizer in outputs]
    return [_counterpart(layer, **arguments), *before, *after]


def _counterpart(layer: tf_keras.layers.Layer, **arguments: Any) -> keras.layers.Layer:
    """Return the Keras 3 layer of the class, quantised with a `kernel_quantizer`, with some arguments replaced."""
    name = type(layer).__name__
    stock = getattr(keras.layers, name, None)
    # a Lambda holds code, which no configuration carries over
    if stock is None or name == "Lambda" or type(layer) is not getattr(tf_keras.layers, name, None):
        raise TypeError(
            f"from_tfmot(): Keras 3 has no counterpart for layer '{layer.name}' ({name}). Build the tf_keras model of "
            "stock layers alone, without layers of your own, Lambda, nested models and bare tensor operations."
        )
    cls = QUANTIZED_CLASSES[stock] if "kernel_quantizer" in arguments else stock
    return cls.from_config({**stock_config(layer), **arguments})


def _range(name: str, quantizer: quantizers.Quantizer, state: Mapping[str, Tensor] | None) -> ActivationQuantizer:
    """Return the layer that quantises as TFMOT's `quantizer` does the output of the layer with this name."""
    if quantizer.num_bits != 8:
        raise ValueError(
            f"from_tfmot(): TFMOT quantises the output of layer '{name}' to {quantizer.num_bits} bits, "
            "ActivationQuantizer to 8. Quantise with TFMOT's 8-bit scheme or with TernaryQuantizeScheme."
        )
    if state is None:  # the range of a FixedQuantizer is an argument
        minimum, maximum = quantizer.init_min, quantizer.init_max
    else:
        minimum, maximum = float(state["min_var"]), float(state["max_var"])
    # an input that no batch was seen of has the range (0, 0)
    initial_range = (minimum, maximum) if minimum < maximum else None
    return ActivationQuantizer(momentum=_MOMENTUM, initial_range=initial_range, name=f"{name}_range")
