"""The networks of the experiments, by name: functions of the images' shape, (height, width, channels)."""

from collections.abc import Callable, Sequence
from functools import partial

import keras

from tern_keras.applications import lenet5, resnet_cifar, vgg7


def with_batch_norm(network: keras.Sequential) -> keras.Sequential:
    """Return `network` with batch normalisation between each layer with a kernel and its activation.

    The layers' biases, which the normalisation would cancel, go.

    Args:
        network: a Sequential model without batch normalisation; not changed.

    Returns:
        The new model, with new weights.
    """
    layers = [keras.Input(network.input_shape[1:])]
    for layer in network.layers:
        config = layer.get_config()
        if not hasattr(layer, "kernel"):
            layers.append(type(layer).from_config(config))
            continue
        layers += [
            type(layer).from_config({**config, "activation": None, "use_bias": False}),
            keras.layers.BatchNormalization(name=f"{layer.name}_bn"),
            keras.layers.Activation(layer.activation, name=f"{layer.name}_activation"),
        ]
    return keras.Sequential(layers, name=f"{network.name}_bn")


def with_normal_weights(network: keras.Model) -> keras.Model:
    """Draw the kernels of `network` anew from N(0, 2 / fan_in), and return it.

    The SQ paper derives its threshold, Δ = 0.2 σ, for weights of a normal distribution, of which it takes 16 %.
    """
    draw = keras.initializers.VarianceScaling(2.0, mode="fan_in", distribution="untruncated_normal")
    for layer in network.layers:
        if hasattr(layer, "kernel"):
            layer.kernel.assign(draw(layer.kernel.shape))
    return network


NETWORKS: dict[str, Callable[[Sequence[int]], keras.Model]] = {
    "lenet5": lambda shape: with_normal_weights(lenet5(shape)),
    "lenet5_bn": lambda shape: with_normal_weights(with_batch_norm(lenet5(shape))),
    "vgg7": lambda shape: with_normal_weights(vgg7(shape)),
    **{
        f"resnet{depth}_{variant}": partial(resnet_cifar, depth, variant)
        for variant in ("ttq", "he")
        for depth in (20, 32, 44, 56)
    },
}
