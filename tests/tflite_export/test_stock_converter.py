"""Files that TensorFlow's converter makes by itself, with float or uint8 edges, from Keras to C and to a chip."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from tflite_export import ExportReport, Graph, convert, export, run, verify

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="the test of other backends starts its own process"
)
X = np.random.default_rng(0).normal(size=(64, 8, 8, 2)).astype("float32")
# Which half of the image is brighter: a task that is learnt in a second.
Y = (X[:, :4].mean((1, 2, 3)) > X[:, 4:].mean((1, 2, 3))).astype("int32")
EDGES = ["float32", "uint8", "int8"]


@pytest.fixture(scope="module")
def classifier() -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input(X.shape[1:]),
            layers.Conv2D(4, 3, padding="same", activation="relu6"),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    model.fit(X, Y, epochs=40, batch_size=16, verbose=0)
    assert (model.predict(X, verbose=0).argmax(1) == Y).mean() > 0.95
    return model


def _convert(model: keras.Model, edge: str) -> bytes:
    """As TensorFlow's own guide does: the edges stay float32 unless told otherwise."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample[None]] for sample in X)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    if edge != "float32":
        converter.inference_input_type = converter.inference_output_type = tf.dtypes.as_dtype(edge)
    return converter.convert()


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory, classifier: keras.Model) -> dict[str, ExportReport]:
    return {edge: export(_convert(classifier, edge), tmp_path_factory.mktemp(edge), cores=()) for edge in EDGES}


@pytest.mark.parametrize("edge", EDGES)
def test_its_files_are_exported_and_verified(reports: dict[str, ExportReport], edge: str) -> None:
    report = reports[edge]
    assert {tensor.dtype for tensor in (*report.inputs, *report.outputs)} == {edge}
    outcome = verify(report, X, Y)
    assert outcome.ok
    assert [check.artefact for check in outcome.checks][-1] == "C on the host"
    assert min(check.accuracy or 0 for check in outcome.checks) > 0.95


def test_all_edges_compute_the_same(reports: dict[str, ExportReport]) -> None:
    accuracies = {verify(report, X, Y).checks[-1].accuracy for report in reports.values()}
    assert len(accuracies) == 1


@pytest.mark.emulator
@pytest.mark.parametrize("edge", ["float32", "uint8"])
def test_its_files_run_on_a_chip(require_board, reports: dict[str, ExportReport], edge: str) -> None:
    require_board("mps2-an386")
    result = run(reports[edge], X[:8], Y[:8], board="mps2-an386")
    assert result.different == 0
    assert (result.accuracy or 0) > 0.8
    (outputs,) = result.real_outputs()
    np.testing.assert_allclose(outputs.sum(1), 1, atol=0.02)


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    image, other = keras.Input((8, 8, 4), name="image"), keras.Input((8, 8, 2), name="other")
    joined = layers.Conv2D(4, 3)(layers.Concatenate()([image, other]))
    added = layers.Add()([image, layers.Conv2D(4, 1)(other)])
    model = keras.Model([image, other], [layers.GlobalMaxPooling2D()(joined), layers.Flatten()(added)])
    rng = np.random.default_rng(0)
    samples = [rng.normal(size=(16, *tensor.shape[1:])).astype("float32") for tensor in (image, other)]
    tflite = convert(model, samples)
    assert len(Graph.read(tflite).inputs) == len(Graph.read(tflite).outputs) == 2
    report = export(tflite, tmp_path, cores=())
    assert verify(report, samples).ok
