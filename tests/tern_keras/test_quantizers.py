import keras
import numpy as np
import pytest
from autodiff import G, W, close, gradients, numpy

from tern_keras import quantizers
from tern_keras.quantizers import (
    BWN,
    SQ,
    TTQ,
    TWN,
    BinaryConnect,
    DoReFa,
    QuantizedSum,
    QuantizedTensor,
    ResidualExpansion,
    StatisticalScaling,
    TruncatedGaussian,
)
from tern_keras.regularizers import AdaptiveRegularizer

KERNEL = W.reshape(4, 2)


class TestGet:
    @pytest.mark.parametrize(
        ("alias", "cls"),
        [
            ("twn", TWN),
            ("ttq", TTQ),
            ("sq", SQ),
            ("TTQ", TTQ),
            ("bc", BinaryConnect),
            ("bwn", BWN),
            ("dorefa", DoReFa),
            ("sws", StatisticalScaling),
            ("rel", ResidualExpansion),
            ("tga", TruncatedGaussian),
        ],
    )
    def test_alias(self, alias, cls):
        assert type(quantizers.get(alias)) is cls

    def test_alias_with_arguments(self):
        quantizer = quantizers.get("ttq(threshold=0.1, init='mean')")
        assert (quantizer.threshold, quantizer.init) == (0.1, "mean")
        assert quantizers.get("twn()").factor == 0.7

    def test_none_object_and_class(self):
        quantizer = TWN()
        assert quantizers.get(None) is None
        assert quantizers.get(quantizer) is quantizer
        assert type(quantizers.get(SQ)) is SQ

    def test_short_dictionary(self):
        assert quantizers.get({"class_name": "TTQ", "config": {"sparsity": 0.3}}).sparsity == 0.3

    def test_unknown_name_lists_the_known_ones(self):
        with pytest.raises(
            ValueError, match=r"Unknown quantizer 'tqt'. Known: bc, bwn, dorefa, rel, sq, sws, tga, ttq, twn"
        ):
            quantizers.get("tqt")

    @pytest.mark.parametrize("text", ["ttq(0.1)", "ttq(threshold=x)", "ttq(threshold=0.1", "ttq(**a)"])
    def test_malformed_text(self, text):
        with pytest.raises(ValueError, match="Cannot read the quantizer"):
            quantizers.get(text)

    def test_unknown_argument(self):
        with pytest.raises((TypeError, ValueError), match="thresold"):
            quantizers.get("ttq(thresold=0.1)")

    def test_other_types(self):
        with pytest.raises(TypeError, match="A quantizer is None, one of"):
            quantizers.get(3)

    def test_dictionary_of_something_else(self):
        with pytest.raises(ValueError, match="Dense is not a quantizer"):
            quantizers.get(keras.saving.serialize_keras_object(keras.layers.Dense(3)))
        with pytest.raises(ValueError, match="needs a 'class_name'"):
            quantizers.get({"threshold": 0.1})


@pytest.mark.parametrize(
    "quantizer",
    [
        TWN(factor=0.75, per_filter=True),
        TTQ(sparsity=0.4, init="mean", name="mine"),
        SQ(AdaptiveRegularizer(0.1, 0.01, p=2), per_filter=False, width=0.3, beta=1.0, depth_threshold=1.5),
        BinaryConnect(clip=True),
        BWN(per_filter=True, power_of_two=True),
        DoReFa(power_of_two=True),
        StatisticalScaling(beta=0.1),
        ResidualExpansion(t_ex=4),
        TruncatedGaussian(stats_gradient=False),
    ],
    ids=lambda quantizer: type(quantizer).__name__,
)
def test_config_round_trip(quantizer):
    copy = quantizers.deserialize(quantizers.serialize(quantizer))
    assert type(copy) is type(quantizer)
    assert copy.get_config() == quantizer.get_config()


def attached(quantizer, kernel=KERNEL):
    quantizer.attach(kernel)
    return quantizer


