"""The ranges of ActivationQuantizer layers reach the int8 file exactly, and nothing else of the layers does."""

import os
import subprocess
import sys
from pathlib import Path

import flatbuffers
import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from keras import layers
from sklearn.datasets import load_digits
from tensorflow.lite.python import convert as tensorflow_convert

from tern_keras import finalize, ternarize
from tern_keras.layers import ActivationQuantizer, QuantDense
from tflite_export import ExportError, Graph, convert, export, find_levels, verify
from tflite_export.graph import Tensor
from tflite_export.verification import quantize_inputs, reference_outputs

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="the test of other backends starts its own process"
)
# Wider than the data, and so narrow that it clips: calibration would choose neither.
WIDTHS = [12.0, 0.4]


@pytest.fixture(autouse=True)
def _reproducible() -> None:
    keras.utils.set_random_seed(0)


def _fixed(minimum: float, maximum: float, name: str | None = None) -> ActivationQuantizer:
    return ActivationQuantizer(initial_range=(minimum, maximum), name=name)


def _samples(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(32, *shape)).astype("float32")


def _graph(model: keras.Model) -> Graph:
    graph = Graph.read(convert(model, [_samples(*tensor.shape[1:]) for tensor in model.inputs]))
    assert not {op.name for op in graph.ops} & {"QUANTIZE", "DEQUANTIZE", "FAKE_QUANT", "MINIMUM", "MAXIMUM"}
    return graph


def _sequential(*members: keras.layers.Layer) -> Graph:
    return _graph(keras.Sequential([keras.Input((6, 6, 2)), *members]))


def _ops(graph: Graph) -> list[str]:
    return [op.name for op in graph.ops]


def _grid(minimum: float, maximum: float) -> tuple[np.float32, int]:
    """Scale and zero point, in float32 as TensorFlow computes them."""
    span = np.float32(maximum) - np.float32(minimum)
    return span / np.float32(255), round(-128 - float(minimum) * 255 / float(span))


def _assert_range(tensor: Tensor, minimum: float, maximum: float) -> None:
    assert (np.float32(tensor.scale), tensor.zero_point) == _grid(minimum, maximum)


# --- where a layer stands


@pytest.mark.parametrize("width", WIDTHS)
def test_convolution_normalisation_and_relu(width: float) -> None:
    graph = _sequential(
        layers.Conv2D(4, 3, use_bias=False), layers.BatchNormalization(), layers.ReLU(), _fixed(0, width)
    )
    assert _ops(graph) == ["CONV_2D"]
    _assert_range(graph.outputs[0], 0, width)


@pytest.mark.parametrize("width", WIDTHS)
def test_input(width: float) -> None:
    graph = _sequential(_fixed(-width, 0.3 * width), layers.Conv2D(4, 3))
    assert _ops(graph) == ["CONV_2D"]
    _assert_range(graph.inputs[0], -width, 0.3 * width)


@pytest.mark.parametrize("width", WIDTHS)
def test_residual(width: float) -> None:
    inputs = keras.Input((6, 6, 2))
    x = _fixed(0, width)(layers.Conv2D(3, 3, padding="same", activation="relu")(inputs))
    y = _fixed(-width, 0.7 * width)(layers.Conv2D(3, 3, padding="same")(x))
    x = _fixed(0, 1.1 * width)(layers.ReLU()(layers.Add()([x, y])))
    x = _fixed(0, 0.5 * width)(layers.GlobalAveragePooling2D()(x))
    graph = _graph(keras.Model(inputs, layers.Softmax()(_fixed(-0.8 * width, width)(layers.Dense(4)(x)))))
    assert _ops(graph) == ["CONV_2D", "CONV_2D", "ADD", "MEAN", "FULLY_CONNECTED", "SOFTMAX"]
    ends = [(0, width), (-width, 0.7 * width), (0, 1.1 * width), (0, 0.5 * width), (-0.8 * width, width)]
    for op, (minimum, maximum) in zip(graph.ops, ends, strict=False):
        _assert_range(op.outputs[0], minimum, maximum)


@pytest.mark.parametrize("pooling", [layers.MaxPooling2D, layers.AveragePooling2D])
@pytest.mark.parametrize("width", WIDTHS)
def test_pooling_has_one_range(pooling: type[keras.layers.Layer], width: float) -> None:
    for members in ([pooling(2), _fixed(0, width)], [_fixed(0, width), pooling(2)]):
        graph = _sequential(layers.Conv2D(4, 3, activation="relu"), *members, layers.Conv2D(3, 2))
        assert _ops(graph)[0] == "CONV_2D"
        assert len(graph.ops) == 3
        for op in graph.ops[:2]:
            _assert_range(op.outputs[0], 0, width)


