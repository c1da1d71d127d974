import keras
import numpy as np
import pytest
from sample_models import cnn, samples

from tern_keras import recalibrate_batch_norm, ternarize
from tern_keras.layers import ActivationQuantizer


def test_statistics_are_those_of_the_samples():
    model = ternarize(cnn(), "ttq(threshold=0.3)", skip=())
    x = 3 + 2 * samples(model, 32)
    norm = model.get_layer("norm")
    weights = {v.path: keras.ops.convert_to_numpy(v) for v in model.trainable_weights}
    recalibrate_batch_norm(model, x, batch_size=32)
    features = keras.ops.convert_to_numpy(keras.Model(model.inputs, model.get_layer("stem").output)(x))
    np.testing.assert_allclose(norm.moving_mean, features.mean(axis=(0, 1, 2)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, features.var(axis=(0, 1, 2)), rtol=1e-4, atol=1e-5)
    for variable in model.trainable_weights:
        np.testing.assert_array_equal(weights[variable.path], variable)


def test_batches_count_alike_and_the_rest_is_left_out():
    x = np.arange(10, dtype=np.float32)[:, None]
    model = keras.Sequential([keras.Input((1,)), keras.layers.BatchNormalization(momentum=0.9, name="norm")])
    recalibrate_batch_norm(model, x, batch_size=4)
    norm = model.get_layer("norm")
    np.testing.assert_allclose(norm.moving_mean, [x[:8].mean()], rtol=1e-6)
    np.testing.assert_allclose(norm.moving_variance, [x[:4].var()], rtol=1e-6)
    assert norm.momentum == 0.9


def test_fewer_samples_than_a_batch_several_inputs_and_a_frozen_layer():
    a, b = keras.Input((2,)), keras.Input((2,))
    norm = keras.layers.BatchNormalization(trainable=False)
    model = keras.Model([a, b], norm(keras.layers.Add()([a, b])))
    recalibrate_batch_norm(model, [np.full((3, 2), 1.0, np.float32), np.full((3, 2), 4.0, np.float32)])
    np.testing.assert_allclose(norm.moving_mean, [5.0, 5.0])
    assert not norm.trainable


def test_nothing_else_moves():
    inputs = {"x": keras.Input((4,), name="x")}
    ranged = ActivationQuantizer(name="ranged", initial_range=(-1.0, 1.0))(inputs["x"])
    dense = keras.layers.SpectralNormalization(keras.layers.Dense(3))(ranged)
    model = keras.Model(inputs, keras.layers.BatchNormalization(name="norm")(dense))
    before = {v.path: keras.ops.convert_to_numpy(v) for v in model.variables}
    recalibrate_batch_norm(model, {"x": np.random.default_rng(0).normal(5, 2, (64, 4)).astype(np.float32)}, 16)
    moved = {v.path for v in model.variables if (keras.ops.convert_to_numpy(v) != before[v.path]).any()}
    assert moved == {v.path for v in model.get_layer("norm").non_trainable_weights}


class TestErrors:
    def test_no_batch_norm(self):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)], name="bare")
        with pytest.raises(ValueError, match="'bare' has no BatchNormalization"):
            recalibrate_batch_norm(model, np.ones((2, 2)))

    @pytest.mark.parametrize("x", [iter(()), [[1.0, 2.0]], None])
    def test_no_arrays(self, x):
        with pytest.raises(TypeError, match="x must be an array of samples, or a list or dictionary of arrays"):
            recalibrate_batch_norm(cnn(), x)

    def test_no_samples(self):
        with pytest.raises(ValueError, match="x is empty"):
            recalibrate_batch_norm(cnn(), np.ones((0, 8, 8, 2)))
