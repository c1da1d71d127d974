import keras
import numpy as np
import pytest
from autodiff import W, close, gradients
from sample_models import JIT

from tern_keras.layers import QuantDense
from tern_keras.ops import adaptive_penalty, bwn, twn
from tern_keras.quantizers import SQ
from tern_keras.regularizers import AdaptiveRegularizer, BinaryRegularizer, TernaryRegularizer

KERNEL = W.reshape(4, 2)


def built(layer, inputs=4):
    layer.build((None, inputs))
    return layer


def train(regularizer, optimizer, steps):
    """Train one SQ layer whose task is constant: the penalty alone moves it."""
    layer = QuantDense(8, use_bias=False, kernel_quantizer=SQ(regularizer=regularizer))
    model = keras.Sequential([keras.Input((8,)), layer])
    model.compile(optimizer, loss=lambda y, y_pred: 0.0 * keras.ops.sum(y_pred), jit_compile=JIT)
    x = np.zeros((steps, 8), np.float32)
    model.fit(x, x, batch_size=1, verbose=0)
    return layer


def test_unbound_uses_statistics():
    expected = 0.1 * float(adaptive_penalty(KERNEL, np.abs(KERNEL).mean(0), 3 * np.pi / 8, 0.01))
    close(AdaptiveRegularizer(0.1, 0.01)(KERNEL), expected)


def test_bound_reads_the_quantizer_and_leaves_the_original_alone():
    quantizer = SQ()
    quantizer.attach(KERNEL)
    quantizer.mu.assign([[0.4, 0.4]])
    quantizer.beta.assign(1.2)
    original = AdaptiveRegularizer(0.1, 0.01)
    unbound = float(original(KERNEL))
    close(original.bind(quantizer)(KERNEL), 0.015764412)
    assert float(original(KERNEL)) == unbound


@pytest.mark.parametrize("where", ["quantizer", "layer"])
def test_layer_binds_it(where):
    penalty = AdaptiveRegularizer(0.1, 0.01)
    if where == "quantizer":
        layer = QuantDense(2, kernel_quantizer=SQ(regularizer=penalty))
    else:
        layer = QuantDense(2, kernel_quantizer="sq", kernel_regularizer=penalty)
    built(layer)
    layer.kernel.assign(KERNEL)
    layer.kernel_quantizer.mu.assign([[0.4, 0.4]])
    layer.kernel_quantizer.beta.assign(1.2)
    (loss,) = layer.losses
    close(loss, 0.015764412)


def test_adds_to_another_regularizer():
    layer = built(
        QuantDense(2, kernel_quantizer=SQ(regularizer=AdaptiveRegularizer(0.1, 0.01)), kernel_regularizer="l2")
    )
    alone = built(QuantDense(2, kernel_quantizer=SQ(regularizer=AdaptiveRegularizer(0.1, 0.01))))
    for each in (layer, alone):
        each.kernel.assign(KERNEL)
        each.kernel_quantizer.calibrate(KERNEL)
    close(layer.losses[0], float(alone.losses[0]) + 0.01 * np.sum(KERNEL**2))


def test_one_object_serves_many_layers():
    penalty = AdaptiveRegularizer(0.1, 0.01)
    first, second = (built(QuantDense(2, kernel_quantizer=SQ(regularizer=penalty))) for _ in range(2))
    second.kernel_quantizer.beta.assign(1.5)
    second.kernel.assign(first.kernel.numpy())
    second.kernel_quantizer.calibrate(first.kernel)
    assert float(first.losses[0]) != float(second.losses[0])


def test_on_a_stock_layer_and_with_another_quantizer():
    penalty = AdaptiveRegularizer(0.1, 0.01)
    stock = built(keras.layers.Dense(2, kernel_regularizer=penalty))
    other = built(QuantDense(2, kernel_quantizer="twn", kernel_regularizer=penalty))
    for layer in (stock, other):
        close(layer.losses[0], float(penalty(layer.kernel)))


def test_float32_loss_under_mixed_precision():
    layer = QuantDense(2, kernel_quantizer=SQ(regularizer=AdaptiveRegularizer(0.1, 0.01)), dtype="mixed_bfloat16")
    built(layer)
    assert keras.backend.standardize_dtype(layer.losses[0].dtype) == "float32"


def test_gamma_alone_turns_a_layer_binary():
    layer = train(AdaptiveRegularizer(1.0, gamma=1.0), keras.optimizers.Adam(0.01), steps=80)
    assert float(layer.kernel_quantizer.beta) >= 1.565
    assert layer.quantized_kernel().bits == 1


def test_without_gamma_beta_falls_to_ternary():
    layer = train(AdaptiveRegularizer(1.0, gamma=0.0), keras.optimizers.Adam(0.05), steps=80)
    assert float(layer.kernel_quantizer.beta) == pytest.approx(np.pi / 4)
    assert layer.quantized_kernel().bits == 2


@pytest.mark.parametrize("gamma", [0.0, 1.0])
def test_beta_stays_in_range_under_huge_steps(gamma):
    layer = train(AdaptiveRegularizer(100.0, gamma=gamma), keras.optimizers.SGD(10.0), steps=5)
    beta = float(layer.kernel_quantizer.beta)
    assert np.float32(np.pi / 4) <= beta <= np.float32(1.5707)
    assert 1 - 1e-6 <= np.tan(beta) < 2e4


