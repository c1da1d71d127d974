"""Every quantised layer once through what test_layers.py does thoroughly to three of them."""

import keras
import numpy as np
import pytest
from autodiff import numpy
from sample_layers import LAYERS, inputs, make_layer, make_parent
from sample_models import JIT

from tern_keras import finalize, layers, profile, ternarize
from tern_keras.layers import QuantDense, QuantEmbedding, QuantLSTM, QuantSimpleRNN
from tern_keras.layers.base import stock_weights
from tern_keras.quantizers import TTQ


@pytest.fixture(params=LAYERS)
def kind(request):
    return request.param


def make_model(kind, layer):
    dtype = "int32" if kind == "embedding" else "float32"
    head = [keras.layers.Flatten(), keras.layers.Dense(2, name="head")]
    return keras.Sequential([keras.Input(LAYERS[kind][2], dtype=dtype), layer, *head])


def fit(model, kind):
    model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=JIT)
    y = np.random.default_rng(1).normal(size=(32, 2)).astype(np.float32)
    history = model.fit(inputs(kind), y, batch_size=16, shuffle=False, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def set_deployed(parent, layer):
    """Give the parent the weights of the layer as they are deployed."""
    quantized = layer.quantized_kernels()
    for source, target in zip(stock_weights(layer), parent.weights, strict=True):
        target.assign(numpy(source))
    for spec in layer.kernel_specs:
        spec.variable(parent).assign(quantized[spec.role].dequantize())


def test_every_public_layer_is_tested():
    assert {cls.__name__ for cls, _, _ in LAYERS.values()} == set(layers.__all__)


def test_without_a_quantizer_it_is_the_parent(kind):
    parent, layer = make_parent(kind), make_layer(kind)
    x = inputs(kind)
    expected = numpy(parent(x))
    layer(x)
    assert [w.path for w in layer.weights] == [w.path for w in parent.weights]
    layer.set_weights(parent.get_weights())
    np.testing.assert_array_equal(numpy(layer(x)), expected)
    config = layer.get_config()
    assert [config.pop(spec.argument) for spec in layer.kernel_specs] == [None] * len(layer.kernel_specs)
    assert config == parent.get_config()
    assert layer.quantized_kernels() == {}


@pytest.mark.parametrize("kind", ["conv1d", "separable2d", "transpose", "embedding", "simple_rnn", "lstm", "gru"])
def test_fit_save_load_and_clone(kind, tmp_path):
    model = make_model(kind, make_layer(kind, "sq"))
    before = [numpy(weight).copy() for weight in model.trainable_weights]
    fit(model, kind)
    for old, weight in zip(before, model.trainable_weights, strict=True):
        assert (old != numpy(weight)).any(), weight.path
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    x = inputs(kind)
    for copy in (restored, clone):
        assert [w.name for w in copy.weights] == [w.name for w in model.weights]
        np.testing.assert_array_equal(numpy(copy(x)), numpy(model(x)))


def test_there_and_back(kind):
    model = make_model(kind, make_parent(kind))
    stock = model.layers[0]
    for weight in stock.weights:
        weight.assign(np.resize([0.9, -0.6, 0.1, 0.7, -0.2], weight.shape))
    ternary = ternarize(model, "ttq(threshold=0.5)", skip=("last",))
    layer = ternary.layers[0]
    assert type(layer) is LAYERS[kind][0]
    for a, b in zip(stock_weights(layer), stock.weights, strict=True):
        np.testing.assert_array_equal(numpy(a), numpy(b))
    for spec in layer.kernel_specs:
        kernel = numpy(spec.variable(stock))
        np.testing.assert_allclose(numpy(getattr(layer, spec.argument).wp), kernel[kernel > 0.45].mean(), rtol=1e-5)

    # a stock layer with the quantised kernels computes the same
    plain = finalize(ternary)
    assert type(plain.layers[0]) is type(stock)
    x = inputs(kind)
    np.testing.assert_allclose(numpy(plain(x)), numpy(ternary(x)), rtol=1e-5, atol=1e-6)
    for spec in layer.kernel_specs:
        assert len(np.unique(numpy(spec.variable(plain.layers[0])))) == 3
        assert isinstance(spec.variable(layer), keras.Variable)
        assert len(np.unique(numpy(spec.variable(layer)))) > 3

    trained, final = profile(ternary), profile(plain)
    assert [row.bits for row in final.layers] == [2] * len(layer.kernel_specs) + [32]
    assert [row.name for row in final.layers] == [row.name for row in trained.layers]
    assert (final.bytes, final.macs) == (trained.bytes, profile(model).macs)


@pytest.mark.parametrize("kind", ["separable2d", "embedding", "simple_rnn"])
def test_mixed_precision_does_not_move_the_threshold(kind):
    # bfloat16 would round 0.501 to 0.5, the threshold
    layer = make_layer(kind, "ttq(threshold=0.5)", dtype="mixed_bfloat16")
    layer(inputs(kind))
    for spec in layer.kernel_specs:
        kernel = spec.variable(layer)
        kernel.assign(np.resize([1.0, 0.501, -0.501, 0.499], kernel.shape))
    seen = {}

    def record(inputs, layer=layer):
        seen.update(layer.forward_kernels())
        return inputs

    # inside the autocasting of a layer, as in training
    outer = keras.layers.Lambda(record, dtype="mixed_bfloat16")
    outer(np.ones((1, 1), np.float32))
    for role, quantized in layer.quantized_kernels().items():
        assert keras.backend.standardize_dtype(seen[role].dtype) == "bfloat16"
        np.testing.assert_array_equal(numpy(keras.ops.cast(seen[role], "float32")), quantized.codes)
        assert set(np.unique(quantized.codes)) == {-1, 0, 1}


class TestFilters:
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
        layer(inputs(kind))
        assert {role: kernel.scales.shape for role, kernel in layer.quantized_kernels().items()} == shapes


class TestOneKernelOfTwo:
    @pytest.mark.parametrize(("kind", "role"), [("separable1d", "pointwise"), ("gru", "recurrent")])
    def test_the_other_stays_float(self, kind, role):
        cls, arguments, _ = LAYERS[kind]
        layer = cls(**arguments, **{f"{role}_quantizer": "twn"}, name="quantized")
        model = make_model(kind, layer)
        assert list(layer.quantized_kernels()) == [role]
        plain = finalize(model)
        levels = [len(np.unique(numpy(spec.variable(plain.layers[0])))) <= 3 for spec in layer.kernel_specs]
        assert levels == [False, True]
        assert [row.bits for row in profile(model).layers] == [32, 2, 32]
        x = inputs(kind)
        np.testing.assert_allclose(numpy(plain(x)), numpy(model(x)), rtol=1e-5, atol=1e-6)

    def test_each_kernel_has_its_own_quantizer(self):
        quantizer = TTQ()
        layer = QuantSimpleRNN(2, kernel_quantizer=quantizer, recurrent_quantizer=quantizer)
        with pytest.raises(ValueError, match="already serves a kernel"):
            layer.build((None, 3, 2))


class TestRecurrent:
    @pytest.mark.parametrize("kind", ["simple_rnn", "gru"])
    def test_unrolled(self, kind):
        looped, unrolled = make_layer(kind, "ttq"), make_layer(kind, "ttq", unroll=True)
        x = inputs(kind)
        looped(x)
        unrolled(x)
        unrolled.set_weights(looped.get_weights())
        np.testing.assert_allclose(numpy(unrolled(x)), numpy(looped(x)), rtol=1e-5, atol=1e-6)

    def test_quantises_once_a_sequence(self):
        calls = []

        class Counting(TTQ):
            def call(self, kernel):
                calls.append(kernel.shape)
                return super().call(kernel)

        layer = QuantSimpleRNN(2, unroll=True, kernel_quantizer=Counting(), recurrent_quantizer=Counting())
        layer.build((None, 2, 3))
        layer(np.ones((1, 2, 3), np.float32))
        assert calls == [(3, 2), (2, 2)]

    def test_initial_state_mask_and_returned_state(self):
        parent = keras.layers.LSTM(4, return_state=True)
        layer = QuantLSTM(4, return_state=True, kernel_quantizer="twn", recurrent_quantizer="twn")
        x = inputs("lstm", 4)
        options = {
            "initial_state": [np.full((4, 4), value, np.float32) for value in (0.5, -0.5)],
            "mask": np.array([[True, True, False]] * 4),
        }
        parent(x, **options)
        layer(x, **options)
        set_deployed(parent, layer)
        for output, expected in zip(layer(x, **options), parent(x, **options), strict=True):
            np.testing.assert_allclose(numpy(output), numpy(expected), rtol=1e-6, atol=1e-6)

    def test_stateful(self):
        layer = make_layer("simple_rnn", "twn", stateful=True)
        x = inputs("simple_rnn", 2)
        first, second = numpy(layer(x)), numpy(layer(x))
        assert (first != second).any()
        layer.reset_state()
        np.testing.assert_array_equal(numpy(layer(x)), first)

    def test_dropout_draws_anew_at_each_call(self):
        layer = make_layer("simple_rnn", "twn", dropout=0.5, recurrent_dropout=0.5)
        x = inputs("simple_rnn")
        assert (numpy(layer(x, training=True)) != numpy(layer(x, training=True))).any()
        np.testing.assert_array_equal(numpy(layer(x)), numpy(layer(x)))

    def test_bidirectional(self):
        wrapped = keras.layers.Bidirectional(make_layer("simple_rnn", "twn"))
        assert wrapped(inputs("simple_rnn", 2)).shape == (2, 8)
        forward, backward = wrapped.forward_layer, wrapped.backward_layer
        assert forward.kernel_quantizer is not backward.kernel_quantizer
        assert set(forward.quantized_kernels()) == set(backward.quantized_kernels()) == {"kernel", "recurrent"}


class TestEmbedding:
    def test_mask(self):
        layer = QuantEmbedding(5, 2, mask_zero=True, kernel_quantizer="twn")
        mask = layer.compute_mask(np.array([[0, 3]]))
        assert numpy(mask).tolist() == [[False, True]]

    def test_weights_without_a_quantizer(self):
        values = np.arange(6, dtype=np.float32).reshape(3, 2)
        np.testing.assert_array_equal(numpy(QuantEmbedding(3, 2, weights=values).kernel), values)

    def test_weights_with_a_quantizer(self):
        with pytest.raises(ValueError, match="Layer 'words': weights and kernel_quantizer exclude each other"):
            QuantEmbedding(3, 2, weights=np.zeros((3, 2)), kernel_quantizer="twn", name="words")

    def test_lora(self):
        layer = QuantEmbedding(3, 2, kernel_quantizer="twn")
        layer.build()
        with pytest.raises(ValueError, match="lora_rank and kernel_quantizer exclude each other"):
            layer.enable_lora(1)
        layer = QuantEmbedding(3, 2)
        layer.build()
        layer.enable_lora(1)
        assert layer.lora_enabled


def test_quantized_kernels_before_build():
    with pytest.raises(ValueError, match="Layer 'early' is not built"):
        QuantLSTM(2, kernel_quantizer="twn", name="early").quantized_kernels()


def test_a_failing_call_leaves_the_kernels_latent():
    layer = QuantDense(2, kernel_quantizer="twn", activation=lambda x: 1 / 0)
    layer.build((None, 3))
    with pytest.raises(ZeroDivisionError):
        layer(np.ones((1, 3), np.float32))
    assert isinstance(layer.kernel, keras.Variable)
