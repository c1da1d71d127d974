"""Models and layers that hold others as attributes, and wrappers."""

import keras
import numpy as np
import pytest
from keras import layers
from sample_models import samples, train

from tern_keras import finalize, profile, ternarize
from tern_keras.layers import QuantConv2D, QuantDense, QuantGRU


@keras.saving.register_keras_serializable(package="tests")
class Block(layers.Layer):
    """Layers in an attribute, a list, a dictionary and a tuple; one of them serves twice."""

    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.first = layers.Dense(units, name="first")
        self.many = [layers.Dense(units, name=f"many_{i}") for i in range(2)]
        self.by_name = {"norm": layers.BatchNormalization(name="norm"), "dense": layers.Dense(units, name="by_name")}
        self.pair = (self.first, layers.Dense(units, name="paired"))

    def call(self, inputs, training=None):
        x = self.by_name["dense"](self.first(inputs))
        for layer in (*self.many, *self.pair):
            x = layer(x)
        return self.by_name["norm"](x, training=training)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Network(keras.Model):
    """A subclassed model: layers, a layer of layers, and a nested Sequential model."""

    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.conv = layers.Conv2D(units, 3, name="conv")
        self.features = keras.Sequential(
            [layers.DepthwiseConv2D(3, name="depthwise"), layers.GlobalAveragePooling2D()], name="features"
        )
        self.block = Block(units, name="block")
        self.head = layers.Dense(3, name="head")

    def call(self, inputs, training=None):
        return self.head(self.block(self.features(self.conv(inputs)), training=training))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def network():
    model = Network(name="network")
    model(np.zeros((1, 8, 8, 2), np.float32))
    return model


def fit(model):
    x = np.random.default_rng(0).normal(size=(16, 8, 8, 2)).astype(np.float32)
    model.compile("adam", "mse")
    model.fit(x, np.ones((16, 3), np.float32), verbose=0)
    return x


class TestSubclassedModel:
    def test_every_layer_is_exchanged_where_it_is_held(self):
        ternary = ternarize(network(), "twn", skip=())
        assert isinstance(ternary, Network)
        block = ternary.block
        assert type(ternary.conv) is QuantConv2D
        assert all(type(layer) is QuantDense for layer in (*block.many, *block.pair, block.by_name["dense"]))
        assert block.pair[0] is block.first
        assert type(ternary.features.layers[0]).__name__ == "QuantDepthwiseConv2D"
        assert type(ternary.head) is QuantDense

    def test_nothing_of_the_old_layers_is_left(self):
        model = network()
        ternary = ternarize(model, "ttq", skip=())
        # 8 kernels, each with Wp and Wn
        assert len(ternary.trainable_weights) == len(model.trainable_weights) + 16
        assert len(ternary.weights) == len({id(weight) for weight in ternary.weights})
        assert not [layer for layer in ternary._flatten_layers() if type(layer) in (layers.Dense, layers.Conv2D)]

    def test_trains_and_finalises(self):
        ternary = ternarize(network(), "ttq", skip=("first",))
        before = keras.ops.convert_to_numpy(ternary.block.first.kernel_quantizer.wp)
        x = fit(ternary)
        assert keras.ops.convert_to_numpy(ternary.block.first.kernel_quantizer.wp) != before
        plain = finalize(ternary)
        assert type(plain.block.many[1]) is layers.Dense
        assert len(np.unique(plain.block.many[1].kernel)) <= 3
        np.testing.assert_allclose(plain.predict(x, verbose=0), ternary.predict(x, verbose=0), rtol=1e-5, atol=1e-6)

    def test_weights_are_carried_over_and_the_original_is_left_alone(self):
        model = network()
        before = model.get_weights()
        ternary = ternarize(model, "twn", skip=())
        np.testing.assert_array_equal(ternary.block.pair[1].kernel, model.block.pair[1].kernel)
        fit(ternary)
        for a, b in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)

    def test_first_last_and_names_are_those_of_the_inner_layers(self):
        ternary = ternarize(network(), "twn", skip=("first", "last", "by_name"))
        assert type(ternary.conv) is layers.Conv2D
        assert type(ternary.head) is layers.Dense
        assert type(ternary.block.by_name["dense"]) is layers.Dense
        assert type(ternary.block.first) is QuantDense

    def test_weights_are_saved_and_loaded(self, tmp_path):
        ternary = ternarize(network(), "ttq", skip=())
        x = fit(ternary)
        ternary.save_weights(tmp_path / "ternary.weights.h5")
        other = ternarize(network(), "ttq", skip=())
        other.load_weights(tmp_path / "ternary.weights.h5")
        np.testing.assert_array_equal(other.predict(x, verbose=0), ternary.predict(x, verbose=0))

    def test_profile_sees_the_inner_layers(self):
        rows = {row.name: row.method for row in profile(ternarize(network(), "twn")).layers}
        assert rows["conv"] == "float32"
        assert rows["many_1"] == "twn"