def test_without_a_penalty_beta_does_not_move():
    layer = train(None, keras.optimizers.Adam(0.01), steps=3)
    assert float(layer.kernel_quantizer.beta) == np.float32(3 * np.pi / 8)


@pytest.mark.parametrize("penalised", [True, False])
def test_beta_trains_only_with_the_penalty(penalised):
    layer = built(
        QuantDense(2, kernel_quantizer="sq", kernel_regularizer=AdaptiveRegularizer(0.1, 0.01) if penalised else None)
    )
    assert ("beta" in [variable.name for variable in layer.trainable_variables]) == penalised


def test_gamma_counted_as_the_paper_prints_it():
    # one scale a layer: once, over the number of weights
    quantizer = SQ(per_filter=False)
    quantizer.attach(KERNEL)
    quantizer.mu.assign([[0.4]])
    quantizer.beta.assign(1.2)
    literal = AdaptiveRegularizer(0.1, 0.01, gamma_mode="paper_sum")
    close(literal.bind(quantizer)(KERNEL), 0.0154242)
    # one scale a filter: the filters' sum over the number of weights is 1 / fan_in
    once = AdaptiveRegularizer(0.1, 0.01 / 4)(KERNEL)
    close(literal(KERNEL), float(once))


class TestFixed:
    @pytest.mark.parametrize("cls", [BinaryRegularizer, TernaryRegularizer])
    def test_zero_at_the_levels_and_above_it_elsewhere(self, cls):
        levels = [-0.4, 0.4] if cls is BinaryRegularizer else [-0.4, 0.0, 0.4]
        assert float(cls(1.0, mu=0.4)(np.float32(levels))) == pytest.approx(0, abs=1e-7)
        for w in (0.1, 0.3, 0.5, -0.2):
            assert float(cls(1.0, mu=0.4)(np.float32([w]))) > 0.05

    def test_values(self):
        close(BinaryRegularizer(0.1, mu=0.4)(W), 0.1 * np.abs(np.abs(W) - 0.4).mean())
        close(TernaryRegularizer(0.1, mu=0.4)(W), 0.1 * np.abs(np.abs(np.abs(W) - 0.2) - 0.2).mean())

    def test_ternary_is_the_adaptive_penalty_at_quarter_pi(self):
        close(TernaryRegularizer(1.0, mu=0.4)(W), float(adaptive_penalty(W, 0.4, np.pi / 4, 0.0)))

    def test_gradients(self):
        (binary,) = gradients(lambda w: 8 * BinaryRegularizer(1.0, mu=0.4)(w), W)
        (ternary,) = gradients(lambda w: 8 * TernaryRegularizer(1.0, mu=0.4)(w), W)
        np.testing.assert_array_equal(binary, [1, -1, -1, 1, -1, 1, 0, 1])
        np.testing.assert_array_equal(ternary, [1, -1, -1, 0, 1, -1, 0, 1])

    def test_scale_of_each_filter_by_default(self):
        mu = np.abs(np.asarray(bwn(KERNEL, axis=(0,)))).max(axis=0)
        close(BinaryRegularizer(1.0)(KERNEL), np.abs(np.abs(KERNEL) - mu).mean())
        half = np.abs(np.asarray(twn(KERNEL, axis=(0,)))).max(axis=0) / 2
        close(TernaryRegularizer(1.0)(KERNEL), np.abs(np.abs(np.abs(KERNEL) - half) - half).mean())

    @pytest.mark.parametrize("cls", [BinaryRegularizer, TernaryRegularizer])
    def test_on_layers_and_in_half_precision(self, cls):
        layer = built(QuantDense(2, kernel_quantizer="bwn", kernel_regularizer=cls(0.1)))
        close(layer.losses[0], float(cls(0.1)(layer.kernel)))
        loss = cls(0.1)(keras.ops.cast(KERNEL, "float16"))
        assert keras.backend.standardize_dtype(loss.dtype) == "float32"

    @pytest.mark.parametrize("cls", [BinaryRegularizer, TernaryRegularizer])
    def test_config_round_trip_and_bad_arguments(self, cls):
        copy = keras.regularizers.deserialize(keras.regularizers.serialize(cls(0.2, mu=0.3)))
        assert (type(copy), copy.strength, copy.mu) == (cls, 0.2, 0.3)
        with pytest.raises(ValueError, match=f"{cls.__name__}: strength must be"):
            cls(-1)
        with pytest.raises(ValueError, match=f"{cls.__name__}: mu must be None or > 0"):
            cls(1, mu=0)


def test_config_round_trip():
    config = keras.regularizers.serialize(AdaptiveRegularizer(0.2, 0.03, p=2, gamma_mode="paper_sum"))
    copy = keras.regularizers.deserialize(config)
    assert (copy.strength, copy.gamma, copy.p, copy.gamma_mode) == (0.2, 0.03, 2, "paper_sum")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((-1, 0), "strength"), ((1, -1), "gamma"), ((1, 1, 0.5), "p must"), ((1, 1, 1, "once"), "gamma_mode")],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        AdaptiveRegularizer(*arguments)
