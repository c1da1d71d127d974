"""What stock Keras layers convert to: the C of every one against LiteRT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from network_program import NetworkProgram

from tflite_export import ExportError, Graph, convert
from tflite_export.lowering import lower
from tflite_export.reference import Reference

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="the test of other backends starts its own process"
)
SHAPE = (4, 4, 3)
_Layer = Callable[[Any], Any]


def _activation(name: str) -> Callable[[], _Layer]:
    return lambda: layers.Activation(name)


def _with_relu(merge: type[layers.Layer]) -> Callable[[], _Layer]:
    return lambda: lambda x: merge()([x, layers.ReLU()(x)])


def _with_convolution(merge: type[layers.Layer]) -> Callable[[], _Layer]:
    return lambda: lambda x: merge()([x, layers.Conv2D(3, 1)(x)])


# How a layer is made, and an operator that shows that it is what the name says.
LAYERS: dict[str, tuple[Callable[[], _Layer], str]] = {
    "sigmoid": (_activation("sigmoid"), "LOGISTIC"),
    "tanh": (_activation("tanh"), "TANH"),
    "silu": (_activation("silu"), "MUL"),
    "hard_sigmoid": (_activation("hard_sigmoid"), "MUL"),
    "hard_swish": (_activation("hard_swish"), "HARD_SWISH"),
    "hard_tanh": (_activation("hard_tanh"), "RELU_N1_TO_1"),
    "softplus": (_activation("softplus"), "LOG"),
    "mish": (_activation("mish"), "TANH"),
    "exponential": (_activation("exponential"), "EXP"),
    "gelu": (_activation("gelu"), "GELU"),
    "gelu of tanh": (lambda: lambda x: ops.gelu(x, approximate=True), "GELU"),
    "celu": (_activation("celu"), "EXP"),
    "leaky_relu": (_activation("leaky_relu"), "LEAKY_RELU"),
    "relu6": (_activation("relu6"), "RELU6"),
    "ReLU up to 3": (lambda: layers.ReLU(max_value=3.0), "MINIMUM"),
    "PReLU": (lambda: layers.PReLU(alpha_initializer="random_normal"), "PRELU"),
    "Softmax": (lambda: layers.Softmax(), "SOFTMAX"),
    "Softmax of rows": (lambda: layers.Softmax(axis=1), "TRANSPOSE"),
    "GlobalMaxPooling2D": (lambda: layers.GlobalMaxPooling2D(), "REDUCE_MAX"),
    "GlobalAveragePooling2D": (lambda: layers.GlobalAveragePooling2D(), "MEAN"),
    "Rescaling": (lambda: layers.Rescaling(1 / 3, offset=0.5), "MUL"),
    "Normalization": (lambda: layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 0.5]), "SUB"),
    "BatchNormalization": (lambda: layers.BatchNormalization(), "MUL"),
    "Multiply": (_with_relu(layers.Multiply), "MUL"),
    "Subtract": (_with_relu(layers.Subtract), "SUB"),
    "Average": (_with_relu(layers.Average), "ADD"),
    "Maximum": (_with_convolution(layers.Maximum), "MAXIMUM"),
    "Minimum": (_with_convolution(layers.Minimum), "MINIMUM"),
    "absolute": (lambda: ops.abs, "ABS"),
    "squared difference": (lambda: lambda x: ops.square(x - layers.ReLU()(x)), "SQUARED_DIFFERENCE"),
}
# Layers that need an operator without a kernel, and its name.
REFUSED: dict[str, tuple[Callable[[], _Layer], str]] = {
    "elu": (_activation("elu"), "ELU"),
    "negative": (lambda: ops.negative, "NEG"),
    "attention": (lambda: lambda x: layers.Attention()([layers.Reshape((16, 3))(x)] * 2), "BATCH_MATMUL"),
}


def _convert(build: Callable[[], _Layer]) -> bytes:
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SHAPE)
    samples = np.random.default_rng(0).normal(size=(32, *SHAPE)).astype("float32")
    return convert(keras.Model(inputs, build()(inputs)), samples)


@pytest.fixture(scope="module")
def models() -> dict[str, bytes]:
    return {name: _convert(build) for name, (build, _) in LAYERS.items()}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory, models: dict[str, bytes]) -> NetworkProgram:
    numbered = {f"layer{i}": model for i, model in enumerate(models.values())}
    return NetworkProgram(tmp_path_factory.mktemp("layers"), numbered)


@pytest.mark.parametrize("name", LAYERS)
def test_c_equals_the_reference(program: NetworkProgram, models: dict[str, bytes], name: str) -> None:
    assert LAYERS[name][1] in {op.name for op in Graph.read(models[name]).ops}
    samples = np.random.default_rng(0).integers(-128, 128, (16, np.prod(SHAPE))).astype(np.int8)
    outputs = program(f"layer{list(LAYERS).index(name)}", samples)
    np.testing.assert_array_equal(outputs, Reference(models[name])(samples))


@pytest.mark.parametrize("name", REFUSED)
def test_an_operator_without_a_kernel_is_named(name: str) -> None:
    build, operator = REFUSED[name]
    with pytest.raises(ExportError, match=f"{operator} .*no kernel for this operator"):
        lower(Graph.read(_convert(build)))
