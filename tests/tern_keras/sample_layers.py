"""Every quantised layer: its class, small arguments and the shape of one input."""

import numpy as np

from tern_keras import layers
from tern_keras.layers import STOCK_CLASSES

VOCABULARY = 7

LAYERS = {
    "dense": (layers.QuantDense, {"units": 6, "activation": "relu"}, (5,)),
    "conv": (layers.QuantConv2D, {"filters": 3, "kernel_size": 3, "padding": "same"}, (6, 6, 2)),
    "depthwise": (layers.QuantDepthwiseConv2D, {"kernel_size": 3, "depth_multiplier": 2}, (6, 6, 2)),
    "conv1d": (layers.QuantConv1D, {"filters": 3, "kernel_size": 3, "padding": "causal"}, (6, 2)),
    "conv3d": (layers.QuantConv3D, {"filters": 3, "kernel_size": 2}, (3, 3, 3, 2)),
    "depthwise1d": (layers.QuantDepthwiseConv1D, {"kernel_size": 3, "depth_multiplier": 2}, (6, 2)),
    "separable1d": (layers.QuantSeparableConv1D, {"filters": 3, "kernel_size": 3}, (6, 2)),
    "separable2d": (layers.QuantSeparableConv2D, {"filters": 3, "kernel_size": 3, "strides": 2}, (7, 7, 2)),
    "transpose": (layers.QuantConv2DTranspose, {"filters": 3, "kernel_size": 3, "strides": 2}, (3, 3, 2)),
    "embedding": (layers.QuantEmbedding, {"input_dim": VOCABULARY, "output_dim": 4}, (5,)),
    "simple_rnn": (layers.QuantSimpleRNN, {"units": 4}, (3, 2)),
    "lstm": (layers.QuantLSTM, {"units": 4}, (3, 2)),
    "gru": (layers.QuantGRU, {"units": 4, "return_sequences": True}, (3, 2)),
}


def make_layer(kind, quantizer=None, **more):
    """The layer with the same quantizer, given by name, for each of its kernels."""
    cls, arguments, _ = LAYERS[kind]
    chosen = {spec.argument: quantizer for spec in cls.kernel_specs}
    return cls(**{**arguments, **chosen, **more}, name="quantized")


def make_parent(kind):
    cls, arguments, _ = LAYERS[kind]
    return STOCK_CLASSES[cls](**arguments, name="quantized")


def inputs(kind, count=32):
    shape = (count, *LAYERS[kind][2])
    rng = np.random.default_rng(0)
    if kind == "embedding":
        return rng.integers(0, VOCABULARY, shape)
    return rng.normal(size=shape).astype(np.float32)
