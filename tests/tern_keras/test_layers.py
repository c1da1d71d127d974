import keras
import numpy as np
import pytest
from autodiff import numpy
from sample_layers import LAYERS, inputs, make_layer, make_parent
from sample_models import JIT

from tern_keras.layers import QuantConv2D, QuantDense, QuantDepthwiseConv2D
from tern_keras.quantizers import SQ, TTQ, TWN
from tern_keras.regularizers import AdaptiveRegularizer

PENALTY = AdaptiveRegularizer(0.1, 0.01)
KINDS = ("dense", "conv", "depthwise")  # test_layer_kinds.py takes all, less thoroughly
QUANTIZERS = {
    "twn": lambda: TWN(per_filter=True),
    "ttq": lambda: TTQ(init="mean"),
    "sq": lambda: SQ(regularizer=PENALTY),
}
CLASSES = 3


@pytest.fixture(params=KINDS)
def layer_kind(request):
    return request.param


@pytest.fixture(params=QUANTIZERS)
def quantizer_kind(request):
    return request.param


def make_model(layer_kind, quantizer_kind, **compile_arguments):
    model = keras.Sequential(
        [
            keras.Input(LAYERS[layer_kind][2]),
            make_layer(layer_kind, QUANTIZERS[quantizer_kind]()),
            keras.layers.Flatten(),
            keras.layers.Dense(CLASSES),
        ]
    )
    return compiled(model, **compile_arguments)


def compiled(model, learning_rate=0.01, **arguments):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(learning_rate), loss, **{"jit_compile": JIT, **arguments})
    return model


def data(layer_kind, count=32):
    return inputs(layer_kind, count), np.random.default_rng(1).integers(0, CLASSES, count)


def fit(model, layer_kind):
    return model.fit(*data(layer_kind), batch_size=16, shuffle=False, verbose=0)


def values(weights):
    return [numpy(weight).copy() for weight in weights]


