import re

import keras
import numpy as np
import pytest
from autodiff import close, numpy
from sample_models import cnn, nested, samples, train, types

from tern_keras import finalize, ternarize
from tern_keras.quantizers import SQ, TTQ, TWN
from tern_keras.regularizers import AdaptiveRegularizer


def quantizers_of(model):
    return {
        layer.name: None if layer.kernel_quantizer is None else type(layer.kernel_quantizer)
        for layer in model.layers
        if hasattr(layer, "kernel_quantizer")
    }


def test_default_skips_first_and_last():
    model = cnn()
    ternary = ternarize(model)
    assert quantizers_of(ternary) == {"depthwise": TTQ, "conv": TTQ, "hidden": TTQ}
    assert types(ternary)["stem"] == "Conv2D"
    assert types(ternary)["head"] == "Dense"
    assert [layer.name for layer in ternary.layers] == [layer.name for layer in model.layers]


def test_weights_are_carried_over():
    model = train(cnn())
    ternary = ternarize(model, "twn", skip=())
    for old, new in zip(model.layers, ternary.layers, strict=True):
        for a, b in zip(old.get_weights(), new.get_weights(), strict=False):
            np.testing.assert_array_equal(a, b)


def test_the_original_is_independent_of_the_copy():
    model = train(cnn())
    before = model.get_weights()
    ternary = train(ternarize(model, "ttq"))
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.isfinite(model.predict(samples(model), verbose=0)).all()
    train(model)
    assert np.isfinite(ternary.predict(samples(model), verbose=0)).all()


def test_scales_are_calibrated():
    model = cnn()
    kernel = model.get_layer("hidden").kernel.numpy()
    quantizer = ternarize(model, "ttq").get_layer("hidden").kernel_quantizer
    above = np.abs(kernel).max() * 0.05
    close(quantizer.wp, kernel[kernel > above].mean())
    close(quantizer.wn, -kernel[kernel < -above].mean())


def test_skip_by_name():
    assert quantizers_of(ternarize(cnn(), skip=["conv", "last"])) == {"stem": TTQ, "depthwise": TTQ, "hidden": TTQ}
    assert "stem" not in quantizers_of(ternarize(cnn(), skip="first"))


def test_skip_by_expression_and_by_function():
    assert quantizers_of(ternarize(cnn(), skip=re.compile("^(stem|h)"))) == {"depthwise": TTQ, "conv": TTQ}
    assert quantizers_of(ternarize(cnn(), skip=[keras.layers.Conv2D, "last"])) == {"depthwise": TTQ, "hidden": TTQ}
    small = ternarize(cnn(), skip=[lambda layer: layer.kernel.shape[-1] < 5, "head"])
    assert quantizers_of(small) == {"conv": TTQ, "hidden": TTQ}


def test_matrices_that_stay_float_are_listed():
    inputs = keras.Input((6, 4), name="inputs")
    x = keras.layers.MultiHeadAttention(2, 2, name="attention")(inputs, inputs)
    x = keras.layers.LayerNormalization()(x)
    x = keras.layers.EinsumDense("abc,cd->abd", (None, 3), name="einsum")(x)
    model = keras.Model(inputs, keras.layers.Dense(2, name="head")(x))
    with pytest.warns(UserWarning, match=r"'query' \(EinsumDense\), .*'einsum' \(EinsumDense\) stay float") as record:
        ternary = ternarize(model, skip=())
    assert "LayerNormalization" not in str(record[0].message)
    assert types(ternary) == {**types(model), "head": "QuantDense"}
    x = samples(model)
    attention = [m.get_layer("attention")(x, x) for m in (model, ternary)]
    np.testing.assert_array_equal(*attention)


def test_overrides_by_class_and_by_name():
    ternary = ternarize(
        cnn(), "ttq", overrides={"Conv2D": "sq", "DepthwiseConv2D": None, "head": "twn(factor=0.6)", "hidden": None}
    )
    # a class override leaves skipped layers alone, a name override does not
    assert quantizers_of(ternary) == {"conv": SQ, "head": TWN}
    assert ternary.get_layer("head").kernel_quantizer.factor == 0.6


def test_object_is_copied_for_each_layer():
    quantizer = SQ(regularizer=AdaptiveRegularizer(0.1, 0.01), beta=1.0)
    ternary = ternarize(cnn(), quantizer, skip=())
    copies = [layer.kernel_quantizer for layer in ternary.layers if hasattr(layer, "kernel_quantizer")]
    assert len({id(copy) for copy in copies} | {id(quantizer)}) == 6
    assert not quantizer.built
    assert all(copy.initial_beta == 1.0 for copy in copies)
    assert len(ternary.losses) == 5


def test_penalty_trains_beta():
    ternary = train(ternarize(cnn(), SQ(regularizer=AdaptiveRegularizer(1.0, 1.0))))
    assert float(ternary.get_layer("conv").kernel_quantizer.beta) > np.float32(3 * np.pi / 8)


def test_nested_model():
    model = nested()
    ternary = ternarize(model, "twn", skip=("first", "last"))
    assert types(ternary)["stem"] == "Conv2D"
    assert types(ternary.get_layer("block")) == {"inner": "QuantConv2D"}
    x = samples(model)
    model.get_layer("block").layers[0].kernel.assign(
        ternary.get_layer("block").layers[0].quantized_kernel().dequantize()
    )
    np.testing.assert_allclose(ternary.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-4, atol=1e-6)


