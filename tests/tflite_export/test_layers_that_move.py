"""Keras layers that pad, cut, join, turn and enlarge, and transposed convolutions: converted, the C against LiteRT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from network_program import NetworkProgram

from tern_keras.layers import QuantConv2D, QuantConv2DTranspose
from tflite_export import Graph, convert
from tflite_export.reference import Reference

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="the test of other backends starts its own process"
)
IMAGE = (6, 5, 3)


def _unet(x: Any) -> Any:
    """Down, up again with ternary weights, and both joined."""
    down = QuantConv2D(4, 3, strides=2, padding="same", activation="relu", kernel_quantizer="twn")(x)
    up = QuantConv2DTranspose(4, 3, strides=2, padding="same", activation="relu", kernel_quantizer="twn")(down)
    return layers.Concatenate()([x, layers.Cropping2D(((0, 0), (0, 1)))(up)])


def _reflected(x: Any) -> Any:
    return keras.ops.pad(x, ((0, 0), (1, 1), (2, 1), (0, 0)), mode="reflect")


# what it computes, the shape of a sample, and operators that have to be in the file
MODELS: dict[str, tuple[Callable[[Any], Any], tuple[int, ...], set[str]]] = {
    "unet": (_unet, IMAGE, {"TRANSPOSE_CONV", "CONCATENATION", "STRIDED_SLICE"}),
    "transposed_1d": (layers.Conv1DTranspose(4, 3, strides=2, use_bias=False), (9, 3), {"TRANSPOSE_CONV"}),
    "padded": (layers.ZeroPadding2D(((1, 2), (0, 1))), IMAGE, {"PAD"}),
    "reflected": (_reflected, IMAGE, {"MIRROR_PAD"}),
    "nearest": (layers.UpSampling2D((2, 3)), IMAGE, {"TILE"}),
    "bilinear": (layers.UpSampling2D((2, 3), interpolation="bilinear"), IMAGE, {"RESIZE_BILINEAR"}),
    "resized": (layers.Resizing(9, 4), IMAGE, {"RESIZE_BILINEAR"}),
    "permuted": (layers.Permute((3, 1, 2)), IMAGE, {"TRANSPOSE"}),
    "repeated": (layers.RepeatVector(4), (7,), {"TILE"}),
    "rolled": (lambda x: keras.ops.roll(x, 2, axis=1), (6, 3), {"CONCATENATION"}),
    "every_image": (layers.TimeDistributed(layers.Conv2D(4, 3)), (4, *IMAGE), {"CONV_2D", "PACK"}),
}


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    converted = {}
    for name, (build, shape, _) in MODELS.items():
        source = keras.Input(shape)
        samples = rng.normal(size=(8, *shape)).astype("float32")
        converted[name] = convert(keras.Model(source, build(source)), samples)
    return converted


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> NetworkProgram:
    return NetworkProgram(tmp_path_factory.mktemp("layers"), files)


@pytest.mark.parametrize("name", MODELS)
def test_c_equals_the_reference(program: NetworkProgram, files: dict[str, bytes], name: str) -> None:
    graph = Graph.read(files[name])
    assert MODELS[name][2] <= {op.name for op in graph.ops}
    width = sum(tensor.nbytes for tensor in graph.inputs)
    samples = np.random.default_rng(1).integers(-128, 128, (5, width)).astype(np.int8)
    outputs = program(name, samples)
    np.testing.assert_array_equal(outputs, Reference(files[name])(samples))
    assert len(np.unique(outputs)) > 10