def test_range_reaches_all_that_shares_its_scale() -> None:
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, activation="relu")(inputs)
    pooled = [layers.MaxPooling2D(2)(x), _fixed(0, 9)(layers.MaxPooling2D(2)(x)), layers.MaxPooling2D(2)(x)]
    graph = _graph(keras.Model(inputs, [layers.Flatten()(each) for each in pooled]))
    assert sorted(set(_ops(graph))) == ["CONV_2D", "MAX_POOL_2D", "RESHAPE"]
    for op in graph.ops:
        _assert_range(op.outputs[0], 0, 9)


def test_a_fused_function_takes_the_range_behind_it() -> None:
    graph = _sequential(layers.Conv2D(4, 3), _fixed(-9, 8), layers.ReLU(), layers.MaxPooling2D(2), _fixed(0, 7))
    assert _ops(graph) == ["CONV_2D", "MAX_POOL_2D"]
    for op in graph.ops:
        _assert_range(op.outputs[0], 0, 7)


@pytest.mark.parametrize("width", WIDTHS)
def test_concatenation(width: float) -> None:
    inputs = keras.Input((6, 6, 2))
    branches = [layers.Conv2D(3, 3, activation="relu")(inputs) for _ in range(2)]
    shared = _fixed(0, width)
    both = layers.Concatenate()([shared(branch) for branch in branches])
    behind = _fixed(0, width)(layers.Concatenate()(branches))
    for joined in (both, behind):
        graph = _graph(keras.Model(inputs, layers.Conv2D(2, 2)(joined)))
        assert _ops(graph) == ["CONV_2D", "CONV_2D", "CONCATENATION", "CONV_2D"]
        for op in graph.ops[:3]:
            _assert_range(op.outputs[0], 0, width)


@pytest.mark.parametrize("width", WIDTHS)
def test_before_an_activation_function_that_is_fused(width: float) -> None:
    graph = _sequential(layers.Conv2D(4, 3), _fixed(-width, 0.5 * width), layers.ReLU())
    assert _ops(graph) == ["CONV_2D"]
    _assert_range(graph.outputs[0], -width, 0.5 * width)  # the function is exact on that grid


def test_several_inputs_and_outputs() -> None:
    first, last = keras.Input((4,), name="zeta"), keras.Input((3,), name="alpha")
    total = layers.Add()([layers.Dense(3)(_fixed(-2, 1)(first)), _fixed(-3, 2)(last)])
    graph = _graph(keras.Model([first, last], [_fixed(-5, 4)(total), layers.Dense(2)(total)]))
    assert [tensor.shape for tensor in (*graph.inputs, *graph.outputs)] == [(1, 4), (1, 3), (1, 3), (1, 2)]
    for tensor, (minimum, maximum) in zip((*graph.inputs, graph.outputs[0]), [(-2, 1), (-3, 2), (-5, 4)], strict=True):
        _assert_range(tensor, minimum, maximum)


def test_inside_of_other_models_and_in_half_precision() -> None:
    block = keras.Sequential([layers.Dense(5, activation="relu"), _fixed(0, 7)])
    half = ActivationQuantizer(initial_range=(0, 9), dtype="mixed_float16")
    graph = _graph(keras.Sequential([keras.Input((4,)), block, layers.Dense(3, activation="relu"), half]))
    assert _ops(graph) == ["FULLY_CONNECTED"] * 2
    for op, maximum in zip(graph.ops, (7, 9), strict=True):
        _assert_range(op.outputs[0], 0, maximum)


# --- all else


def test_other_tensors_are_calibrated_as_without() -> None:
    members = [layers.Conv2D(4, 3), layers.ReLU(), layers.Conv2D(3, 3), layers.Flatten(), layers.Dense(2)]
    without = _sequential(*members)
    # what the range leaves of the data changes nothing: it does not clip
    graph = _sequential(*members[:2], _fixed(0, 20), *members[2:])
    assert _ops(graph) == _ops(without)
    _assert_range(graph.ops[0].outputs[0], 0, 20)
    for a, b in zip(graph.ops[1:], without.ops[1:], strict=True):
        assert (a.outputs[0].scale, a.outputs[0].zero_point) == (b.outputs[0].scale, b.outputs[0].zero_point)
    for a, b in zip(graph.ops, without.ops, strict=True):
        if a.name == "CONV_2D":
            np.testing.assert_array_equal(a.inputs[1].data, b.inputs[1].data)
            np.testing.assert_array_equal(a.inputs[1].quantization.scales, b.inputs[1].quantization.scales)