@pytest.mark.parametrize("power_of_two", [False, True])
@pytest.mark.parametrize(
    ("cls", "arguments", "codes"),
    [
        (TWN, {}, {-1, 0, 1}),
        (TWN, {"per_filter": True}, {-1, 0, 1}),
        (TTQ, {}, {-1, 0, 1}),
        (TTQ, {"sparsity": 0.5, "init": "mean"}, {-1, 0, 1}),
        (SQ, {}, {-1, 0, 1}),
        (SQ, {"per_filter": False}, {-1, 0, 1}),
        (BWN, {}, {-1, 1}),
        (BWN, {"per_filter": True}, {-1, 1}),
        (DoReFa, {}, {-1, 1}),
        (StatisticalScaling, {}, {-1, 0, 1}),
        (ResidualExpansion, {}, {-2, -1, 0, 1, 2}),
        (TruncatedGaussian, {}, {-1, 0, 1}),
    ],
)
def test_dequantized_tensor_is_the_forward_pass(cls, arguments, codes, power_of_two):
    kernel = np.random.default_rng(0).normal(size=(3, 3, 4, 5)).astype(np.float32)
    quantizer = attached(cls(**arguments, power_of_two=power_of_two), kernel)
    tensor = quantizer.quantized_tensor(kernel)
    assert tensor.codes.dtype == np.int8
    assert tensor.scales.dtype == np.float32
    assert tensor.bits == {2: 1, 3: 2, 5: 4}[len(codes)]
    assert set(np.unique(tensor.codes)) == codes
    np.testing.assert_array_equal(tensor.dequantize(), numpy(quantizer(kernel)))
    exponents = np.log2(np.abs(tensor.scales))
    if power_of_two:
        np.testing.assert_array_equal(exponents, np.round(exponents))
    elif cls is not TTQ or arguments:
        assert (exponents != np.round(exponents)).any()


def test_binary_connect_has_a_scale_of_one():
    tensor = attached(BinaryConnect()).quantized_tensor(KERNEL)
    assert (tensor.bits, tensor.scales.ravel().tolist()) == (1, [1])
    np.testing.assert_array_equal(tensor.dequantize(), np.where(KERNEL >= 0, 1, -1))


@pytest.mark.parametrize(("cls", "expected"), [(TTQ, -0.9), (SQ, -0.6)])
def test_gradient_passes_a_rounded_scale_to_the_scale_behind_it(cls, expected):
    quantizer = attached(cls(power_of_two=True), W[:, np.newaxis])
    scale = quantizer.trainable_variables[0]

    def loss(value):
        with keras.StatelessScope(state_mapping=[(scale, value)]):
            return keras.ops.sum(quantizer(W[:, np.newaxis]) * G[:, np.newaxis])

    unrounded = np.full(scale.shape, 0.4, np.float32)
    close(np.sum(gradients(loss, unrounded)[0]), expected)
    scale.assign(unrounded)
    assert float(keras.ops.max(quantizer(W[:, np.newaxis]))) == 0.5


def test_quantized_tensor_of_two_scales():
    tensor = QuantizedTensor(np.int8([[1, -1], [0, 1]]), np.float32([[[0.5]], [[-0.25]]]), bits=2)
    np.testing.assert_array_equal(tensor.dequantize(), [[0.5, 0.25], [0, 0.5]])


def test_sum_of_quantized_tensors():
    terms = attached(ResidualExpansion(t_ex=2)).quantized_tensor(KERNEL)
    assert isinstance(terms, QuantizedSum)
    assert [term.bits for term in terms.terms] == [2, 2]
    assert [set(np.unique(term.codes)) for term in terms.terms] == [{-1, 0, 1}] * 2
    close(terms.scales.ravel(), [0.41666667, 0.49])
    np.testing.assert_array_equal(terms.codes, np.int8([[2, -2], [2, -2], [1, 0], [0, 2]]))
    close(terms.dequantize(), sum(term.dequantize() for term in terms.terms))


