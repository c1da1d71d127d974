import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tern_keras.layers import QuantConv2D, QuantDense
from tflite_export import ExportError, Graph, convert, find_levels
from tflite_export.reference import Reference

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="the test of other backends starts its own process"
)


def _samples(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(64, *shape)).astype("float32")


def _dense() -> keras.Model:
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])


@pytest.fixture(scope="module")
def ternary() -> tuple[keras.Model, bytes]:
    """A network whose batch-norms have gains of both signs."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            QuantConv2D(6, 3, padding="same", use_bias=False, kernel_quantizer="ttq"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(2),
            QuantConv2D(5, 3, use_bias=False, kernel_quantizer="twn(per_filter=True)"),
            layers.BatchNormalization(),
            layers.ReLU(6.0),
            layers.GlobalAveragePooling2D(),
            QuantDense(7, kernel_quantizer="sq"),
            layers.Softmax(),
        ]
    )
    model.layers[0].kernel_quantizer.wn.assign(0.17)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.gamma.assign(rng.choice([-1, 1], layer.gamma.shape) * rng.uniform(0.5, 2, layer.gamma.shape))
            layer.moving_mean.assign(rng.normal(size=layer.gamma.shape))
            layer.moving_variance.assign(rng.uniform(0.5, 2, layer.gamma.shape))
    return model, convert(model, _samples(8, 8, 2))


def test_every_quantised_layer_stays_ternary_in_int8(ternary) -> None:
    model, tflite = ternary
    graph = Graph.read(tflite)
    levels = find_levels(graph)
    kernels = [op.inputs[1] for op in graph.ops if op.name in ("CONV_2D", "FULLY_CONNECTED")]
    quantised = [layer for layer in model.layers if hasattr(layer, "quantized_kernel")]
    assert len(kernels) == len(quantised) == 3
    for kernel, layer in zip(kernels, quantised, strict=True):
        codes = np.moveaxis(layer.quantized_kernel().codes, -1, 0).reshape(kernel.shape[0], -1)
        found = levels[kernel.index].codes.reshape(kernel.shape[0], -1)
        np.testing.assert_array_equal(codes != 0, found != 0)
        for own, exported in zip(codes, found, strict=True):  # a negative gain flips a channel's sign
            assert np.array_equal(own, exported) or np.array_equal(own, -exported)
        assert max(abs(int(levels[kernel.index].plus.max())), abs(int(levels[kernel.index].minus.min()))) == 127


def test_negative_gains_flip_some_channels(ternary) -> None:
    model, tflite = ternary
    graph = Graph.read(tflite)
    levels = find_levels(graph)[graph.ops[0].inputs[1].index]
    gains = keras.ops.convert_to_numpy(model.layers[1].gamma)
    ratio = 0.17 / 1.0
    small_is_minus = np.abs(levels.minus) < levels.plus
    np.testing.assert_array_equal(small_is_minus, gains > 0)
    small = np.minimum(np.abs(levels.minus), levels.plus)
    np.testing.assert_array_equal(small, np.round(127 * ratio))


def test_int8_follows_keras(ternary) -> None:
    model, tflite = ternary
    graph = Graph.read(tflite)
    x = _samples(8, 8, 2)
    q = np.clip(np.rint(x / graph.inputs[0].scale) + graph.inputs[0].zero_point, -128, 127).astype(np.int8)
    outputs = (Reference(tflite)(q.reshape(len(q), -1)).astype(float) + 128) / 256
    expected = model.predict(x, verbose=0)
    assert np.abs(outputs - expected).mean() < 0.01  # of probabilities; a softmax steepens a few of the steps of int8
    assert np.corrcoef(outputs.ravel(), expected.ravel())[0, 1] > 0.999


def test_several_inputs_and_outputs_keep_their_order() -> None:
    last, first = keras.Input((3,), name="zeta"), keras.Input((5,), name="alpha")
    total = keras.layers.Add()([keras.layers.Dense(2)(last), keras.layers.Dense(2)(first)])
    model = keras.Model([last, first], [keras.layers.Dense(4, name="y")(total), keras.layers.Dense(1, name="b")(total)])
    graph = Graph.read(convert(model, [_samples(3), _samples(5)]))
    assert [tensor.shape for tensor in graph.inputs] == [(1, 3), (1, 5)]
    assert [tensor.shape for tensor in graph.outputs] == [(1, 4), (1, 1)]


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        (np.zeros((10, 5), "float32"), r"shape \(10, 5\), expected \(samples, 4\)"),
        (np.zeros((4,), "float32"), r"shape \(4,\), expected \(samples, 4\)"),
        (np.zeros((10, 4), "uint8"), r"uint8: give floating-point samples"),
        (np.zeros((0, 4), "float32"), "is empty"),
        (np.full((3, 4), np.nan, "float32"), "NaN or infinity"),
        ([np.zeros((3, 4), "float32")] * 2, r"1 input\(s\), the calibration data 2 array\(s\): give one array"),
        (None, "no calibration data"),
        (np.ones((10, 4), "float32"), "is constant"),
    ],
)
def test_bad_calibration(calibration, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        convert(_dense(), calibration)


def test_weights_that_are_not_finite() -> None:
    model = _dense()
    model.layers[0].kernel.assign(np.full((4, 3), np.nan))
    with pytest.raises(ExportError, match=r"'.*kernel' holds NaN"):
        convert(model, _samples(4))


def test_unbuilt_model() -> None:
    with pytest.raises(ExportError, match="not built"):
        convert(keras.Sequential([keras.layers.Dense(3)]), _samples(4))


def test_free_dimension() -> None:
    model = keras.Sequential([keras.Input((None, 4)), keras.layers.Dense(3)])
    with pytest.raises(ExportError, match="fix every dimension but the batch"):
        convert(model, _samples(2, 4))


def test_not_a_model() -> None:
    with pytest.raises(ExportError, match=r"expected a Keras 3 model, got builtins\.str"):
        convert("model.keras", _samples(4))


class _Inverse(keras.layers.Layer):
    def call(self, x):
        return keras.ops.erfinv(x)


def test_lambdas_are_named() -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: 2 * x, name="twice")])
    with pytest.raises(ExportError, match=r"layer 0 'twice' \(Lambda\): a Lambda cannot be taken over"):
        convert(model, _samples(4))


def test_operations_that_the_converter_refuses_are_named() -> None:
    layers = [keras.layers.Dense(3, name="dense"), _Inverse(name="first"), _Inverse(name="second")]
    model = keras.Sequential([keras.Input((4,)), *layers])
    with pytest.raises(ExportError) as caught:
        convert(model, _samples(4))
    assert "TFLite lacks: tf.Erfinv" in str(caught.value)
    assert "in layer 1 'first' (_Inverse), layer 2 'second' (_Inverse)" in str(caught.value)
    assert "dense" not in str(caught.value)


def test_mixed_precision_models_convert() -> None:
    for policy in ("mixed_float16", "mixed_bfloat16"):
        dense = QuantDense(12, kernel_quantizer="twn", dtype=policy)
        model = keras.Sequential([keras.Input((16,)), dense, keras.layers.Dense(2, dtype=policy)])
        graph = Graph.read(convert(model, _samples(16)))
        assert len(find_levels(graph)) >= 1
        assert [op.name for op in graph.ops] == ["FULLY_CONNECTED"] * 2


def test_dict_inputs_are_refused() -> None:
    x = keras.Input((4,), name="x")
    with pytest.raises(ExportError, match="dict of inputs: build it with a list"):
        convert(keras.Model({"x": x}, keras.layers.Dense(2)(x)), _samples(4))


def test_subclassed_models_are_refused_as_such() -> None:
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    model = Subclassed()
    model(np.zeros((1, 4), "float32"))
    with pytest.raises(ExportError, match=r"a subclassed model, .*: give keras\.Model\(x, model\(x\)\)"):
        convert(model, _samples(4))


def test_logging_survives_a_conversion() -> None:
    script = """
