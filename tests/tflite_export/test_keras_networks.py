"""Whole Keras networks, from the layers to C: every operator that moves, convolves or recurs, against LiteRT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from network_program import NetworkProgram

from tern_keras import applications, ternarize
from tern_keras.layers import QuantConv2D, QuantGRU, QuantLSTM, QuantSimpleRNN
from tflite_export import Graph, convert
from tflite_export.reference import Reference

_Network = Callable[[Any], Any]


def _chain(*parts: Any) -> _Network:
    def network(x: Any) -> Any:
        for part in parts:
            x = part(x)
        return x

    return network


def _squeeze_and_excite(x: Any) -> Any:
    gate = layers.Dense(8, activation="sigmoid")(layers.Dense(3, activation="relu")(layers.GlobalAveragePooling2D()(x)))
    return layers.Multiply()([x, layers.Reshape((1, 1, 8))(gate)])


def _inverted_residual(x: Any) -> Any:
    y = layers.ReLU(max_value=6)(layers.BatchNormalization()(layers.Conv2D(24, 1)(x)))
    y = layers.ReLU(max_value=6)(layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(y)))
    return layers.Add()([x, layers.BatchNormalization()(layers.Conv2D(8, 1)(y))])


def _u_net(x: Any) -> Any:
    down = layers.Conv2D(6, 3, padding="same", activation="relu")(x)
    deep = layers.Conv2D(12, 3, padding="same", activation="relu")(layers.MaxPooling2D()(down))
    up = layers.Conv2DTranspose(6, 2, strides=2)(deep)
    wide = layers.UpSampling2D()(deep)
    return layers.Conv2D(2, 1)(layers.Concatenate()([down, up, wide]))


def _average_pairs(x: Any) -> Any:
    return layers.AveragePooling1D(2)(layers.EinsumDense("abc,cd->abd", output_shape=(None, 4))(x))


def _split_and_shuffle(x: Any) -> Any:
    left, right = x[..., :4], x[..., 4:]
    y = layers.Concatenate()([layers.Conv2D(4, 1)(left), right])
    return layers.Permute((3, 1, 2))(y)


def _ds_cnn(x: Any) -> Any:
    network = applications.ds_cnn()
    return keras.Model(network.inputs, network.layers[-2].output)(x)  # the untrained classifier tells nothing apart


IMAGE, ROWS = (8, 8, 8), (6, 5)
NETWORKS: dict[str, tuple[tuple[int, ...], _Network]] = {
    "padding and cropping": (IMAGE, _chain(layers.ZeroPadding2D(((1, 0), (2, 1))), layers.Cropping2D((1, 2)))),
    "up and down": (IMAGE, _chain(layers.UpSampling2D((2, 3)), layers.AveragePooling2D(3))),
    "transposed convolutions": (
        IMAGE,
        _chain(
            layers.Conv2DTranspose(5, 3, strides=2, padding="same", activation="relu"),
            QuantConv2D(4, 3, kernel_quantizer="twn"),
            layers.Conv2DTranspose(3, (2, 3), strides=(1, 2), use_bias=False),
        ),
    ),
    "convolutions of all kinds": (
        IMAGE,
        _chain(
            layers.Conv2D(8, 3, groups=4, padding="same"),
            layers.Conv2D(8, 3, dilation_rate=2, padding="same", activation="relu"),
            layers.DepthwiseConv2D(3, depth_multiplier=2),
            layers.SeparableConv2D(4, 3, strides=2),
        ),
    ),
    "squeeze and excite": (IMAGE, _squeeze_and_excite),
    "inverted residual": (IMAGE, _inverted_residual),
    "U-Net": (IMAGE, _u_net),
    "split and shuffle": (IMAGE, _split_and_shuffle),
    "one dimension": (
        (16, 4),
        _chain(
            layers.ZeroPadding1D(2),
            layers.Conv1D(6, 3, strides=2, activation="relu"),
            layers.MaxPooling1D(2),
            layers.Conv1DTranspose(5, 3),
            layers.UpSampling1D(2),
            layers.GlobalMaxPooling1D(),
            layers.RepeatVector(3),
            layers.Flatten(),
        ),
    ),
    "causal and separable": (
        (16, 4),
        _chain(layers.Conv1D(6, 3, padding="causal", dilation_rate=2), layers.SeparableConv1D(5, 3)),
    ),
    "means": (
        IMAGE,
        _chain(layers.AveragePooling2D(3, strides=2, padding="same"), layers.Reshape((16, 8)), _average_pairs),
    ),
    "time distributed": (ROWS, _chain(layers.TimeDistributed(layers.Dense(4)), layers.GlobalAveragePooling1D())),
    "images over time": (
        (3, 6, 6, 2),
        _chain(
            layers.TimeDistributed(layers.DepthwiseConv2D(3)),
            layers.TimeDistributed(layers.MaxPooling2D()),
            layers.TimeDistributed(layers.Flatten()),
            layers.GlobalAveragePooling1D(),
        ),
    ),
    "ConvLSTM2D": ((3, 5, 5, 2), _chain(layers.ConvLSTM2D(3, 3))),
    "LSTM both ways": (ROWS, _chain(layers.Bidirectional(layers.LSTM(4)))),
    "LSTM": (ROWS, _chain(QuantLSTM(7, kernel_quantizer="twn", recurrent_quantizer="twn", return_sequences=True))),
    "LSTM with ReLU": (ROWS, _chain(layers.LSTM(4, activation="relu"))),
    "GRU": (ROWS, _chain(layers.GRU(6), layers.Dense(3))),
    "ternary GRU": (
        ROWS,
        _chain(QuantGRU(6, kernel_quantizer="twn", recurrent_quantizer="ttq", return_sequences=True)),
    ),
    "GRU both ways": (ROWS, _chain(layers.Bidirectional(layers.GRU(4)))),
    "SimpleRNN": (ROWS, _chain(QuantSimpleRNN(6, kernel_quantizer="twn"), layers.Dense(2))),
    "DS-CNN": ((49, 10, 1), _ds_cnn),
    "CIFAR ResNet-20": (
        (16, 16, 3),
        lambda x: ternarize(applications.resnet_cifar(20, input_shape=(16, 16, 3)), "twn")(x),
    ),
}


@pytest.fixture(scope="module")
def models() -> dict[str, bytes]:
    found = {}
    for name, (shape, network) in NETWORKS.items():
        keras.utils.set_random_seed(0)
        inputs = keras.Input(shape)
        model = keras.Model(inputs, network(inputs))
        found[name] = convert(model, np.random.default_rng(0).normal(size=(24, *shape)).astype("float32"))
    return found


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory, models: dict[str, bytes]) -> NetworkProgram:
    numbered = {f"network{i}": model for i, model in enumerate(models.values())}
    return NetworkProgram(tmp_path_factory.mktemp("networks"), numbered)


@pytest.mark.parametrize("name", NETWORKS)
def test_c_equals_the_reference(program: NetworkProgram, models: dict[str, bytes], name: str) -> None:
    graph = Graph.read(models[name])
    samples = np.random.default_rng(0).integers(-128, 128, (12, graph.inputs[0].size)).astype(np.int8)
    outputs = program(f"network{list(NETWORKS).index(name)}", samples)
    np.testing.assert_array_equal(outputs, Reference(models[name])(samples))
    assert len(np.unique(outputs)) > 5
