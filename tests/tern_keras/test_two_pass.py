import json
import math
import types

import keras
import numpy as np
import pytest
from autodiff import W, numpy
from sample_models import JIT, cnn, samples

from tern_keras import finalize, profile, ternarize
from tern_keras.layers import QuantDense
from tern_keras.models import TwoPassModel
from tern_keras.optimizers import SplitOptimizer

X = np.random.default_rng(2).normal(size=(8, 8))
Y = np.random.default_rng(3).normal(size=(8, 1))
DELTA, RATE, THRESHOLD_RATE = 0.1, 0.05, 0.01


def compiled(model, jit=JIT, optimizer=None):
    two_pass = TwoPassModel(model.inputs[0], model.outputs[0], name="two_pass")
    optimizer = optimizer or SplitOptimizer(
        keras.optimizers.SGD(RATE), keras.optimizers.SGD(THRESHOLD_RATE, momentum=0.9, nesterov=True)
    )
    two_pass.compile(optimizer, "mse", metrics=["mae"], jit_compile=jit)
    return two_pass


def one_filter(jit=JIT, optimizer=None):
    layer = QuantDense(1, use_bias=False, kernel_quantizer="tga", name="dense")
    model = keras.Sequential([keras.Input((8,)), layer])
    layer.kernel.assign(W[:, None])
    layer.kernel_quantizer.delta.assign(DELTA)
    return compiled(model, jit, optimizer)


def state(model):
    layer = model.get_layer("dense")
    return numpy(layer.kernel)[:, 0], float(numpy(layer.kernel_quantizer.delta))


def fit(model, x=X, y=Y, **arguments):
    return model.fit(x, y, batch_size=8, shuffle=False, verbose=0, **arguments).history


def by_hand(w, delta):
    """Loss, mean absolute error, dL/dδ and dL/dw of the model with one filter in float64, by the paper's formulas."""
    mean, sigma = w.mean(), w.std(ddof=1)
    a = delta / sigma
    mills = math.exp(-a * a / 2) / math.sqrt(2 * math.pi) / (0.5 * math.erfc(a / math.sqrt(2)))
    codes = np.where(np.abs(w - mean) > delta, np.sign(w - mean), 0)
    error = X @ ((mean + sigma * mills) * codes) - Y[:, 0]
    g = 2 * X.T @ error / len(error)
    total = g @ codes
    slope = mills * (mills - a)
    through_statistics = 1 / len(w) + (mills - a * slope) * (w - mean) / ((len(w) - 1) * sigma)
    return (error**2).mean(), np.abs(error).mean(), slope * total, g + total * through_statistics


class TestOneStepByHand:
    w = W.astype(np.float64)
    # the first step of Nesterov's momentum 0.9 goes 1.9 times as far
    delta = DELTA - 1.9 * THRESHOLD_RATE * by_hand(w, DELTA)[2]

    @pytest.mark.parametrize("jit", [False, True])
    def test_threshold_first_then_the_weights_with_the_new_threshold(self, jit):
        model = one_filter(jit)
        history = fit(model)
        loss, error, _, gradient = by_hand(self.w, self.delta)
        kernel, delta = state(model)
        assert delta == pytest.approx(self.delta, rel=1e-5)
        np.testing.assert_allclose(kernel, self.w - RATE * gradient, rtol=1e-5, atol=1e-6)
        # of the second pass alone
        assert history["loss"] == [pytest.approx(loss, rel=1e-5)]
        assert history["mae"] == [pytest.approx(error, rel=1e-5)]

    def test_the_numbers_tell_two_passes_from_one(self):
        assert by_hand(self.w, DELTA)[0] != pytest.approx(by_hand(self.w, self.delta)[0], rel=1e-2)
        difference = by_hand(self.w, DELTA)[3] - by_hand(self.w, self.delta)[3]
        assert np.abs(RATE * difference).max() > 1e-3