def test_calibration_sees_what_is_clipped() -> None:
    members = [layers.Conv2D(4, 3, activation="relu"), _fixed(0, 0.01), layers.Conv2D(3, 3, use_bias=False)]
    graph = _sequential(*members)
    weights = keras.ops.convert_to_numpy(members[2].kernel)
    assert graph.outputs[0].scale * 255 <= 2 * 0.01 * np.abs(weights).sum(axis=(0, 1, 2)).max()


def test_ternary_kernels_stay_ternary() -> None:
    model = keras.Sequential(
        [keras.Input((6,)), QuantDense(16, activation="relu", kernel_quantizer="ttq"), _fixed(0, 3), layers.Dense(2)]
    )
    assert [levels.bits for levels in find_levels(_graph(model)).values()] == [2]


# --- what cannot be kept


def _two_ranges() -> keras.Model:
    x = keras.Input((4,))
    y = layers.Dense(3)(x)
    return keras.Model(x, layers.Dense(2)(_fixed(-3, 4, "a")(y)) + layers.Dense(2)(_fixed(-3, 5, "b")(y)))


def _pooled_twice() -> keras.Model:
    members = [
        layers.Conv2D(2, 3),
        _fixed(-1, 1, "a"),
        layers.AveragePooling2D(2),
        _fixed(-1, 2, "b"),
        layers.Flatten(),
    ]
    return keras.Sequential([keras.Input((6, 6, 2)), *members])


def _half_concatenated() -> keras.Model:
    x = keras.Input((4,))
    return keras.Model(x, layers.Concatenate()([_fixed(-1, 1, "a")(layers.Dense(2)(x)), layers.Dense(3)(x)]))


def _behind_softmax() -> keras.Model:
    return keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Softmax(), _fixed(0, 1, "a")])


def _never_trained() -> keras.Model:
    return keras.Sequential([keras.Input((4,)), layers.Dense(3), ActivationQuantizer(name="a")])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (_two_ranges, r"'[ab]' \[-3, [45]\] and '[ab]' \[-3, [45]\] give different ranges to one tensor"),
        (_pooled_twice, r"'a' \[-1, 1\] and 'b' \[-1, 2\] .* one AVERAGE_POOL_2D.*: use one layer for both, or leave"),
        (_half_concatenated, r"'a' \[-1, 1\] serves some operands of a CONCATENATION, but not all"),
        (_behind_softmax, r"'a' \[0, 1\] follows a SOFTMAX, .*: leave the layer out there"),
        (_never_trained, r"'a' \(ActivationQuantizer\) has never observed a range: train the model"),
    ],
)
def test_refused(build, message: str) -> None:
    model = build()
    with pytest.raises(ExportError, match=message):
        convert(model, _samples(*model.input_shape[1:]))


def _convert_with_rescaled(monkeypatch: pytest.MonkeyPatch, tensor: str, factor: float) -> None:
    """Convert a network of two equal ranges with a converter that multiplies the scale of one."""

    def quantize(*args, **kwargs) -> bytes:
        model = schema.ModelT.InitFromPackedBuf(mlir_quantize(*args, **kwargs), 0)
        graph = model.subgraphs[0]
        index = {"input": graph.inputs[0], "hidden": graph.operators[0].outputs[0]}[tensor]
        quantization = graph.tensors[index].quantization
        quantization.scale = [factor * quantization.scale[0]]
        builder = flatbuffers.Builder(0)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    mlir_quantize = tensorflow_convert.mlir_quantize
    monkeypatch.setattr(tensorflow_convert, "mlir_quantize", quantize)
    members = [_fixed(-1, 2, "start"), layers.Dense(3), _fixed(-1, 2, "hidden"), layers.Dense(2)]
    convert(keras.Sequential([keras.Input((4,)), *members]), _samples(4))


@pytest.mark.parametrize(("tensor", "layer"), [("input", "start"), ("hidden", "hidden")])
def test_a_lost_range_is_noticed_where_another_tensor_has_an_equal_one(monkeypatch, tensor: str, layer: str) -> None:
    with pytest.raises(ExportError, match=rf"did not keep the range of the ActivationQuantizer '{layer}' \[-1, 2\]:"):
        _convert_with_rescaled(monkeypatch, tensor, 1.1)


def test_the_last_digits_of_a_scale_are_no_loss(monkeypatch) -> None:
    _convert_with_rescaled(monkeypatch, "hidden", 1 + 2e-6)


