import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from autodiff import close, gradients, numpy
from keras import ops
from sample_models import JIT

from tern_keras import finalize, quantization
from tern_keras.layers import ActivationQuantizer, QuantDense
from tern_keras.ops import fake_quantize, int8_grid
from tern_keras.optimizers import SplitOptimizer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 4)).astype(np.float32)
Y = RNG.normal(size=(32, 2)).astype(np.float32)
RANGES = [(0.0, 6.0), (-1.0, 1.55), (-0.3, 0.0), (-4.0, 2.2), (-0.01, 25.0)]


def model(*layers):
    built = keras.Sequential([keras.Input((4,)), *layers])
    built.compile(keras.optimizers.SGD(0.05), "mse", jit_compile=JIT)
    return built


def fit(built, x=X, y=Y, epochs=1):
    return built.fit(x, y, batch_size=16, epochs=epochs, shuffle=False, verbose=0)


# --- the function


@pytest.mark.parametrize("ends", RANGES)
def test_equals_the_fake_quantisation_of_tensorflow(ends):
    import tensorflow as tf

    x = np.random.default_rng(1).uniform(-5, 8, 512).astype(np.float32)
    scale = (ends[1] - ends[0]) / 255
    x = x[np.abs(x / scale % 1 - 0.5) > 1e-2]  # ties are rounded to the even code here, upwards there
    expected = tf.quantization.fake_quant_with_min_max_vars(x, *ends)
    np.testing.assert_allclose(numpy(fake_quantize(x, *ends)), expected.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("ends", RANGES)
def test_grid(ends):
    scale, zero_point = map(float, int8_grid(*ends))
    assert scale == pytest.approx((ends[1] - ends[0]) / 255, rel=1e-6)
    assert zero_point in range(-128, 128)
    assert scale * (-128 - zero_point) == pytest.approx(ends[0], abs=scale / 2 + 1e-6)
    x = np.linspace(*ends, 4096, dtype=np.float32)
    y = numpy(fake_quantize(x, *ends))
    codes = y / np.float32(scale) + zero_point
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-3)
    assert sorted(set(np.rint(codes).astype(int))) == list(range(-128, 128))
    assert np.abs(y - x).max() <= scale * 1.01  # half a step, and half of one at an end that the zero point moved
    assert numpy(fake_quantize(np.zeros(1, np.float32), *ends))[0] == 0


@pytest.mark.parametrize("symmetric", [0.1, 1.0, 3.3, 4.0])
def test_a_symmetric_range_has_the_lower_of_its_two_zero_points(symmetric):
    assert float(int8_grid(-symmetric, symmetric)[1]) == -1


def test_quantising_twice_changes_nothing():
    once = fake_quantize(X, -1.0, 1.55)
    np.testing.assert_array_equal(numpy(fake_quantize(once, -1.0, 1.55)), numpy(once))


def test_gradients():
    # scale 0.01, zero point -28: below the range, in it with the rounding errors -0.004 and +0.003, above
    x = np.array([-3.0, 0.304, 1.207, 9.0], np.float32)
    g = np.array([0.5, 1.0, 2.0, -4.0], np.float32)
    dx, dmin, dmax = gradients(
        lambda *arguments: ops.sum(fake_quantize(*arguments) * g), x, np.float32(-1), np.float32(1.55)
    )
    close(dx, [0, 1, 2, 0])
    in_range = (1.0 * -0.004 + 2.0 * 0.003) / 2.55
    np.testing.assert_allclose(dmax, -4.0 + in_range, rtol=1e-4)
    np.testing.assert_allclose(dmin, 0.5 - in_range, rtol=1e-4)


def test_infinity_takes_the_ends_of_the_range():
    x = np.array([-np.inf, 0.304, np.inf], np.float32)
    g = np.array([0.5, 1.0, 2.0], np.float32)
    np.testing.assert_allclose(numpy(fake_quantize(x, -1.0, 1.55)), [-1.0, 0.3, 1.55], rtol=1e-6)
    dx, dmin, dmax = gradients(
        lambda *arguments: ops.sum(fake_quantize(*arguments) * g), x, np.float32(-1), np.float32(1.55)
    )
    close(dx, [0, 1, 0])
    np.testing.assert_allclose([dmin, dmax], [0.5 + 0.004 / 2.55, 2.0 - 0.004 / 2.55], rtol=1e-4)
    assert np.isnan(numpy(fake_quantize(np.float32([np.nan]), -1.0, 1.55))).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_computes_in_float32(dtype):
    x = ops.cast(X, dtype)
    y = fake_quantize(x, -3.0, 3.0)
    assert keras.backend.standardize_dtype(y.dtype) == dtype
    exact = fake_quantize(ops.cast(x, "float32"), -3.0, 3.0)
    np.testing.assert_array_equal(numpy(ops.cast(y, "float32")), numpy(ops.cast(ops.cast(exact, dtype), "float32")))


# --- the range


