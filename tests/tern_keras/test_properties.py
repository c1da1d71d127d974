"""What must hold for every kernel, of each method: the invariants that follow from its formulas."""

import math
from functools import cache, partial

import numpy as np
import pytest
from autodiff import compiled_gradients, numpy
from hypothesis import assume, given
from hypothesis import strategies as st
from keras import ops
from strategies import COUNT, any_weights, kernels, properties, scales, upstream, weights

from tern_keras.ops import (
    adaptive_penalty,
    binary_connect,
    bwn,
    dorefa,
    power_of_two,
    residual_expansion,
    sq,
    statistical_scaling,
    truncated_gaussian,
    ttq,
    twn,
)
from tern_keras.ops.sq import BETA_MAX, BETA_MIN
from tern_keras.ops.truncated_gaussian import MAX_DEVIATIONS
from tern_keras.quantizers.constraints import Clip

ROUNDING = 1e-6
FRACTIONS = st.sampled_from([0.0, 0.0625, 0.25, 0.5])


def values(tensor):
    return numpy(tensor).astype(np.float32)


@cache
def differentiated(function, **options):
    """The gradients of sum(function(...) * g) with respect to all arguments but the last, g."""
    loss = compiled_gradients(lambda *arguments: ops.sum(function(*arguments[:-1], **options) * arguments[-1]))
    return lambda *arguments: loss(*arguments)[:-1]


class TestTTQ:
    @properties
    @given(weights(), scales(), scales(), FRACTIONS)
    def test_value_of_each_region(self, w, wp, wn, threshold):
        delta = threshold * np.abs(w).max()
        expected = np.where(w > delta, wp, np.where(w < -delta, -wn, 0))
        np.testing.assert_array_equal(values(ttq(w, wp, wn, threshold)), expected)

    @properties
    @given(weights(), upstream(), scales(), scales(), FRACTIONS)
    def test_gradient_of_each_region(self, w, g, wp, wn, threshold):
        dw, dwp, dwn = differentiated(ttq, threshold=threshold)(w, wp, wn, g)
        delta = threshold * np.abs(w).max()
        above, below = w > delta, w < -delta
        np.testing.assert_array_equal(dw, g * np.where(above, wp, np.where(below, wn, 1)))
        assert (dwp, dwn) == (g[above].sum(), -g[below].sum())

    @properties
    @given(weights(), upstream(), scales(), scales(), FRACTIONS)
    def test_scales_have_their_true_derivatives(self, w, g, wp, wn, threshold):
        def loss(wp, wn):
            return np.sum(values(ttq(w, np.float32(wp), np.float32(wn), threshold)) * g)

        _, dwp, dwn = differentiated(ttq, threshold=threshold)(w, wp, wn, g)
        # linear in the scales, so the difference may be wide
        assert loss(wp + 1, wn) - loss(wp - 1, wn) == 2 * dwp
        assert loss(wp, wn + 1) - loss(wp, wn - 1) == 2 * dwn

    @properties
    @given(weights(), st.integers(1, 9), FRACTIONS)
    def test_assignment_does_not_depend_on_the_scale_of_the_weights(self, w, c, threshold):
        one, half = np.float32(1), np.float32(0.5)
        np.testing.assert_array_equal(values(ttq(c * w, one, half, threshold)), values(ttq(w, one, half, threshold)))

    @properties
    @given(weights(), upstream(), scales(), scales())
    def test_swap_symmetry(self, w, g, wp, wn):
        np.testing.assert_array_equal(values(ttq(-w, wp, wn)), -values(ttq(w, wn, wp)))
        gradients = differentiated(ttq, threshold=0.05)
        assert gradients(w, wp, wn, g)[2] == gradients(-w, wn, wp, -g)[1]

    @properties
    @given(st.permutations(range(1, COUNT + 1)), weights(), st.sampled_from([0.0, 0.25, 0.3, 0.5, 0.9]))
    def test_sparsity_is_the_share_of_zeros(self, magnitudes, signs, sparsity):
        w = np.where(signs < 0, np.float32(-1), np.float32(1)) * np.float32(magnitudes)
        zeros = np.abs(w) <= math.floor(sparsity * COUNT)
        np.testing.assert_array_equal(values(ttq(w, 0.5, 0.25, sparsity=sparsity)) == 0, zeros)


SCALED = {"twn": twn, "bwn": bwn, "dorefa": dorefa, "sws": statistical_scaling, "rel": residual_expansion}
STRAIGHT = {"twn": twn, "bwn": bwn, "dorefa": dorefa, "bc": binary_connect}


