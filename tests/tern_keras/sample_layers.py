"""Every quantised layer: its class, small arguments and the shape of one input; and every quantizer."""

from functools import partial

import keras
import numpy as np

from tern_keras import layers, quantizers
from tern_keras.layers import STOCK_CLASSES
from tern_keras.regularizers import AdaptiveRegularizer

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

# each method with the option that asks most of a layer, and the codes that it can give
QUANTIZERS = {
    "twn": (partial(quantizers.TWN, per_filter=True), {-1, 0, 1}),
    "ttq": (partial(quantizers.TTQ, init="mean"), {-1, 0, 1}),
    "sq": (partial(quantizers.SQ, regularizer=AdaptiveRegularizer(0.1, 0.01)), {-1, 0, 1}),
    "bc": (quantizers.BinaryConnect, {-1, 1}),
    "bwn": (partial(quantizers.BWN, per_filter=True), {-1, 1}),
    "dorefa": (quantizers.DoReFa, {-1, 1}),
    "sws": (partial(quantizers.StatisticalScaling, power_of_two=True), {-1, 0, 1}),
    "rel": (quantizers.ResidualExpansion, {-2, -1, 0, 1, 2}),
    "tga": (quantizers.TruncatedGaussian, {-1, 0, 1}),
}


def make_layer(kind, quantizer=None, **more):
    """The layer with the same quantizer, given by name, for each of its kernels."""
    cls, arguments, _ = LAYERS[kind]
    chosen = {spec.argument: quantizer for spec in cls.kernel_specs}
    return cls(**{"name": "quantized", **arguments, **chosen, **more})


def make_parent(kind, **more):
    cls, arguments, _ = LAYERS[kind]
    return STOCK_CLASSES[cls](**{"name": "quantized", **arguments, **more})


def inputs(kind, count=32):
    shape = (count, *LAYERS[kind][2])
    rng = np.random.default_rng(0)
    if kind == "embedding":
        return rng.integers(0, VOCABULARY, shape)
    return rng.normal(size=shape).astype(np.float32)


def side_by_side(make):
    """A model of every layer `make(kind, name=kind)`, each with an input and an output of its own."""
    ends = {
        kind: keras.Input(shape, dtype=input_dtype(kind), name=f"{kind}_in") for kind, (*_, shape) in LAYERS.items()
    }
    return keras.Model(list(ends.values()), {kind: make(kind, name=kind)(end) for kind, end in ends.items()})


def input_dtype(kind):
    return "int32" if kind == "embedding" else "float32"


def kernels(layer):
    """The latent kernels of a stock or quantised layer by role."""
    return {spec.role: spec.variable(layer) for spec in layers.kernel_specs(layer)}