def test_layer_of_layers_in_a_functional_model(tmp_path):
    model = keras.Sequential([keras.Input((4,)), Block(name="block"), layers.Dense(3, name="head")])
    ternary = train(ternarize(model, "ttq", skip=("last",)))
    x = samples(ternary)
    plain = finalize(ternary)
    assert type(plain.layers[0].first) is layers.Dense
    np.testing.assert_allclose(plain.predict(x, verbose=0), ternary.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
    plain.save(tmp_path / "plain.keras")
    loaded = keras.models.load_model(tmp_path / "plain.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), plain.predict(x, verbose=0))


class TestWrappers:
    @pytest.fixture
    def model(self):
        return keras.Sequential(
            [
                keras.Input((5, 4)),
                layers.TimeDistributed(layers.Dense(6, name="each"), name="steps"),
                layers.Bidirectional(layers.GRU(3, name="gru"), name="both"),
                layers.Dense(2, name="head"),
            ]
        )

    def test_inner_layers_are_quantised(self, model, tmp_path):
        ternary = train(ternarize(model, "twn", skip=()))
        both = ternary.get_layer("both")
        assert type(ternary.get_layer("steps").layer) is QuantDense
        assert type(both.forward_layer) is type(both.backward_layer) is QuantGRU
        x = samples(ternary)
        plain = finalize(ternary)
        assert type(plain.get_layer("both").backward_layer) is layers.GRU
        np.testing.assert_allclose(plain.predict(x, verbose=0), ternary.predict(x, verbose=0), rtol=1e-4, atol=1e-6)
        # a wrapper's configuration holds its layers: the file is whole
        ternary.save(tmp_path / "ternary.keras")
        loaded = keras.models.load_model(tmp_path / "ternary.keras")
        np.testing.assert_array_equal(loaded.predict(x, verbose=0), ternary.predict(x, verbose=0))

    def test_profile_counts_every_step(self, model):
        rows = {row.name: row.macs for row in profile(model).layers}
        assert rows["each"] == 5 * 4 * 6


class TestErrors:
    def test_no_config(self):
        class Mine(keras.Model):
            def __init__(self, inner):
                super().__init__()
                self.inner = inner

            def call(self, inputs):
                return self.inner(inputs)

        model = Mine(layers.Dense(3))
        model(np.zeros((1, 4), np.float32))
        with pytest.raises(TypeError, match=r"\(Mine\) cannot be made anew from its get_config\(\): .* Let get_config"):
            ternarize(model, skip=())

    def test_config_of_another_model(self):
        class Deep(keras.Model):
            def __init__(self, depth=1, **kwargs):
                super().__init__(**kwargs)
                self.stack = [layers.Dense(3) for _ in range(depth)]

            def call(self, inputs):
                for layer in self.stack:
                    inputs = layer(inputs)
                return inputs

            def get_config(self):
                return {}

        model = Deep(depth=2, name="deep")
        model(np.zeros((1, 4), np.float32))
        with pytest.raises(
            ValueError, match=r"'deep' \(Deep\), made anew from its get_config\(\), has 1 layers in the place of 2"
        ):
            ternarize(model, skip=())