class TestUntrainedScales:
    """TWN, the binary methods and statistical scaling: what they share."""

    @pytest.mark.parametrize("name", SCALED)
    @properties
    @given(w=any_weights(), exponent=st.integers(-6, 6))
    def test_scale_with_the_weights(self, name, w, exponent):
        c = np.float32(2.0**exponent)
        np.testing.assert_array_equal(values(SCALED[name](c * w)), c * values(SCALED[name](w)))

    @pytest.mark.parametrize("name", [*SCALED, "bc"])
    @properties
    @given(w=any_weights())
    def test_odd_off_zero(self, name, w):
        function = {**SCALED, **STRAIGHT}[name]
        away = w != 0
        np.testing.assert_array_equal(values(function(-w))[away], -values(function(w))[away])

    @pytest.mark.parametrize("name", STRAIGHT)
    @properties
    @given(w=any_weights(), g=upstream())
    def test_straight_through(self, name, w, g):
        np.testing.assert_array_equal(differentiated(STRAIGHT[name])(w, g)[0], g)

    @properties
    @given(w=weights(), g=upstream())
    def test_clipped_gradients_end_where_they_say(self, w, g):
        (clipped,) = differentiated(binary_connect, clip=True)(w, g)
        np.testing.assert_array_equal(clipped, np.where(np.abs(w) <= 1, g, 0))
        (scaled,) = differentiated(statistical_scaling)(w, g)
        np.testing.assert_array_equal(scaled, np.where(np.abs(w) < 1, g, 0))
        for t_ex in (1, 3):
            np.testing.assert_array_equal(differentiated(residual_expansion, t_ex=t_ex)(w, g)[0], t_ex * scaled)


@pytest.mark.parametrize("name", [*SCALED, "bc", "ttq", "sq", "tga"])
def test_float64_weights(name):
    functions = {
        **SCALED,
        **STRAIGHT,
        "ttq": lambda w: ttq(w, 0.5, 0.25),
        "sq": lambda w: sq(w, 0.5, 0.25),
        "tga": lambda w: truncated_gaussian(w, 0.25),
    }
    w = np.linspace(-1, 1, COUNT)
    np.testing.assert_allclose(numpy(functions[name](w)), values(functions[name](w.astype(np.float32))), rtol=ROUNDING)


