"""Small float models that the tests of whole models share."""

import keras
import numpy as np
from keras import layers

# TensorFlow's graph runs a few small steps sooner than XLA compiles them; JAX without its compiler crawls
JIT = keras.backend.backend() != "tensorflow"


def cnn():
    """Every kind of layer that can be quantised, and some that cannot."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            layers.Conv2D(4, 3, name="stem"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(),
            layers.DepthwiseConv2D(3, name="depthwise"),
            layers.Conv2D(6, 3, use_bias=False, name="conv"),
            layers.Flatten(),
            layers.Dense(8, activation="relu", name="hidden"),
            layers.Dropout(0.1),
            layers.Dense(3, name="head"),
        ],
        name="cnn",
    )


def lenet5():
    """LeNet-5 of the SQ paper: 150, 2400, 48000, 10080 and 840 weights."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(6, 5, padding="same", name="c1"),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 5, name="c2"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(120, name="f1"),
            layers.Dense(84, name="f2"),
            layers.Dense(10, name="f3"),
        ],
        name="lenet5",
    )


def nested():
    """A residual functional model around a block that is a model itself."""
    block = keras.Sequential([keras.Input((6, 6, 4)), layers.Conv2D(4, 3, padding="same", name="inner")], name="block")
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, padding="same", name="stem")(inputs)
    x = layers.Add()([x, block(x)])
    x = keras.ops.relu(x)
    outputs = layers.Dense(3, name="head")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, outputs, name="nested")


def samples(model, count=16):
    return np.random.default_rng(0).normal(size=(count, *model.input_shape[1:])).astype(np.float32)


def train(model, epochs=1):
    model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=JIT)
    x = samples(model, 32)
    y = np.random.default_rng(1).normal(size=(32, *model.output_shape[1:])).astype(np.float32)
    model.fit(x, y, epochs=epochs, verbose=0)
    return model


def types(model):
    return {layer.name: type(layer).__name__ for layer in model.layers}