def test_frozen_block_stays_frozen():
    model = nested()
    model.get_layer("block").trainable = False
    ternary = ternarize(model, "ttq", skip=())
    assert not ternary.get_layer("block").trainable
    assert not ternary.get_layer("block").trainable_weights
    assert ternary.get_layer("stem").trainable_weights
    assert not finalize(ternary).get_layer("block").trainable


def test_shared_layer_stays_shared():
    shared = keras.layers.Dense(4, name="shared")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, shared(keras.layers.ReLU()(shared(inputs))))
    ternary = ternarize(model, "twn", skip=())
    assert len(ternary.weights) == 2
    assert ternary.count_params() == model.count_params()


def test_sequential_without_an_input_layer():
    model = keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(3)])
    model.build((None, 5))
    assert ternarize(model, skip=()).predict(np.ones((1, 5)), verbose=0).shape == (1, 3)


def test_preprocessing_state_survives():
    normalization = keras.layers.Normalization()
    normalization.adapt(np.random.default_rng(0).normal(3, 2, (64, 4)))
    model = keras.Sequential([keras.Input((4,)), normalization, keras.layers.Dense(3)])
    ternary = ternarize(model, skip=())
    x = samples(model)
    np.testing.assert_allclose(numpy(ternary.layers[0](x)), numpy(normalization(x)), rtol=1e-6)


@pytest.mark.parametrize("make", [cnn, nested])
def test_compile_settings_are_left_behind(make):
    model = make()
    # a loss that Keras could not copy
    model.compile("sgd", loss=lambda y, y_pred: keras.ops.mean(y_pred))
    assert not ternarize(model).compiled


def test_functional_model_of_named_inputs_and_outputs():
    inputs = {"a": keras.Input((3,), name="a"), "b": keras.Input((4,), name="b")}
    merged = keras.layers.Concatenate()([keras.layers.Dense(5, name="d")(inputs["a"]), inputs["b"]])
    model = keras.Model(inputs, {"out": keras.layers.Dense(2, name="out")(merged)})
    ternary = ternarize(model, skip=())
    x = {"a": np.ones((2, 3), np.float32), "b": np.ones((2, 4), np.float32)}
    assert ternary.predict(x, verbose=0)["out"].shape == (2, 2)


def test_layers_that_are_quantised_already_stay():
    once = ternarize(cnn(), "twn")
    twice = ternarize(once, "ttq", skip=())
    assert quantizers_of(twice) == {"stem": TTQ, "depthwise": TWN, "conv": TWN, "hidden": TWN, "head": TTQ}


def test_recurrent_model():
    inputs = keras.Input((5,), dtype="int32", name="tokens")
    x = keras.layers.Embedding(10, 4, name="words")(inputs)
    x = keras.layers.Bidirectional(keras.layers.GRU(3, return_sequences=True), name="wrapped")(x)
    x = keras.layers.SimpleRNN(3, name="recurrent")(x)
    model = keras.Model(inputs, keras.layers.Dense(2, name="head")(x))
    ternary = ternarize(model, "ttq")
    assert types(ternary) == {**types(model), "recurrent": "QuantSimpleRNN"}
    layer = ternary.get_layer("recurrent")
    assert layer.kernel_quantizer is not layer.recurrent_quantizer
    assert types(ternarize(model, None, overrides={"Embedding": "twn"}, skip=()))["words"] == "QuantEmbedding"


class TestErrors:
    def test_unbuilt(self):
        with pytest.raises(ValueError, match=r"ternarize\(\) needs a built model, and 'late' is not .*dense"):
            ternarize(keras.Sequential([keras.layers.Dense(3, name="dense")], name="late"))

    def test_not_a_model(self):
        with pytest.raises(TypeError, match=r"received builtins\.str"):
            ternarize("model.keras")

    def test_nothing_to_quantise(self):
        with pytest.raises(
            ValueError, match=r"finds no layer to quantise in 'none'\. It knows Conv1D, Conv2D, .*SimpleRNN\."
        ):
            ternarize(keras.Sequential([keras.Input((3,)), keras.layers.ReLU()], name="none"))

    def test_quantised_already(self):
        with pytest.raises(ValueError, match=r"nothing more to quantise in 'cnn': stem, depthwise, .* already"):
            ternarize(ternarize(cnn(), "twn", skip=()), "ttq")

    def test_everything_skipped(self):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3), keras.layers.Dense(3)])
        with pytest.raises(ValueError, match=r"would leave every layer .* float.*Pass skip=\(\)"):
            ternarize(model)

    def test_unknown_names(self):
        with pytest.raises(ValueError, match=r"skip names \['sten'\], not among"):
            ternarize(cnn(), skip=["sten"])
        with pytest.raises(ValueError, match=r"skip='\^stem\$x' is found in none of \['conv'"):
            ternarize(cnn(), skip=re.compile("^stem$x"))
        with pytest.raises(TypeError, match=r"an entry of skip is a name, .*; received 3"):
            ternarize(cnn(), skip=[3])
        with pytest.raises(ValueError, match=r"overrides names \['EinsumDense'\], not among"):
            ternarize(cnn(), overrides={"EinsumDense": "ttq"})

    def test_unknown_quantizer(self):
        with pytest.raises(ValueError, match="Unknown quantizer"):
            ternarize(cnn(), "tqt")

    def test_nan_weights(self):
        model = cnn()
        model.get_layer("conv").kernel.assign(np.full((3, 3, 4, 6), np.nan))
        with pytest.raises(ValueError, match="Layer 'conv': 216 of 216 values of its weight 'kernel' are NaN"):
            ternarize(model)