class TestTWNAndBWN:
    @properties
    @given(kernels(), st.sampled_from([None, (0,)]), FRACTIONS)
    def test_values(self, w, axis, factor):
        size = np.abs(w)
        support = size > factor * size.mean(axis=axis, keepdims=True)
        alpha = (size * support).sum(axis=axis, keepdims=True) / np.maximum(support.sum(axis=axis, keepdims=True), 1)
        np.testing.assert_allclose(values(twn(w, factor, axis)), alpha * support * np.sign(w), rtol=ROUNDING)
        mean = size.mean(axis=axis, keepdims=True)
        np.testing.assert_array_equal(values(bwn(w, axis)), np.where(w >= 0, mean, -mean))

    @properties
    @given(any_weights())
    def test_scales_are_the_least_squares_ones(self, w):
        for q in (values(twn(w)), values(bwn(w))):
            codes = np.sign(q)
            # half the derivative of |w - alpha * codes|² by alpha
            assert codes @ (w - q) == pytest.approx(0, abs=ROUNDING * COUNT)

    @properties
    @given(any_weights())
    def test_ternary_scale_is_at_least_the_binary_one(self, w):
        assert np.abs(values(twn(w))).max() >= np.abs(values(bwn(w))).max() * (1 - ROUNDING)

    @properties
    @given(any_weights())
    def test_error_is_at_least_that_of_the_best_support(self, w):
        largest_first = np.sort(np.abs(w.astype(np.float64)))[::-1]
        best = (w.astype(np.float64) ** 2).sum() - np.max(np.cumsum(largest_first) ** 2 / np.arange(1, COUNT + 1))
        error = ((w - values(twn(w)).astype(np.float64)) ** 2).sum()
        assert best - ROUNDING <= error <= (w.astype(np.float64) ** 2).sum() + ROUNDING

    @properties
    @given(weights(), st.integers(1, 64))
    def test_equal_magnitudes_are_kept(self, signs, c):
        w = np.where(signs < 0, np.float32(-c / 64), np.float32(c / 64))
        for function in (twn, bwn, dorefa, statistical_scaling):
            np.testing.assert_array_equal(values(function(w)), w)

    @properties
    @given(any_weights((COUNT // 2, 4)))
    def test_only_a_filter_of_zeros_loses_all_weights(self, w):
        np.testing.assert_array_equal((values(twn(w, axis=(0,))) != 0).any(axis=0), (w != 0).any(axis=0))


class TestSQ:
    BETAS = st.floats(BETA_MIN, BETA_MAX).map(np.float32)

    @staticmethod
    def penalty(w, mu, beta, gamma=0.0):
        return float(adaptive_penalty(np.float32([w]), np.float32(mu), np.float32(beta), gamma))

    @properties
    @given(weights(), scales(), st.integers(0, 32))
    def test_value_of_each_region(self, w, mu, k):
        delta = np.float32(k / 64)
        expected = np.abs(mu) * np.where(np.abs(w) > delta, np.sign(w), 0)
        np.testing.assert_array_equal(values(sq(w, mu, delta)), expected)
        np.testing.assert_array_equal(values(sq(w, mu, delta, binary=True)), np.abs(mu) * np.where(w >= 0, 1, -1))

    @pytest.mark.parametrize("binary", [False, True])
    @properties
    @given(w=weights(), mu=scales(1), g=upstream(), sign=st.sampled_from([1, -1]))
    def test_gradients_and_true_derivative_of_the_scale(self, binary, w, mu, g, sign):
        def loss(mu):
            return np.sum(values(sq(w, np.float32(mu), 0.25, binary)) * g)

        mu, step = sign * mu, 1 / 32
        dw, dmu = differentiated(sq, delta=0.25, binary=binary)(w, mu, g)
        np.testing.assert_array_equal(dw, g)
        assert loss(mu + step) - loss(mu - step) == 2 * step * dmu

    @properties
    @given(scales(), scales(), BETAS)
    def test_penalty_is_symmetric_and_zero_at_the_levels(self, w, mu, beta):
        penalty = self.penalty(w, mu, beta)
        assert penalty == self.penalty(-w, mu, beta) == self.penalty(w, -mu, beta)
        assert 0 <= penalty <= abs(abs(w) - abs(mu))
        for level in (0, mu, -mu):
            assert self.penalty(level, mu, beta) == 0

    @properties
    @given(scales(), scales(), BETAS, BETAS)
    def test_penalty_does_not_fall_with_beta(self, w, mu, beta, other):
        low, high = sorted([beta, other])
        assert self.penalty(w, mu, low) <= self.penalty(w, mu, high) * (1 + ROUNDING) + ROUNDING

    @properties
    @given(scales(), scales())
    def test_penalty_at_quarter_pi_is_the_ternary_one(self, w, mu):
        half = abs(mu) / 2
        assert self.penalty(w, mu, BETA_MIN) == pytest.approx(abs(abs(abs(w) - half) - half), abs=ROUNDING)

    @properties
    @given(weights(), scales(), BETAS)
    def test_only_gamma_pulls_to_binary(self, w, mu, beta):
        data = self.slopes(0.0)(w, mu, beta)[2]
        assert data >= 0
        slope = self.slopes(0.5)(w, mu, beta)[2]
        assert slope == pytest.approx(data - 0.5 / math.sin(beta) ** 2, rel=1e-4, abs=1e-5)

    @staticmethod
    @cache
    def slopes(gamma):
        return compiled_gradients(partial(adaptive_penalty, gamma=gamma))

    @properties
    @given(st.lists(st.floats(-(2.0**100), 2.0**100), min_size=1, max_size=8), BETAS)
    def test_tangent_stays_finite_and_at_least_one_after_any_updates(self, updates, beta):
        bounds = Clip(BETA_MIN, BETA_MAX)
        for update in updates:
            beta = values(bounds(ops.convert_to_tensor(beta + np.float32(update))))
            assert 1 - ROUNDING <= float(ops.tan(beta)) < 2e4


class TestStatisticalScaling:
    @properties
    @given(weights(), FRACTIONS)
    def test_value_of_each_region(self, w, beta):
        support = np.abs(w) > beta * np.abs(w).max()
        alpha = np.abs(w)[support].mean() if support.any() else 0
        np.testing.assert_allclose(values(statistical_scaling(w, beta)), alpha * support * np.sign(w), rtol=ROUNDING)

    @properties
    @given(any_weights(), st.floats(0, 0.99), st.floats(0, 0.99))
    def test_scale_does_not_fall_with_beta_and_supports_are_nested(self, w, beta, other):
        low, high = (values(statistical_scaling(w, b)) for b in sorted([beta, other]))
        assert np.abs(low).max() <= np.abs(high).max() * (1 + ROUNDING)
        assert not ((high != 0) & (low == 0)).any()

    @properties
    @given(any_weights(), st.integers(1, 6))
    def test_expansion_is_the_sum_of_its_branches(self, w, t_ex):
        branches = [values(statistical_scaling(w, 0.05 * j)) for j in range(1, t_ex + 1)]
        q = values(residual_expansion(w, t_ex))
        np.testing.assert_allclose(q, np.sum(branches, axis=0), rtol=ROUNDING)
        assert len(np.unique(q)) <= 2 * t_ex + 1
        if t_ex == 1:
            np.testing.assert_array_equal(q, branches[0])


class TestTruncatedGaussian:
    """The scale against the formula in float64."""

    @staticmethod
    def scale(w, delta):
        w = w.astype(np.float64)
        sigma = w.std(ddof=1)
        a = min(abs(delta) / sigma, MAX_DEVIATIONS)
        return w.mean() + sigma * math.exp(-(a**2) / 2) / math.sqrt(2 * math.pi) / (math.erfc(a / math.sqrt(2)) / 2)

    @staticmethod
    def spread_weights():
        return weights().filter(lambda w: w.std() > 0.05)

    @properties
    @given(spread_weights(), st.floats(0, 3, width=32))
    def test_values(self, w, delta):
        q = values(truncated_gaussian(w, np.float32(delta)))
        np.testing.assert_array_equal(values(truncated_gaussian(w, np.float32(-delta))), q)
        bound = min(delta, 3 * w.std(ddof=1))
        centred = w - w.mean()
        assume(np.abs(np.abs(centred) - bound).min() > ROUNDING)
        scale = self.scale(w, delta)
        assert scale > w.mean() + bound
        codes = np.where(np.abs(centred) > bound, np.sign(centred), 0)
        # at three deviations, float32 keeps four digits of the scale's distance from the mean
        np.testing.assert_allclose(q, scale * codes, rtol=0, atol=3e-4 * w.std())

    @properties
    @given(spread_weights())
    def test_threshold_of_zero_is_the_binary_limit(self, w):
        expected = w.std(ddof=1) * math.sqrt(2 / math.pi) + w.mean()
        q = values(truncated_gaussian(w, np.float32(0)))
        np.testing.assert_allclose(q, expected * np.sign(w - w.mean()), rtol=1e-5, atol=ROUNDING)

    @properties
    @given(spread_weights(), upstream(), st.floats(0.01, 0.95), st.sampled_from([1, -1]))
    def test_true_derivative_of_the_threshold(self, w, g, share, sign):
        delta, step = share * 3 * w.std(ddof=1), 1e-5
        codes = np.where(np.abs(w - w.mean()) > delta, np.sign(w - w.mean()), 0)
        assume(np.abs(np.abs(w - w.mean()) - delta).min() > ROUNDING)
        _, slope = differentiated(truncated_gaussian)(w, np.float32(sign * delta), g)
        numeric = (self.scale(w, delta + step) - self.scale(w, delta - step)) / (2 * step)
        assert slope == pytest.approx(sign * numeric * np.sum(g * codes), rel=2e-3, abs=1e-3)

    @properties
    @given(spread_weights(), upstream(), st.floats(1.01, 4), st.sampled_from([1, -1]))
    def test_no_gradient_beyond_three_deviations(self, w, g, factor, sign):
        delta = np.float32(sign * factor * 3 * w.std(ddof=1))
        assert differentiated(truncated_gaussian)(w, delta, g)[1] == 0

    @properties
    @given(spread_weights(), upstream(), scales())
    def test_without_stats_gradient_it_is_straight_through(self, w, g, delta):
        np.testing.assert_array_equal(differentiated(truncated_gaussian, stats_gradient=False)(w, delta, g)[0], g)

    @properties
    @given(spread_weights(), st.floats(0, 0.5, width=32))
    def test_odd_only_around_a_mean_of_zero(self, w, delta):
        delta = np.float32(delta)
        both = np.concatenate([w, -w])
        np.testing.assert_array_equal(
            values(truncated_gaussian(-both, delta)), -values(truncated_gaussian(both, delta))
        )
        # else the mean is in the scale of both sides
        assert self.scale(w, delta) - self.scale(-w, delta) == pytest.approx(2 * w.mean(), abs=ROUNDING)


class TestPowerOfTwo:
    SIZES = st.floats(2.0**-29, 2.0**29, width=32)

    @properties
    @given(SIZES, st.sampled_from([1, -1]))
    def test_nearest_and_idempotent(self, size, sign):
        x = np.float32(sign * size)
        q = values(power_of_two(x))
        assert math.frexp(abs(q))[0] == 0.5
        assert math.sqrt(0.5) * (1 - ROUNDING) <= q / x <= math.sqrt(2) * (1 + ROUNDING)
        assert values(power_of_two(q)) == q

    @properties
    @given(SIZES, SIZES)
    def test_keeps_the_order(self, first, second):
        low, high = sorted(np.float32([first, second]))
        assert values(power_of_two(low)) <= values(power_of_two(high))