def test_metrics_and_steps_count_a_batch_once():
    # nothing moves, so that each batch has the same loss in both passes
    model = one_filter(optimizer=SplitOptimizer(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0)))
    x, y = np.concatenate([X, 3 * X]), np.concatenate([Y, Y])
    expected = model.evaluate(x, y, verbose=0, return_dict=True)
    history = fit(model, x, y, epochs=3)
    for name, value in expected.items():
        np.testing.assert_allclose(history[name], [value] * 3, rtol=1e-5)
    split = model.optimizer
    assert [int(each.iterations) for each in (split, split.optimizer, split.quantizer_optimizer)] == [6, 6, 6]
    # 16 samples in the last epoch, and the evaluation is over
    assert {float(numpy(v)) for v in model.metrics_variables if v.name == "count"} == {16.0}


def test_thresholds_clip_as_published():
    thresholds = keras.optimizers.SGD(1.0, momentum=0.9, nesterov=True, clipvalue=1e-3)
    model = one_filter(optimizer=SplitOptimizer(keras.optimizers.Adam(1e-4), thresholds))
    fit(model)
    assert abs(state(model)[1] - DELTA) == pytest.approx(1.9e-3, rel=1e-4)


def test_saved_model_continues_identically(tmp_path):
    model = one_filter()
    fit(model, epochs=2)
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    assert type(restored) is TwoPassModel
    assert type(restored.optimizer) is SplitOptimizer
    assert fit(restored) == fit(model)
    np.testing.assert_array_equal(state(restored)[0], state(model)[0])
    assert state(restored)[1] == state(model)[1]


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_a_whole_model_trains(policy):
    keras.config.set_dtype_policy(policy)
    model = compiled(ternarize(cnn(), "tga"))
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer) == (policy == "mixed_float16")
    before = [numpy(v).copy() for v in model.trainable_variables]
    x = samples(model)
    fit(model, x, np.ones((len(x), 3), np.float32))
    for variable, old in zip(model.trainable_variables, before, strict=True):
        assert np.isfinite(numpy(variable)).all()
        # ReLU leaves some biases without a gradient
        assert "delta" not in variable.path or (numpy(variable) != old).any(), variable.path


def test_a_model_like_any_other():
    model = compiled(ternarize(cnn(), "tga"))
    plain = finalize(model)
    assert "tern_keras" not in json.dumps(plain.get_config())
    x = samples(model)
    np.testing.assert_allclose(plain.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-4, atol=1e-5)
    assert [row.method for row in profile(model).layers if row.bits == 2] == ["tga"] * 3
    again = ternarize(TwoPassModel(plain.inputs[0], plain.outputs[0]), "twn")
    assert [type(layer).__name__ for layer in again.layers].count("QuantDense") == 1


def test_after_the_refusal_to_scale_the_loss_it_does_not_train():
    class OnReplicas(TwoPassModel):
        distribute_strategy = types.SimpleNamespace(num_replicas_in_sync=2)

    keras.config.set_dtype_policy("mixed_float16")
    inputs = keras.Input((8,))
    model = OnReplicas(inputs, keras.layers.Dense(1)(inputs), name="replicated")
    with pytest.raises(ValueError, match="'replicated' cannot scale its loss on 2 replicas"):
        model.compile(SplitOptimizer("adam", "sgd"), "mse")
    with pytest.raises(ValueError, match=r"call `compile\(\)`"):
        fit(model)
    model.compile(SplitOptimizer("adam", "sgd"), "mse", auto_scale_loss=False)
    assert model.compiled


def test_restored_settings_build_the_optimizer():
    model = one_filter()
    other = TwoPassModel(model.inputs[0], model.outputs[0])
    other.compile_from_config(model.get_compile_config())
    assert other.compiled
    built = other.optimizer
    assert built is not model.optimizer
    assert [each.built for each in (built, built.optimizer, built.quantizer_optimizer)] == [True] * 3


def test_it_has_no_default_optimizer():
    with pytest.raises(TypeError, match="optimizer"):
        one_filter().compile(loss="mse")


@pytest.mark.parametrize("optimizer", ["adam", keras.optimizers.SGD(0.1)])
def test_another_optimizer_is_refused(optimizer):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match=r"'two_pass' updates .* with a tern_keras.optimizers.SplitOptimizer"):
        compiled(model, optimizer=optimizer)