import keras, logging, numpy as np, tensorflow as tf
from tflite_export import convert
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
convert(model, np.eye(4, dtype="float32"))
tf.get_logger().warning("still here")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "still here" in done.stderr
    assert "Logging error" not in done.stderr


def test_on_jax_the_childs_reason_is_told() -> None:
    script = """
import keras, numpy as np
from tflite_export import ExportError, convert
@keras.saving.register_keras_serializable()
class Twice(keras.layers.Layer):
    def call(self, x):
        return 2 * x
try:
    convert(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), Twice()]), np.eye(4, dtype="float32"))
except ExportError as error:
    print(error)
"""
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert "cannot be loaded for conversion" in done.stdout
    assert "Twice" in done.stdout
    assert "layers of your own need the TensorFlow backend" in done.stdout


def test_on_jax_a_child_process_converts(tmp_path: Path) -> None:
    script = """
import keras, numpy as np
from tern_keras.layers import QuantDense
from tflite_export import Graph, convert, find_levels
assert keras.config.backend() == "jax"
model = keras.Sequential([keras.Input((4,)), QuantDense(3, kernel_quantizer="twn")])
graph = Graph.read(convert(model, np.random.default_rng(0).normal(size=(64, 4)).astype("float32")))
print([op.name for op in graph.ops], [levels.bits for levels in find_levels(graph).values()])
"""
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("['FULLY_CONNECTED'] [2]", "['FULLY_CONNECTED'] [1]")