class TestState:
    def test_ttq_starts_at_one_or_at_the_means(self):
        ones = attached(TTQ())
        assert (float(ones.wp), float(ones.wn)) == (1, 1)
        means = attached(TTQ(init="mean"))
        close(means.wp, (0.9 + 0.3 + 0.05 + 0.45) / 4)
        close(means.wn, 0.4)

    def test_ttq_side_without_weights_takes_the_other_mean(self):
        quantizer = attached(TTQ(init="mean"), np.abs(KERNEL))
        assert float(quantizer.wn) == float(quantizer.wp) > 0

    def test_ttq_all_zero_kernel(self):
        quantizer = attached(TTQ(init="mean"), np.zeros((2, 2), np.float32))
        assert not numpy(quantizer(np.zeros((2, 2), np.float32))).any()

    def test_sq_starts_from_the_kernel(self):
        quantizer = attached(SQ())
        close(quantizer.mu, np.abs(KERNEL).mean(axis=0, keepdims=True))
        close(quantizer.sigma, KERNEL.std())
        close(quantizer.beta, 3 * np.pi / 8)
        assert [v.name for v in quantizer.trainable_variables] == ["mu", "beta"]

    def test_sq_one_scale_a_layer(self):
        quantizer = attached(SQ(per_filter=False))
        close(quantizer.mu, [[0.315]])

    def test_calibrate(self):
        ttq, sq = attached(TTQ()), attached(SQ(beta=1.0))
        ttq.calibrate(KERNEL)
        close(ttq.wn, 0.4)
        sq.calibrate(3 * KERNEL)
        close(sq.mu, 3 * np.abs(KERNEL).mean(axis=0, keepdims=True))
        close(sq.sigma, 3 * KERNEL.std())
        assert float(sq.beta) == 1.0

    def test_tga_threshold_starts_from_the_largest_weight(self):
        quantizer = attached(TruncatedGaussian())
        close(quantizer.delta, 0.05 * 0.9)
        quantizer.calibrate(3 * KERNEL)
        close(quantizer.delta, 0.05 * 2.7)
        assert [v.name for v in quantizer.trainable_variables] == ["delta"]

    def test_depth_follows_beta(self):
        quantizer = attached(SQ())
        quantizer.beta.assign(1.564)
        assert quantizer.quantized_tensor(KERNEL).bits == 2
        quantizer.beta.assign(1.566)
        tensor = quantizer.quantized_tensor(KERNEL)
        assert tensor.bits == 1
        assert set(np.unique(tensor.codes)) == {-1, 1}
        assert (numpy(quantizer(KERNEL)) == 0).any()

    def test_negative_mu_counts_by_its_magnitude(self):
        quantizer = attached(SQ())
        before = numpy(quantizer(KERNEL))
        quantizer.mu.assign(-quantizer.mu)
        np.testing.assert_array_equal(numpy(quantizer(KERNEL)), before)
        np.testing.assert_array_equal(quantizer.quantized_tensor(KERNEL).dequantize(), before)

    def test_one_quantizer_serves_one_kernel(self):
        quantizer = attached(TTQ())
        with pytest.raises(ValueError, match="already serves a kernel"):
            quantizer.attach(KERNEL)

    def test_alone_without_a_kernel(self):
        with pytest.raises(ValueError, match="SQ starts from the values of a kernel"):
            SQ()(KERNEL)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TWN(factor=1.2), "factor"),
        (lambda: TTQ(threshold=2), "threshold"),
        (lambda: TTQ(init="zeros"), "init must be"),
        (lambda: StatisticalScaling(beta=1), "beta must be in"),
        (lambda: ResidualExpansion(t_ex=0), "t_ex must be"),
        (lambda: SQ(width=-1), "width"),
        (lambda: SQ(beta=1.5708), "beta must be in"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
