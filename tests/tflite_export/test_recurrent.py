"""Recurrent layers as int8: fused or unrolled, with ternary weights that all steps share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from sklearn.datasets import load_digits

from tern_keras.layers import ActivationQuantizer, QuantGRU, QuantLSTM, QuantSimpleRNN
from tflite_export import ExportError, Graph, convert, export, find_levels, verify
from tflite_export.reference import Reference

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="the test of other backends starts its own process"
)
STEPS, FEATURES = 6, 5
TERNARY = {"kernel_quantizer": "twn", "recurrent_quantizer": "ttq"}
FUSED = "UNIDIRECTIONAL_SEQUENCE_LSTM"


def _samples(count: int = 100, steps: int = STEPS) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, steps, FEATURES)).astype("float32")


def _run(tflite: bytes, samples: np.ndarray) -> np.ndarray:
    """The outputs of the reference as real numbers."""
    graph = Graph.read(tflite)
    (source,), (target,) = graph.inputs, graph.outputs
    quantised = np.clip(np.round(samples / source.scale + source.zero_point), -128, 127).astype(np.int8)
    outputs = Reference(tflite)(quantised.reshape(len(samples), -1)).astype(float)
    return (outputs - target.zero_point) * target.scale


# layers, and how many operators are fused
MODELS: dict[str, tuple[Callable[[], list[layers.Layer]], int]] = {
    "stacked LSTMs": (lambda: [QuantLSTM(6, return_sequences=True, **TERNARY), QuantLSTM(5, **TERNARY)], 2),
    "an LSTM without a bias": (lambda: [QuantLSTM(6, use_bias=False, return_sequences=True, **TERNARY)], 1),
    "bidirectional": (lambda: [layers.Bidirectional(QuantLSTM(6, return_sequences=True, **TERNARY))], 2),
    "an LSTM with a range": (lambda: [QuantLSTM(6, return_sequences=True, **TERNARY), ActivationQuantizer()], 1),
    "an LSTM with another activation": (lambda: [QuantLSTM(6, activation="relu", **TERNARY)], 0),
    "GRU": (lambda: [QuantGRU(6, **TERNARY)], 0),
    "GRU as of Keras 1": (lambda: [QuantGRU(6, reset_after=False, **TERNARY)], 0),
    "simple": (lambda: [QuantSimpleRNN(6, return_sequences=True, **TERNARY)], 0),
}


@pytest.mark.parametrize("name", MODELS)
def test_int8_is_close_and_ternary(name: str) -> None:
    keras.utils.set_random_seed(0)
    build, fused = MODELS[name]
    model = keras.Sequential([keras.Input((STEPS, FEATURES)), *build(), layers.Dense(3)])
    samples = _samples()
    model(samples, training=True)  # shows an ActivationQuantizer its range
    tflite = convert(model, samples)
    graph = Graph.read(tflite)

    assert sum(op.name == FUSED for op in graph.ops) == fused
    assert all(tensor.dtype == "int8" for op in graph.ops for tensor in op.outputs)
    assert all(1 / 32768 <= op.inputs[19].scale <= 1 / 512 for op in graph.ops if op.name == FUSED)
    weights = {t.index for op in graph.ops for t in _matrices(op)} - {graph.ops[-1].inputs[1].index}
    assert weights
    assert weights <= find_levels(graph).keys()

    expected = model.predict(samples, verbose=0).reshape(len(samples), -1)
    error = np.sqrt(np.mean((_run(tflite, samples) - expected) ** 2)) / expected.std()
    assert error < 0.06


def _matrices(op):
    if op.name == FUSED:
        return op.inputs[1:9]
    return [op.inputs[1]] if op.name == "FULLY_CONNECTED" else []


def test_steps_share_weights_and_multipliers() -> None:
    model = keras.Sequential([keras.Input((20, FEATURES)), QuantGRU(6, **TERNARY)])
    graph = Graph.read(convert(model, _samples(steps=20)))
    scales: dict[int, set[tuple[float, float]]] = {}
    calls = [op for op in graph.ops if op.name == "FULLY_CONNECTED"]
    for op in calls:
        scales.setdefault(op.inputs[1].index, set()).add((op.inputs[0].scale, op.outputs[0].scale))
    assert len(calls) == 39  # the first step's state is zero
    assert len(scales) == 2
    assert max(map(len, scales.values())) <= 2


def test_trained_on_the_rows_of_digits() -> None:
    keras.utils.set_random_seed(0)
    data = load_digits()
    x, y = (data.images / 16).astype("float32"), data.target
    twn = {"kernel_quantizer": "twn", "recurrent_quantizer": "twn"}
    hidden = [QuantLSTM(24, return_sequences=True, **twn), QuantGRU(24, **twn)]
    model = keras.Sequential([keras.Input((8, 8)), *hidden, layers.Dense(10, activation="softmax")])
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(x[:1500], y[:1500], epochs=8, batch_size=64, verbose=0)
    expected = model.predict(x[1500:], verbose=0).argmax(1)
    got = _run(convert(model, x[:200]), x[1500:]).argmax(1)
    accuracy = np.mean(expected == y[1500:]), np.mean(got == y[1500:])
    assert accuracy[0] > 0.7
    assert abs(accuracy[1] - accuracy[0]) < 0.03
    assert np.mean(got == expected) > 0.95


@pytest.mark.parametrize(
    ("shape", "first", "message"),
    [
        ((None, 4), [layers.GRU(3, name="gru")], r"'gru' \(GRU\) reads a sequence whose length is not fixed"),
        ((6, 4), [layers.Masking(name="mask"), layers.LSTM(3)], r"'mask' \(Masking\) hides steps from 'lstm"),
        ((6, 4), [layers.Bidirectional(layers.LSTM(3, stateful=True, name="rnn"))], r"'forward_rnn' .* is stateful"),
    ],
)
def test_what_cannot_be_unrolled_is_named(shape: tuple, first: list[layers.Layer], message: str) -> None:
    batch = 1 if "stateful" in message else None
    model = keras.Sequential([keras.Input(batch_shape=(batch, *shape)), *first])
    with pytest.raises(ExportError, match=message):
        convert(model, np.random.default_rng(0).normal(size=(9, 6, 4)).astype("float32"))


def test_an_initial_state_and_a_shared_layer() -> None:
    """An encoder whose state another layer starts from, and one LSTM that reads two sequences."""
    keras.utils.set_random_seed(0)
    x = keras.Input((STEPS, FEATURES))
    encoded, *state = layers.LSTM(4, return_state=True)(x)
    decoded = layers.LSTM(4)(x, initial_state=state)
    shared = layers.LSTM(4)
    model = keras.Model(x, layers.Concatenate()([encoded, decoded, shared(x), shared(x[:, 2:])]))
    samples = _samples()
    tflite = convert(model, samples)
    assert sum(op.name == FUSED for op in Graph.read(tflite).ops) == 2
    expected = model.predict(samples, verbose=0)
    assert np.sqrt(np.mean((_run(tflite, samples) - expected) ** 2)) / expected.std() < 0.06


def test_every_sample_is_calibrated_from_zero() -> None:
    """A layer that counts its steps: the state of the samples before would make the range greater, and coarser."""
    lstm = layers.LSTM(2, return_sequences=True)
    model = keras.Sequential([keras.Input((STEPS, FEATURES)), lstm])
    kernel, recurrent_kernel, bias = lstm.get_weights()
    lstm.set_weights([0 * kernel, 0 * recurrent_kernel, np.full_like(bias, 9)])  # all gates open
    (op,) = Graph.read(convert(model, _samples())).ops
    assert op.options["cell_clip"] == 0
    assert op.inputs[19].scale * 32768 == 8  # the next power of two beyond six steps


def test_the_c_of_a_ternary_lstm_equals_the_reference(tmp_path: Path) -> None:
    hidden = [layers.Bidirectional(QuantLSTM(6, return_sequences=True, **TERNARY)), QuantLSTM(20, **TERNARY)]
    model = keras.Sequential([keras.Input((STEPS, FEATURES)), *hidden, layers.Dense(3)])
    report = export(model, tmp_path, calibration=_samples())
    assert [check.different for check in verify(report, _samples()).checks] == [0, 0]
    *_, last = [layer for layer in report.layers if layer.op == FUSED]
    assert (last.weights, last.macs) == ("ternary", STEPS * 4 * 20 * (12 + 20))
    assert last.weight_bytes < 4 * 20 * (12 + 20) / 4 + 4 * 20