def test_a_padding_may_vanish_in_a_convolution() -> None:
    graph = _sequential(layers.ZeroPadding2D(1), _fixed(-3, 2), layers.Conv2D(4, 3), layers.ReLU(), _fixed(0, 5))
    assert _ops(graph)[-1] == "CONV_2D"
    _assert_range(graph.inputs[0], -3, 2)
    _assert_range(graph.outputs[0], 0, 5)


def test_a_transposed_convolution_is_renamed() -> None:
    graph = _sequential(layers.Conv2DTranspose(3, 2, strides=2), _fixed(-3, 4), layers.Flatten(), layers.Dense(2))
    assert _ops(graph)[0] == "TRANSPOSE_CONV"
    _assert_range(graph.ops[0].outputs[0], -3, 4)


# --- trained is deployed


def test_on_jax_a_child_process_keeps_the_ranges() -> None:
    script = """
import keras, numpy as np
from tern_keras.layers import ActivationQuantizer, QuantDense
from tflite_export import ExportError, Graph, convert
x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
dense = QuantDense(3, activation="relu", kernel_quantizer="twn")
model = keras.Sequential([keras.Input((4,)), dense, ActivationQuantizer("learned")])
try:
    convert(model, x)
except ExportError as error:
    print("never observed" in str(error))
model.compile("sgd", "mse")
model.fit(x, x[:, :3], verbose=0)
minimum, maximum = model.layers[1].fixed_range()
tensor = Graph.read(convert(model, x)).outputs[0]
scale = (np.float32(maximum) - np.float32(minimum)) / np.float32(255)
print(np.float32(tensor.scale) == scale, tensor.zero_point, minimum)
"""
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "True", "-128", "0.0"]


def _numbers(graph: Graph) -> list[tuple]:
    """All that a file holds but the names."""
    return [
        (
            tensor.shape,
            tensor.quantization and (tensor.quantization.scales.tolist(), tensor.quantization.zero_points.tolist()),
            None if tensor.data is None else tensor.data.tobytes(),
        )
        for tensor in graph.tensors
    ]


def _digits() -> tuple[np.ndarray, np.ndarray]:
    images, labels = load_digits(return_X_y=True)
    return (images / 16).astype("float32").reshape(-1, 8, 8, 1), labels


def _digits_network(kind: str) -> keras.Model:
    inputs = keras.Input((8, 8, 1))

    def quantized(x):
        return ActivationQuantizer(kind, momentum=0.9)(x)

    def block(x, filters):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        return quantized(layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x)))

    x = layers.MaxPooling2D(2)(block(quantized(inputs), 8))
    x = block(x, 16)
    x = quantized(layers.ReLU()(layers.Add()([x, block(x, 16)])))
    x = quantized(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Softmax()(quantized(layers.Dense(10)(x))))


def _fit(model: keras.Model, rate: float, x: np.ndarray, y: np.ndarray) -> None:
    epochs, batch = 15, 64
    schedule = keras.optimizers.schedules.CosineDecay(rate, epochs * (len(x) // batch + 1))
    model.compile(keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0)


@pytest.mark.parametrize("kind", ["ema", "learned"])
def test_digits_are_deployed_as_trained(kind: str, tmp_path: Path) -> None:
    x, y = _digits()
    pretrained = _digits_network(kind)
    _fit(pretrained, 0.02, x[:1400], y[:1400])
    model = ternarize(pretrained, "ttq", skip=())
    _fit(model, 0.01, x[:1400], y[:1400])
    report = export(finalize(model), tmp_path, calibration=x[:200])
    assert verify(report, x[1400:1500], y[1400:1500]).ok

    graph = Graph.read(report.tflite_path)
    ranges = [layer.fixed_range() for layer in model.layers if isinstance(layer, ActivationQuantizer)]
    assert len(ranges) == 7
    # every activation but the softmax's has a trained range; the pooling shares its input's
    activations = {(np.float32(t.scale), t.zero_point) for op in graph.ops[:-1] for t in op.outputs}
    activations.add((np.float32(graph.inputs[0].scale), graph.inputs[0].zero_point))
    assert activations == {_grid(*ends) for ends in ranges}
    outputs = reference_outputs(report, quantize_inputs(report, x))
    expected = model.predict(x, verbose=0)
    assert np.mean(expected[1400:].argmax(1) == y[1400:]) >= 0.9
    assert np.mean(outputs.argmax(1) == expected.argmax(1)) >= 0.99
    assert np.abs((outputs.astype(float) + 128) / 256 - expected).mean() < 0.002
    # with a range for every tensor, nothing is left to the choice of the calibration data
    assert _numbers(Graph.read(convert(model, -3 * x[:8]))) == _numbers(graph)
