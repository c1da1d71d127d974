"""Quantised layers beyond the grid of test_grid.py: learning, deferred building, filters, errors."""

import keras
import numpy as np
import pytest
from autodiff import numpy
from sample_layers import LAYERS, inputs, kernels, make_layer
from sample_models import JIT

from tern_keras.layers import QuantConv2D, QuantDense, QuantDepthwiseConv2D
from tern_keras.quantizers import SQ, TTQ, TWN, TruncatedGaussian
from tern_keras.regularizers import AdaptiveRegularizer

PENALTY = AdaptiveRegularizer(0.1, 0.01)
QUANTIZERS = {
    "twn": lambda: TWN(per_filter=True),
    "ttq": lambda: TTQ(init="mean"),
    "sq": lambda: SQ(regularizer=PENALTY),
    "tga": TruncatedGaussian,
}
CLASSES = 3


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
    def test_learns(self):
        rng = np.random.default_rng(0)
        y = rng.integers(0, CLASSES, 256)
        x = (rng.normal(size=(CLASSES, 5))[y] + 0.3 * rng.normal(size=(256, 5))).astype(np.float32)
        for quantizer_kind in ("twn", "ttq", "sq"):
            model = make_model("dense", quantizer_kind, metrics=["accuracy"])
            model.fit(x, y, epochs=12, verbose=0)
            assert model.evaluate(x, y, verbose=0)[1] > 0.9, quantizer_kind

    def test_frozen_layer_does_not_move(self):
        model = make_model("dense", "sq")
        model.layers[0].trainable = False
        compiled(model)
        before = values(model.layers[0].weights)
        fit(model, "dense")
        assert_same(values(model.layers[0].weights), before)


class TestDeferredBuild:
    """Keras builds a subclassed model inside its first fit; the state must still start from the kernel."""

    @pytest.mark.parametrize("jit_compile", [True, False])
    @pytest.mark.parametrize("quantizer_kind", ["ttq", "sq", "tga"])
    def test_state_comes_from_the_initial_kernel(self, quantizer_kind, jit_compile):
        model = Subclassed(make_layer("conv", QUANTIZERS[quantizer_kind]()))
        # a learning rate of 0 leaves everything at its initial value
        compiled(model, learning_rate=0.0, jit_compile=jit_compile)
        assert np.isfinite(fit(model, "conv").history["loss"]).all()
        layer = model.quantized
        deferred = values(layer.kernel_quantizer.weights)
        layer.kernel_quantizer.calibrate(layer.kernel)
        for initial, expected in zip(deferred, values(layer.kernel_quantizer.weights), strict=True):
            np.testing.assert_allclose(initial, expected, rtol=1e-6)


@pytest.mark.parametrize("quantizer_kind", ["ttq", "sq"])
def test_training_continues_identically_from_a_file(quantizer_kind, tmp_path):
    model = make_model("conv", quantizer_kind)
    fit(model, "conv")
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    for each in (model, restored):
        fit(each, "conv")
    for a, b in zip(values(model.weights), values(restored.weights), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", LAYERS)
def test_mixed_precision_does_not_move_the_threshold(kind):
    # bfloat16 would round 0.501 to 0.5, the threshold
    layer = make_layer(kind, "ttq(threshold=0.5)", dtype="mixed_bfloat16")
    layer.build((None, *LAYERS[kind][2]))
    for kernel in kernels(layer).values():
        kernel.assign(np.resize([1.0, 0.501, -0.501, 0.499], kernel.shape))
    seen = {}

    def record(inputs):
        seen.update(layer.forward_kernels())
        return inputs

    # inside the autocasting of a layer, as in training
    keras.layers.Lambda(record, dtype="mixed_bfloat16")(np.ones((1, 1), np.float32))
    for role, quantized in layer.quantized_kernels().items():
        assert keras.backend.standardize_dtype(seen[role].dtype) == "bfloat16"
        np.testing.assert_array_equal(numpy(keras.ops.cast(seen[role], "float32")), quantized.codes)
        assert set(np.unique(quantized.codes)) == {-1, 0, 1}


@pytest.mark.parametrize("kind", ["dense", "conv", "depthwise", "transpose"])
def test_no_bias(kind):
    layer = make_layer(kind, "twn", use_bias=False)
    assert np.isfinite(numpy(layer(inputs(kind)))).all()
    assert [w.name for w in layer.weights] == ["kernel"]


class TestFilters:
    def test_depthwise_filters_span_height_and_width(self):
        layer = QuantDepthwiseConv2D(3, depth_multiplier=2, kernel_quantizer="sq")
        layer.build((None, 8, 8, 4))
        assert layer.kernel_quantizer.mu.shape == (1, 1, 4, 2)
        layer = QuantDepthwiseConv2D(3, depth_multiplier=2, kernel_quantizer="twn(per_filter=True)")
        layer.build((None, 8, 8, 4))
        assert layer.quantized_kernel().scales.shape == (1, 1, 1, 4, 2)

    @pytest.mark.parametrize(
        ("kind", "shapes"),
        [
            ("transpose", {"kernel": (1, 1, 1, 3, 1)}),
            ("depthwise1d", {"kernel": (1, 1, 2, 2)}),
            ("separable2d", {"depthwise": (1, 1, 1, 2, 1), "pointwise": (1, 1, 1, 1, 3)}),
            ("embedding", {"kernel": (1, 1, 4)}),
            ("lstm", {"kernel": (1, 1, 16), "recurrent": (1, 1, 16)}),
        ],
    )
    def test_scales(self, kind, shapes):
        layer = make_layer(kind, "twn(per_filter=True)")
        layer.build((None, *LAYERS[kind][2]))
        assert {role: kernel.scales.shape for role, kernel in layer.quantized_kernels().items()} == shapes

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


def test_a_failing_call_leaves_the_kernels_latent():
    layer = QuantDense(2, kernel_quantizer="twn", activation=lambda x: 1 / 0)
    layer.build((None, 3))
    with pytest.raises(ZeroDivisionError):
        layer(np.ones((1, 3), np.float32))
    assert isinstance(layer.kernel, keras.Variable)
