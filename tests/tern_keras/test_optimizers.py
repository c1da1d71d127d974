import contextlib
import threading

import keras
import numpy as np
import pytest
from autodiff import numpy
from keras import ops
from sample_models import JIT

from tern_keras.layers import QuantDense
from tern_keras.optimizers import SplitOptimizer
from tern_keras.quantizers import SQ
from tern_keras.regularizers import AdaptiveRegularizer

X = np.random.default_rng(0).normal(size=(32, 4)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(32, 2)).astype(np.float32)


def make_model(optimizer):
    model = keras.Sequential(
        [
            keras.Input((4,)),
            QuantDense(8, kernel_quantizer="ttq", name="ttq"),
            keras.layers.BatchNormalization(name="norm"),
            QuantDense(2, kernel_quantizer=SQ(AdaptiveRegularizer(0.1, 0.01)), name="sq"),
        ]
    )
    model.compile(optimizer, "mse", jit_compile=JIT)
    return model


def fit(model, epochs=1):
    model.fit(X, Y, epochs=epochs, batch_size=8, shuffle=False, verbose=0)


def moves(model, epochs=1, train=fit):
    """Return how far each trainable variable moved, by path."""
    before = [numpy(v).copy() for v in model.trainable_variables]
    train(model, epochs)
    return {
        v.path.partition("/")[2]: float(np.abs(numpy(v) - old).max())
        for v, old in zip(model.trainable_variables, before, strict=True)
    }


def schedule(first, then):
    """A rate of `first` for the two first of four steps."""
    return keras.optimizers.schedules.PiecewiseConstantDecay([1], [first, then])


def test_each_group_has_its_rate():
    distances = moves(make_model(SplitOptimizer(keras.optimizers.Adam(0.0), keras.optimizers.Adam(0.01))))
    moved = {path for path, distance in distances.items() if distance > 0}
    # the normalisation has a beta too, which is not a quantizer's
    assert sorted(path.rsplit("/", 1)[-1] for path in moved) == ["beta", "mu", "wn", "wp"]
    assert "norm/beta" in set(distances) - moved


def test_equal_optimizers_train_as_one():
    models = [
        make_model(optimizer)
        for optimizer in (
            keras.optimizers.Adam(0.01),
            SplitOptimizer(keras.optimizers.Adam(0.01), keras.optimizers.Adam(0.01)),
        )
    ]
    models[1].set_weights(models[0].get_weights())
    for model in models:
        fit(model)
    for a, b in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_schedules_are_independent():
    model = make_model(SplitOptimizer(keras.optimizers.SGD(0.01), keras.optimizers.SGD(schedule(0.01, 0.0))))
    assert all(distance > 0 for distance in moves(model).values())
    still = {path.rsplit("/", 1)[-1] for path, distance in moves(model).items() if distance == 0}
    assert {"wp", "wn", "mu"} <= still
    assert "kernel" not in still


def test_saved_state_continues_identically(tmp_path):
    model = make_model(
        SplitOptimizer(keras.optimizers.Adam(schedule(0.01, 0.02)), keras.optimizers.SGD(0.003, momentum=0.9))
    )
    fit(model)
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    assert type(restored.optimizer) is SplitOptimizer
    assert restored.optimizer.get_config() == model.optimizer.get_config()
    for a, b in zip(model.optimizer.variables, restored.optimizer.variables, strict=True):
        np.testing.assert_array_equal(numpy(a), numpy(b))
    for each in (model, restored):
        fit(each)
    for a, b in zip(model.get_weights(), restored.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def test_learning_rate_is_that_of_the_weights():
    optimizer = SplitOptimizer("adam", keras.optimizers.SGD(0.5))
    optimizer.learning_rate = 0.25
    assert (float(optimizer.optimizer.learning_rate), float(optimizer.learning_rate)) == (0.25, 0.25)
    assert float(optimizer.quantizer_optimizer.learning_rate) == 0.5


def test_loss_scaling_of_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    model = make_model(SplitOptimizer(keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.01)))
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    distances = moves(model)
    assert np.isfinite(list(distances.values())).all()
    assert distances["ttq/kernel"] > 0


def test_model_without_quantizers():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile(SplitOptimizer("adam", "sgd"), "mse", jit_compile=JIT)
    assert all(distance > 0 for distance in moves(model).values())


def test_one_object_for_both():
    adam = keras.optimizers.Adam()
    with pytest.raises(ValueError, match="pass two optimizers"):
        SplitOptimizer(adam, adam)


class TestOnlyOneGroup:
    def names(self, model, optimizer):
        """Return the names of the variables that move while `optimizer` alone may train."""

        def train(model, epochs):
            with model.optimizer.only(optimizer):
                fit(model, epochs)

        return {path.rpartition("/")[2] for path, distance in moves(model, train=train).items() if distance > 0}

    def make(self):
        return make_model(SplitOptimizer(keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.01)))

    def test_quantizers(self):
        model = self.make()
        split = model.optimizer
        assert self.names(model, split.quantizer_optimizer) == {"wp", "wn", "mu", "beta"}
        assert [int(each.iterations) for each in (split, split.optimizer, split.quantizer_optimizer)] == [0, 0, 4]

    def test_weights(self):
        model = self.make()
        split = model.optimizer
        assert self.names(model, split.optimizer) == {"kernel", "bias", "gamma", "beta"}
        assert [int(each.iterations) for each in (split, split.optimizer, split.quantizer_optimizer)] == [4, 4, 0]

    def test_ends_with_the_context(self):
        split = SplitOptimizer("adam", "sgd")
        with split.only(split.quantizer_optimizer):
            with contextlib.suppress(KeyError), split.only(split.optimizer):
                assert split.trains(split.optimizer)
                assert not split.trains(split.quantizer_optimizer)
                raise KeyError
            assert not split.trains(split.optimizer)
        assert split.trains(split.optimizer)
        assert split.trains(split.quantizer_optimizer)

    def test_each_thread_has_its_own(self):
        split = SplitOptimizer("adam", "sgd")
        seen = []
        with split.only(split.quantizer_optimizer):
            thread = threading.Thread(target=lambda: seen.append(split.trains(split.optimizer)))
            thread.start()
            thread.join()
        assert seen == [True]

    def test_each_optimizer_has_its_own(self):
        splits = [SplitOptimizer(keras.optimizers.SGD(0.5), keras.optimizers.SGD(0.5)) for _ in range(3)]
        weights = [keras.Variable(1.0) for _ in splits]
        with splits[0].only(splits[0].optimizer), splits[1].only(splits[1].quantizer_optimizer):
            for split, weight in zip(splits, weights, strict=True):
                split.apply([ops.ones(())], [weight])
        assert [float(numpy(weight)) for weight in weights] == [0.5, 1.0, 0.5]
        assert [int(numpy(split.iterations)) for split in splits] == [1, 0, 1]

    def test_none_other(self):
        split = SplitOptimizer("adam", "sgd")
        with pytest.raises(ValueError, match="its `optimizer` or its `quantizer_optimizer`"), split.only("sgd"):
            pass
