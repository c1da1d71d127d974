"""Models and layers that hold others as attributes, and wrappers."""

import re
import warnings
from functools import partial

import keras
import numpy as np
import pytest
from keras import layers
from sample_models import samples, train

from tern_keras import finalize, profile, quantization, ternarize
from tern_keras.layers import QUANTIZED_CLASSES, QuantConv2D, QuantDense, QuantGRU
from tern_keras.structure import all_layers, leaf_layers


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
        nested = layers.TimeDistributed(layers.TimeDistributed(layers.Dense(2, name="each")))
        (row,) = profile(keras.Sequential([keras.Input((5, 7, 3)), nested])).layers
        assert row.macs == 5 * 7 * 3 * 2

    def test_names_of_wrappers_and_their_classes(self, model):
        def floats(**arguments):
            ternary = ternarize(model, **{"skip": (), **arguments})
            return [layer.name for layer in leaf_layers(ternary) if type(layer) in QUANTIZED_CLASSES]

        both = ["forward_gru", "backward_gru"]
        assert floats(skip="both") == floats(skip=re.compile("^both$")) == floats(overrides={"both": None}) == both
        assert floats(overrides={"Bidirectional": None}) == floats(skip=layers.Bidirectional) == both
        assert floats(skip="both/forward_gru") == ["forward_gru"]
        assert floats(overrides={"both": None, "both/forward_gru": "twn"}) == ["backward_gru"]

    def test_the_two_layers_of_a_bidirectional_are_one_end(self):
        model = keras.Sequential(
            [keras.Input((5, 4)), layers.Bidirectional(layers.GRU(3)), layers.Dense(2), layers.Dense(2)]
        )
        ternary = ternarize(model)
        assert not [layer for layer in all_layers(ternary.layers[0]) if isinstance(layer, QuantGRU)]


def test_layer_that_serves_in_two_holders_stays_one():
    class Outer(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.block = Block(name="block")
            self.shared = self.block.first

        def call(self, inputs):
            return self.shared(self.block(inputs))

        def get_config(self):
            return {}

    model = Outer()
    model(np.zeros((1, 4), np.float32))
    ternary = ternarize(model, "twn", skip=())
    assert ternary.shared is ternary.block.first is ternary.block.pair[0]


def test_numbers_that_the_configuration_leaves_out_come_along():
    class Scaled(keras.Model):
        def __init__(self, scale=1.0, **kwargs):
            super().__init__(**kwargs)
            self.scale = scale
            self.dense = layers.Dense(2)

        def call(self, inputs):
            return self.scale * self.dense(inputs) * self.gain

    model = Scaled(scale=5.0)
    model.gain = 3.0
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    expected = model(x)
    with quantization(False):
        np.testing.assert_allclose(ternarize(model, skip=())(x), expected, rtol=1e-5)


def test_layer_exchanged_before():
    once = ternarize(network(), "twn", skip=("first",))
    twice = ternarize(once, "bwn", skip=())
    assert type(twice.conv.kernel_quantizer).__name__ == "BWN"
    assert type(twice.block.first.kernel_quantizer).__name__ == "TWN"
    np.testing.assert_array_equal(twice.block.first.kernel, once.block.first.kernel)


def test_wrapper_that_holds_a_weight_of_its_layer():
    wrapped = layers.SpectralNormalization(layers.Dense(4, name="inner"), name="spectral")
    model = keras.Sequential([keras.Input((4,)), wrapped, layers.Dense(2)])
    ternary = train(ternarize(model, "twn", skip=()))
    assert ternary.get_layer("spectral").kernel is ternary.get_layer("spectral").layer.kernel
    x = samples(ternary)
    np.testing.assert_allclose(
        finalize(ternary).predict(x, verbose=0), ternary.predict(x, verbose=0), rtol=1e-5, atol=1e-6
    )


def test_lambda_is_copied():
    model = keras.Sequential([keras.Input((4,)), layers.Lambda(lambda x: 2 * x), layers.Dense(2)])
    x = samples(model)
    with quantization(False):
        np.testing.assert_allclose(ternarize(model, skip=())(x), model(x), rtol=1e-6)


class TestWarnings:
    def test_layers_that_a_file_would_not_hold(self):
        model = keras.Sequential([keras.Input((4,)), Block(name="block"), layers.Dense(3)])
        with pytest.warns(UserWarning, match=r"inside 'block' \(Block\) were exchanged, .* Keep save_weights\(\)"):
            ternary = ternarize(model, "twn", skip=())
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            finalize(ternary)

    def test_class_that_is_left_behind(self):
        class Custom(keras.Model):
            def train_step(self, *args):
                return super().train_step(*args)

        inputs = keras.Input((4,))
        model = Custom(inputs, layers.Dense(2)(inputs), name="custom")
        with pytest.warns(UserWarning, match=r"'custom' \(Custom\) becomes a plain Functional model"):
            ternary = ternarize(model, skip=())
        assert isinstance(Custom(ternary.inputs, ternary.outputs).layers[-1], QuantDense)

    def test_wrappers_and_plain_models_are_silent(self):
        model = keras.Sequential(
            [keras.Input((5, 4)), layers.Bidirectional(layers.GRU(3)), keras.Sequential([layers.Dense(2)])]
        )
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            finalize(ternarize(model, skip=()))


class TestErrors:
    def test_call_of_its_own_in_a_functional_model(self):
        class Twice(keras.Model):
            def call(self, inputs):
                return 2 * super().call(inputs)

        inputs = keras.Input((4,))
        with pytest.raises(TypeError, match=r"'twice' \(Twice\) is made of inputs and outputs, but computes"):
            ternarize(Twice(inputs, layers.Dense(2)(inputs), name="twice"), skip=())

    @pytest.mark.parametrize("keep", [lambda d: lambda x: d(x), lambda d: d.__call__, lambda d: partial(d), "default"])
    def test_layer_inside_a_function(self, keep):
        class Hidden(keras.Model):
            def __init__(self, **kwargs):
                super().__init__(**kwargs)
                self.dense = layers.Dense(2, name="dense")
                dense = self.dense
                self.run = (lambda x, d=dense: d(x)) if keep == "default" else keep(dense)

            def call(self, inputs):
                return self.run(inputs)

            def get_config(self):
                return {}

        model = Hidden(name="hidden")
        model(np.zeros((1, 4), np.float32))
        with pytest.raises(ValueError, match=r"keeps a layer inside the function 'run'"):
            ternarize(model, skip=())

    def test_no_config(self):
        class Mine(keras.Model):
            def __init__(self, inner):
                super().__init__()
                self.inner = inner

            def call(self, inputs):
                return self.inner(inputs)

        model = Mine(layers.Dense(3))
        model(np.zeros((1, 4), np.float32))
        with pytest.raises(
            TypeError, match=r"\(Mine\) cannot be made anew from its get_config\(\)\. Let .* Keras says"
        ):
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