@pytest.mark.parametrize("kind", ["ema", "learned"])
def test_before_the_first_batch_it_passes_its_input_on(kind):
    layer = ActivationQuantizer(kind, name="hidden_range")
    np.testing.assert_array_equal(numpy(layer(X)), X)
    np.testing.assert_array_equal(numpy(layer(np.zeros_like(X), training=True)), 0 * X)
    with pytest.raises(ValueError, match=r"'hidden_range' .* has never observed a range: train the model"):
        layer.fixed_range()


def test_unbuilt_layer_has_no_range():
    with pytest.raises(ValueError, match="not built"):
        ActivationQuantizer().fixed_range()


def test_moving_average():
    layer = ActivationQuantizer(momentum=0.75)
    y = layer(X, training=True)
    assert layer.fixed_range() == (X.min(), X.max())
    close(y, numpy(fake_quantize(X, X.min(), X.max())))
    layer(3 * X, training=True)
    np.testing.assert_allclose(layer.fixed_range(), (1.5 * X.min(), 1.5 * X.max()), rtol=1e-6)
    layer(np.abs(X) + 1, training=True)  # the range includes 0 even where a batch does not
    np.testing.assert_allclose(layer.fixed_range()[0], 0.75 * 1.5 * X.min(), rtol=1e-6)


@pytest.mark.parametrize("kind", ["ema", "learned"])
def test_inference_and_frozen_layers_keep_the_range(kind):
    layer = ActivationQuantizer(kind, initial_range=(-1, 1.5))
    layer(5 * X)
    layer(5 * X, training=False)
    layer.trainable = False
    layer(5 * X, training=True)
    assert layer.fixed_range() == (-1, 1.5)


