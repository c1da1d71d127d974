import keras
import numpy as np
import pytest
from sample_models import JIT, cnn, samples

from tern_keras import finalize, quantization, ternarize
from tern_keras.layers import QuantDense, QuantLSTM
from tern_keras.switch import quantization_enabled


def compiled(model):
    model.compile(keras.optimizers.SGD(0.01), "mse", jit_compile=JIT)
    return model


@pytest.fixture
def models():
    """A quantised model and the float one with the same weights."""
    plain = compiled(cnn())
    return compiled(ternarize(plain, "ttq", skip=())), plain


def test_every_way_to_run_a_model_is_float_inside_and_quantised_outside(models):
    ternary, plain = models
    x = samples(plain)
    y = np.ones((len(x), 3), np.float32)
    quantised = ternary.predict(x, verbose=0)
    loss = ternary.evaluate(x, y, verbose=0)
    with quantization(False):
        np.testing.assert_allclose(ternary(x), plain(x), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(ternary.predict(x, verbose=0), plain.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(ternary.evaluate(x, y, verbose=0), plain.evaluate(x, y, verbose=0), rtol=1e-5)
    assert np.abs(quantised - plain.predict(x, verbose=0)).max() > 1e-2
    np.testing.assert_array_equal(ternary.predict(x, verbose=0), quantised)
    assert ternary.evaluate(x, y, verbose=0) == pytest.approx(loss, rel=1e-6)


def test_steps_compiled_before_come_back(models):
    ternary, _ = models
    x = samples(ternary)
    ternary.predict(x, verbose=0)
    step = ternary.predict_function
    with quantization(False):
        ternary.predict(x, verbose=0)
        assert ternary.predict_function is not step
    assert ternary.predict_function is step
    assert "predict_step" not in vars(ternary)


def test_fit_inside_trains_the_latent_weights_in_float():
    inputs = keras.Input((4,))
    model = compiled(keras.Model(inputs, QuantDense(2, kernel_quantizer="twn", use_bias=False)(inputs)))
    twin = compiled(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, use_bias=False)]))
    twin.set_weights(model.get_weights())
    x = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
    model.fit(x, x[:, :2], verbose=0, shuffle=False)
    twin.set_weights(model.get_weights())
    with quantization(False):
        model.fit(x, x[:, :2], verbose=0, shuffle=False)
        twin.fit(x, x[:, :2], verbose=0, shuffle=False)
    np.testing.assert_allclose(model.get_weights()[0], twin.get_weights()[0], rtol=1e-6)


def test_model_made_inside_is_quantised_outside():
    x = np.ones((2, 4), np.float32)
    with quantization(False):
        model = compiled(keras.Sequential([keras.Input((4,)), QuantDense(2, kernel_quantizer="ttq")]))
        model.evaluate(x, x[:, :2], verbose=0)
        inside = model.predict(x, verbose=0)
    outside = model.predict(x, verbose=0)
    assert np.abs(outside - inside).max() > 1e-3
    expected = np.mean((outside - x[:, :2]) ** 2)
    assert model.evaluate(x, x[:, :2], verbose=0) == pytest.approx(expected, rel=1e-5)


def test_recurrent_layer():
    layer = QuantLSTM(3, kernel_quantizer="ttq", recurrent_quantizer="ttq")
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    layer(x)
    plain = keras.layers.LSTM(3)
    plain.build(x.shape)
    plain.set_weights([layer.cell.kernel, layer.cell.recurrent_kernel, layer.cell.bias])
    with quantization(False):
        np.testing.assert_allclose(layer(x), plain(x), rtol=1e-5, atol=1e-6)
        with quantization(True):
            assert np.abs(np.asarray(layer(x)) - np.asarray(plain(x))).max() > 1e-3


def test_comes_back_on_after_an_error(models):
    ternary, _ = models
    x = samples(ternary)
    before = ternary.predict(x, verbose=0)
    with pytest.raises(RuntimeError, match="stop"), quantization(False):
        raise RuntimeError("stop")
    np.testing.assert_array_equal(ternary.predict(x, verbose=0), before)


def test_what_is_deployed_is_quantised_all_the_same(models):
    ternary, _ = models
    with quantization(False):
        plain = finalize(ternary)
    assert len(np.unique(keras.ops.convert_to_numpy(plain.get_layer("hidden").kernel))) <= 3


def test_compile_inside_holds_outside():
    x = np.ones((4, 2), np.float32)
    model = compiled(keras.Sequential([keras.Input((2,)), QuantDense(1, kernel_quantizer="twn")]))
    model.evaluate(x, x[:, :1], verbose=0)
    with quantization(False):
        model.compile("sgd", lambda y, y_pred: keras.ops.mean(y_pred, axis=-1) * 0 + 1234.0)
        assert model.evaluate(x, x[:, :1], verbose=0) == 1234.0
    assert model.evaluate(x, x[:, :1], verbose=0) == 1234.0


@pytest.mark.parametrize("enabled", ["off", 0, None])
def test_anything_but_true_and_false_is_refused(enabled):
    with pytest.raises(TypeError, match="takes True or False, received"), quantization(enabled):
        pass
    with quantization(True):
        assert quantization_enabled()
