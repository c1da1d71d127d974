"""From stock layers and back, layers of two kernels, and what recurrent layers and embeddings have of their own."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from autodiff import numpy
from sample_layers import LAYERS, input_dtype, inputs, make_layer, make_parent, side_by_side

from tern_keras import finalize, profile, ternarize
from tern_keras.layers import QuantEmbedding, QuantLSTM, QuantSimpleRNN
from tern_keras.layers.base import stock_weights
from tern_keras.quantizers import TTQ


def make_model(kind, layer):
    head = [keras.layers.Flatten(), keras.layers.Dense(2, name="head")]
    return keras.Sequential([keras.Input(LAYERS[kind][2], dtype=input_dtype(kind)), layer, *head])


def set_deployed(parent, layer):
    """Give the parent the weights of the layer as they are deployed."""
    quantized = layer.quantized_kernels()
    for source, target in zip(stock_weights(layer), parent.weights, strict=True):
        target.assign(numpy(source))
    for spec in layer.kernel_specs:
        spec.variable(parent).assign(quantized[spec.role].dequantize())


@pytest.fixture(scope="module")
def there_and_back():
    stock = side_by_side(make_parent)
    for kind in LAYERS:
        for weight in stock.get_layer(kind).weights:
            weight.assign(np.resize([0.9, -0.6, 0.1, 0.7, -0.2], weight.shape))
    ternary = ternarize(stock, "ttq(threshold=0.5)", skip=())
    plain = finalize(ternary)
    x = [inputs(kind, count=4) for kind in LAYERS]
    return SimpleNamespace(stock=stock, ternary=ternary, plain=plain, outputs=(ternary(x), plain(x)))


class TestThereAndBack:
    @pytest.mark.parametrize("kind", LAYERS)
    def test_every_layer(self, there_and_back, kind):
        stock, layer, plain = (
            model.get_layer(kind) for model in (there_and_back.stock, there_and_back.ternary, there_and_back.plain)
        )
        assert (type(layer), type(plain)) == (LAYERS[kind][0], type(stock))
        for a, b in zip(stock_weights(layer), stock.weights, strict=True):
            np.testing.assert_array_equal(numpy(a), numpy(b))
        for spec in layer.kernel_specs:
            kernel = numpy(spec.variable(stock))
            mean_above = kernel[kernel > 0.45].mean()
            np.testing.assert_allclose(numpy(getattr(layer, spec.argument).wp), mean_above, rtol=1e-5)
            assert len(np.unique(numpy(spec.variable(layer)))) > 3
            assert len(np.unique(numpy(spec.variable(plain)))) == 3
        # a stock layer with the quantised kernels computes the same
        ours, theirs = there_and_back.outputs
        np.testing.assert_allclose(numpy(theirs[kind]), numpy(ours[kind]), rtol=1e-5, atol=1e-6)

    def test_profiles(self, there_and_back):
        trained, final = profile(there_and_back.ternary), profile(there_and_back.plain)
        assert {row.bits for row in final.layers} == {2}
        assert len(final.layers) == sum(len(cls.kernel_specs) for cls, *_ in LAYERS.values())
        assert [row.name for row in final.layers] == [row.name for row in trained.layers]
        assert (final.bytes, final.macs) == (trained.bytes, profile(there_and_back.stock).macs)


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