@pytest.mark.parametrize("kind", ["ema", "learned"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_batches_that_are_not_finite_are_passed_over(kind, value):
    x = X.copy()
    x[3, 1] = value
    layer = ActivationQuantizer(kind)
    layer(x, training=True)
    with pytest.raises(ValueError, match="its input is finite"):
        layer.fixed_range()
    layer(X, training=True)
    layer(x, training=True)
    assert layer.fixed_range() == (X.min(), X.max())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_range_that_is_not_finite_is_called_so(value):
    layer = ActivationQuantizer("learned", initial_range=(-1, 1.5), name="hidden_range")
    layer.build()
    layer.log_maximum.assign(value)
    with pytest.raises(ValueError, match=r"'hidden_range' .* the range \(-1.0, (nan|inf)\), which is NaN or infinite"):
        layer.fixed_range()


def test_learned_range_starts_from_the_first_batch_and_is_trained():
    layer = ActivationQuantizer("learned")
    trained = model(layer, keras.layers.Dense(2))
    assert [v.name for v in layer.trainable_variables] == ["log_minimum", "log_maximum"]
    fit(trained, X[:16], Y[:16])
    close([float(numpy(layer.minimum)), float(numpy(layer.maximum))], [X[:16].min(), X[:16].max()])
    logarithms = [float(numpy(layer.log_minimum)), float(numpy(layer.log_maximum))]
    assert 0 not in logarithms
    np.testing.assert_allclose(
        layer.fixed_range(), [X[:16].min() * 2 ** logarithms[0], X[:16].max() * 2 ** logarithms[1]], rtol=1e-5
    )
    fit(trained, 9 * X, Y)
    close(numpy(layer.maximum), X[:16].max())


def test_learned_range_finds_the_data():
    x = np.abs(X)
    grown = ActivationQuantizer("learned", initial_range=(0, 0.25))
    built = keras.Sequential([keras.Input((4,)), grown])
    built.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=JIT)
    losses = fit(built, x, x, epochs=60).history["loss"]
    minimum, maximum = grown.fixed_range()
    assert minimum == 0  # an end at 0 stays
    assert maximum == pytest.approx(x.max(), rel=0.2)
    assert losses[-1] < 1e-2 * losses[0]


def test_weights_beneath_it_learn():
    dense = keras.layers.Dense(4)
    losses = fit(model(dense, ActivationQuantizer(), keras.layers.Dense(2)), epochs=30).history["loss"]
    assert losses[-1] < 0.8 * losses[0]


# --- a Keras layer like others


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = QuantDense(2, kernel_quantizer="ttq")
        self.range = ActivationQuantizer("learned")

    def call(self, x, training=None):
        return self.range(self.dense(x), training=training)


def test_subclassed_model():
    built = Subclassed()
    built.compile("sgd", "mse", jit_compile=JIT)
    fit(built)
    minimum, maximum = built.range.fixed_range()
    outputs = built.predict(X, verbose=0)
    scale = np.float32((maximum - minimum) / 255)
    np.testing.assert_allclose(outputs / scale, np.rint(outputs / scale), atol=1e-3)


def test_save_load_clone_and_finalize(tmp_path):
    built = model(
        ActivationQuantizer(momentum=0.5),
        QuantDense(8, activation="relu", kernel_quantizer="twn"),
        ActivationQuantizer("learned", initial_range=(0, 2)),
        keras.layers.Dense(2),
    )
    fit(built)
    expected = built.predict(X, verbose=0)
    built.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    clone = keras.models.clone_model(built)
    clone.set_weights(built.get_weights())
    final = finalize(built)
    assert isinstance(final.layers[0], ActivationQuantizer)
    for other in (restored, clone, final):
        np.testing.assert_allclose(other.predict(X, verbose=0), expected, rtol=1e-5, atol=1e-6)
        for index in (0, 2):
            assert other.layers[index].fixed_range() == built.layers[index].fixed_range()
            assert other.layers[index].get_config() == built.layers[index].get_config()
    fit(built)
    fit(restored)
    for a, b in zip(built.get_weights(), restored.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_jit_equals_eager():
    starts = []
    for options in ({"jit_compile": True}, {"run_eagerly": True}):
        keras.utils.set_random_seed(1)
        built = keras.Sequential(
            [keras.Input((4,)), ActivationQuantizer(), keras.layers.Dense(2), ActivationQuantizer("learned")]
        )
        built.compile(keras.optimizers.SGD(0.05), "mse", **options)
        fit(built, X[:16], Y[:16], epochs=2)
        starts.append(built.get_weights())
    for a, b in zip(*starts, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    layer = ActivationQuantizer("learned")
    built = model(keras.layers.Dense(4), layer, keras.layers.Dense(2, dtype="float32"))
    fit(built)
    assert {v.dtype for v in layer.variables} == {"float32"}
    assert keras.backend.standardize_dtype(layer(X).dtype) == layer.compute_dtype
    assert np.isfinite(layer.fixed_range()).all()
    assert np.isfinite(built.predict(X, verbose=0)).all()


def test_quantization_off_is_an_identity():
    layer = ActivationQuantizer(initial_range=(-1, 1))
    built = model(layer)
    assert not np.array_equal(built.predict(X, verbose=0), X)
    with quantization(False):
        np.testing.assert_array_equal(built.predict(X, verbose=0), X)
        layer(9 * X, training=True)
    assert layer.fixed_range() == (-1, 1)


def test_the_quantizers_optimizer_trains_a_learned_range():
    layer = ActivationQuantizer("learned", initial_range=(-1, 1))
    built = model(keras.layers.Dense(2, use_bias=False), layer)
    built.compile(SplitOptimizer(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.1)), "mse", jit_compile=JIT)
    kernel = numpy(built.layers[0].kernel).copy()
    fit(built)
    np.testing.assert_array_equal(numpy(built.layers[0].kernel), kernel)
    assert layer.fixed_range() != (-1, 1)


def test_replicas_agree():
    script = """
import os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
import contextlib, keras, numpy as np
from tern_keras.layers import ActivationQuantizer
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    scope = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"]).scope()
else:
    keras.distribution.set_distribution(keras.distribution.DataParallel())
    assert len(keras.distribution.list_devices()) == 2
    scope = contextlib.nullcontext()
with scope:
    model = keras.Sequential([keras.Input((1,)), ActivationQuantizer(), ActivationQuantizer("learned")])
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=keras.backend.backend() != "tensorflow")
x = np.array([[-1.0], [0.5], [-3.0], [1.5]], "float32")  # the first two are the first replica's
model.fit(x, x, batch_size=4, shuffle=False, verbose=0)
for variable in model.variables:
    copies = getattr(variable.value, "values", [variable.value])
    assert len({float(np.asarray(copy)) for copy in copies}) == 1
print(*[end for layer in model.layers for end in layer.fixed_range()])
"""
    done = subprocess.run([sys.executable, "-c", script], env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ends = [float(word) for word in done.stdout.split()]
    # JAX reduces over the whole batch; TensorFlow's replicas take the mean of their ranges, then of what that leaves
    expected = [-3.0, 1.5] * 2 if keras.backend.backend() == "jax" else [-2.0, 1.0, -1.5, 0.75]
    np.testing.assert_allclose(ends, expected, atol=4.5 / 255)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"range": "fixed"}, "range must be 'ema' or 'learned'"),
        ({"momentum": 1.0}, r"momentum must be a number in \[0, 1\), received 1.0"),
        ({"momentum": "a"}, r"momentum must be a number in \[0, 1\), received 'a'"),
        ({"momentum": float("nan")}, r"momentum must be a number in \[0, 1\), received nan"),
        ({"initial_range": 5}, r"must be a finite \(min, max\) .*, received 5\."),
        ({"initial_range": (0,)}, r"must be a finite \(min, max\) .*, received \(0,\)\."),
        ({"initial_range": ("a", 1)}, r"must be a finite \(min, max\) .*, received \('a', 1\)\."),
        ({"initial_range": (1.0, 2.0)}, "min <= 0 <= max"),
        ({"initial_range": (0.0, 0.0)}, "min < max"),
        ({"initial_range": (0.0, float("inf"))}, "finite"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ActivationQuantizer(**arguments)