def assert_same(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


class Subclassed(keras.Model):
    """A model that Keras builds at its first fit, with deferred variables."""

    def __init__(self, layer):
        super().__init__()
        self.quantized = layer
        self.flatten = keras.layers.Flatten()
        self.head = keras.layers.Dense(CLASSES)

    def call(self, inputs):
        return self.head(self.flatten(self.quantized(inputs)))


class TestTraining:
    @pytest.mark.parametrize("jit_compile", [True, False])
    def test_fit_and_evaluate(self, layer_kind, quantizer_kind, jit_compile):
        model = make_model(layer_kind, quantizer_kind, jit_compile=jit_compile)
        layer = model.layers[0]
        before = values(layer.trainable_weights)
        history = fit(model, layer_kind)
        assert np.isfinite(history.history["loss"]).all()
        for old, new, weight in zip(before, values(layer.trainable_weights), layer.trainable_weights, strict=True):
            assert (old != new).any(), weight.path
        assert np.isfinite(model.evaluate(*data(layer_kind), verbose=0))
        np.testing.assert_array_equal(numpy(layer.forward_kernel()), layer.quantized_kernel().dequantize())

    def test_learns(self):
        rng = np.random.default_rng(0)
        y = rng.integers(0, CLASSES, 256)
        x = (rng.normal(size=(CLASSES, 5))[y] + 0.3 * rng.normal(size=(256, 5))).astype(np.float32)
        for kind in QUANTIZERS:
            model = make_model("dense", kind, metrics=["accuracy"])
            model.fit(x, y, epochs=12, verbose=0)
            assert model.evaluate(x, y, verbose=0)[1] > 0.9, kind

    def test_frozen_layer_does_not_move(self):
        model = make_model("dense", "sq")
        model.layers[0].trainable = False
        compiled(model)
        before = values(model.layers[0].weights)
        fit(model, "dense")
        assert_same(values(model.layers[0].weights), before)

    @pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
    def test_mixed_precision(self, layer_kind, quantizer_kind, policy):
        keras.config.set_dtype_policy(policy)
        model = make_model(layer_kind, quantizer_kind)
        layer = model.layers[0]
        assert np.isfinite(fit(model, layer_kind).history["loss"]).all()
        assert {keras.backend.standardize_dtype(w.dtype) for w in layer.weights} == {"float32"}
        assert keras.backend.standardize_dtype(layer.forward_kernel().dtype) == policy.removeprefix("mixed_")

    def test_mixed_precision_does_not_move_the_threshold(self):
        # bfloat16 would round 0.501 to 0.5, the threshold
        layer = QuantDense(2, use_bias=False, kernel_quantizer=TTQ(threshold=0.5), dtype="mixed_bfloat16")
        layer.build((None, 2))
        layer.kernel.assign([[1.0, 0.501], [-0.501, 0.499]])
        outputs = numpy(keras.ops.cast(layer(np.eye(2, dtype=np.float32)), "float32"))
        np.testing.assert_array_equal(outputs, [[1, 1], [-1, 0]])
        np.testing.assert_array_equal(outputs, layer.quantized_kernel().codes)


class TestDeferredBuild:
    """Keras builds a subclassed model inside its first fit; the state must still start from the kernel."""

    @pytest.mark.parametrize("jit_compile", [True, False])
    def test_state_comes_from_the_initial_kernel(self, layer_kind, quantizer_kind, jit_compile):
        model = Subclassed(make_layer(layer_kind, QUANTIZERS[quantizer_kind]()))
        # a learning rate of 0 leaves everything at its initial value
        compiled(model, learning_rate=0.0, jit_compile=jit_compile)
        fit(model, layer_kind)
        layer = model.quantized
        deferred = values(layer.kernel_quantizer.weights)
        layer.kernel_quantizer.calibrate(layer.kernel)
        for initial, expected in zip(deferred, values(layer.kernel_quantizer.weights), strict=True):
            np.testing.assert_allclose(initial, expected, rtol=1e-6)

    def test_trains(self, quantizer_kind):
        model = compiled(Subclassed(make_layer("conv", QUANTIZERS[quantizer_kind]())))
        assert np.isfinite(fit(model, "conv").history["loss"]).all()


class TestSaving:
    def test_keras_file(self, layer_kind, quantizer_kind, tmp_path):
        model = make_model(layer_kind, quantizer_kind)
        fit(model, layer_kind)
        model.save(tmp_path / "model.keras")
        restored = keras.models.load_model(tmp_path / "model.keras")
        assert_same(values(restored.weights), values(model.weights))
        assert [w.name for w in restored.layers[0].weights] == [w.name for w in model.layers[0].weights]
        x, _ = data(layer_kind)
        assert_same([restored.predict(x, verbose=0)], [model.predict(x, verbose=0)])
        latent = numpy(restored.layers[0].kernel)
        assert len(np.unique(latent)) > 3

    def test_training_continues_identically(self, quantizer_kind, tmp_path):
        model = make_model("conv", quantizer_kind)
        fit(model, "conv")
        model.save(tmp_path / "model.keras")
        restored = keras.models.load_model(tmp_path / "model.keras")
        for each in (model, restored):
            fit(each, "conv")
        for a, b in zip(values(model.weights), values(restored.weights), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)

    def test_weights_file(self, layer_kind, quantizer_kind, tmp_path):
        model = make_model(layer_kind, quantizer_kind)
        fit(model, layer_kind)
        model.save_weights(tmp_path / "model.weights.h5")
        other = make_model(layer_kind, quantizer_kind)
        other.load_weights(tmp_path / "model.weights.h5")
        assert_same(values(other.weights), values(model.weights))

    def test_clone(self, layer_kind, quantizer_kind):
        model = make_model(layer_kind, quantizer_kind)
        clone = keras.models.clone_model(model)
        layer, copy = model.layers[0], clone.layers[0]
        assert copy.get_config() == layer.get_config()
        assert copy.kernel_quantizer is not layer.kernel_quantizer
        clone.set_weights(model.get_weights())
        x, _ = data(layer_kind)
        assert_same([clone.predict(x, verbose=0)], [model.predict(x, verbose=0)])
        fit(compiled(clone), layer_kind)


class TestLikeTheParent:
    def test_quantized_output_is_the_parent_s_with_the_quantised_kernel(self, layer_kind, quantizer_kind):
        parent, layer = make_parent(layer_kind), make_layer(layer_kind, quantizer_kind)
        x = inputs(layer_kind)
        parent(x)
        layer(x)
        layer.bias.assign(np.arange(layer.bias.shape[0]))
        parent.set_weights([layer.quantized_kernel().dequantize(), numpy(layer.bias)])
        np.testing.assert_allclose(numpy(layer(x)), numpy(parent(x)), rtol=1e-6, atol=1e-6)

    def test_no_bias(self, layer_kind):
        layer = make_layer(layer_kind, "twn", use_bias=False)
        x, _ = data(layer_kind)
        assert np.isfinite(numpy(layer(x))).all()
        assert [w.name for w in layer.weights] == ["kernel"]


class TestFilters:
    def test_depthwise_filters_span_height_and_width(self):
        layer = QuantDepthwiseConv2D(3, depth_multiplier=2, kernel_quantizer="sq")
        layer.build((None, 8, 8, 4))
        assert layer.kernel_quantizer.mu.shape == (1, 1, 4, 2)
        layer = QuantDepthwiseConv2D(3, depth_multiplier=2, kernel_quantizer="twn(per_filter=True)")
        layer.build((None, 8, 8, 4))
        assert layer.quantized_kernel().scales.shape == (1, 1, 1, 4, 2)

    def test_conv_filters_span_all_but_the_last_axis(self):
        layer = QuantConv2D(6, (3, 1), groups=2, kernel_quantizer="sq")
        layer.build((None, 8, 8, 4))
        assert layer.kernel_quantizer.mu.shape == (1, 1, 1, 6)


class TestErrors:
    def test_quantized_kernel_without_quantizer(self):
        layer = QuantDense(2, name="plain")
        layer.build((None, 3))
        with pytest.raises(ValueError, match="Layer 'plain' has no kernel_quantizer"):
            layer.quantized_kernel()

    def test_quantized_kernel_before_build(self):
        with pytest.raises(ValueError, match="Layer 'early' is not built"):
            QuantDense(2, kernel_quantizer="twn", name="early").quantized_kernel()

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_weights_that_are_not_finite(self, value):
        layer = QuantDense(2, kernel_quantizer="twn", name="broken")
        layer.build((None, 3))
        layer.kernel.assign(np.full((3, 2), value))
        with pytest.raises(ValueError, match="Layer 'broken': 6 of 6 values of its weight 'kernel' are NaN"):
            layer.quantized_kernel()

    def test_quantizer_object_in_two_layers(self):
        quantizer = TTQ()
        QuantDense(2, kernel_quantizer=quantizer).build((None, 3))
        with pytest.raises(ValueError, match="Give each layer a quantizer of its own"):
            QuantDense(2, kernel_quantizer=quantizer).build((None, 3))

    def test_lora(self):
        with pytest.raises(ValueError, match="lora_rank and kernel_quantizer exclude each other"):
            QuantDense(2, kernel_quantizer="twn", lora_rank=1).build((None, 3))
