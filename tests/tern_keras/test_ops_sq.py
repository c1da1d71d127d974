import math

import numpy as np
import pytest
from autodiff import G, W, close, gradients, numpy
from keras import ops

from tern_keras.ops import adaptive_penalty, sq
from tern_keras.ops.sq import BETA_MAX

MU, BETA = np.float32(0.4), np.float32(1.2)


def penalties(w, mu=MU, beta=BETA, gamma=0.0, p=1):
    """The penalty of each weight alone."""
    return np.array([float(adaptive_penalty(np.float32([x]), mu, np.float32(beta), gamma, p)) for x in w])


class TestForward:
    def test_ternary(self):
        close(sq(W, MU, 0.06), [0.4, -0.4, 0.4, -0.4, 0, 0, 0, 0.4])

    def test_binary_has_no_zero(self):
        close(sq(W, MU, 0.06, binary=True), [0.4, -0.4, 0.4, -0.4, 0.4, -0.4, 0.4, 0.4])

    @pytest.mark.parametrize(("binary", "expected"), [(False, -0.6), (True, -1.0)])
    def test_gradients(self, binary, expected):
        dw, dmu = gradients(lambda w, mu: ops.sum(sq(w, mu, 0.06, binary) * G), W, MU)
        np.testing.assert_array_equal(dw, G)
        close(dmu, expected)

    def test_mu_can_leave_zero(self):
        (dmu,) = gradients(lambda mu: ops.sum(sq(W, mu, 0.06) * G), np.float32(0))
        assert dmu != 0

    def test_mu_of_each_filter(self):
        w = W.reshape(4, 2)
        mu = np.float32([[0.4, 0.3]])
        assert set(np.abs(numpy(sq(w, mu, 0.06))[:, 1]).tolist()) <= {0, np.float32(0.3)}
        (dmu,) = gradients(lambda mu: ops.sum(sq(w, mu, 0.06) * G.reshape(4, 2)), mu)
        close(dmu, [[0.1 + 0.3, 0.2 - 0.4 - 0.8]])

    @pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
    @pytest.mark.parametrize(("binary", "count"), [(False, 3), (True, 2)])
    def test_values_in_every_dtype(self, dtype, binary, count):
        w = ops.cast(np.random.default_rng(0).normal(size=(64, 32)), dtype)
        q = sq(w, np.float32(0.1373), 0.2, binary)
        assert len(np.unique(numpy(ops.cast(q, "float32")))) == count


class TestPenalty:
    def test_value_and_gradients(self):
        close(penalties(W), [0.5, 0.2, 0.1, 0.2, 0.12860758, 0.05144303, 0, 0.05])
        dw, dmu, dbeta = gradients(lambda *args: adaptive_penalty(*args, 0.01), W, MU, BETA)
        close(8 * dw, [1, -1, -1, 1, 2.5721516, -2.5721516, 0, 1])
        close(8 * dmu, -1)
        assert dbeta == pytest.approx(0.533117 / 8 - 0.011511, rel=1e-4)

    def test_squared(self):
        expected = [0.25, 0.04, 0.01, 0.04, 0.0064303789, 0.0010288606, 0, 0.0025]
        np.testing.assert_allclose(penalties(W, p=2), expected, rtol=1e-5, atol=1e-8)
        (dw,) = gradients(lambda w: adaptive_penalty(w, MU, BETA, 0.0, 2), np.float32([0.0, 0.4, 0.9]))
        close(3 * dw, [0, 0, 1.0])

    def test_kinks_have_gradient_zero(self):
        dw, dmu = gradients(lambda w, mu: adaptive_penalty(w, mu, BETA, 0.0), np.float32([0.0, 0.4, -0.4]), MU)
        np.testing.assert_array_equal(dw, np.zeros(3))
        assert dmu == 0

    def test_upper_end_is_the_binary_penalty_but_at_zero(self):
        w = np.linspace(0.01, 1, 50, dtype=np.float32)
        np.testing.assert_allclose(penalties(w, beta=BETA_MAX), np.abs(w - MU), atol=1e-6)
        assert penalties([0.0], beta=BETA_MAX) == 0

    def test_the_paper_s_first_term_changes_nothing(self):
        w = np.linspace(-1, 1, 81)
        for mu in (0.4, -0.4):
            terms = [np.abs(np.abs(w) + mu), np.abs(np.abs(w) - mu), math.tan(1.2) * np.abs(w)]
            np.testing.assert_allclose(penalties(w, mu=np.float32(mu)), np.min(terms, axis=0), atol=1e-6)

    @pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
    def test_float32_for_half_precision(self, dtype):
        penalty = adaptive_penalty(ops.cast(W, dtype), ops.cast(MU, dtype), ops.cast(BETA, dtype), 0.01)
        assert numpy(penalty).dtype == np.float32

    def test_tangent_is_finite_and_positive_at_the_upper_end(self):
        assert 1e4 < float(ops.tan(np.float32(BETA_MAX))) < 2e4

    @pytest.mark.parametrize(("gamma", "p", "message"), [(-1, 1, "gamma"), (0, 0.5, "p must be >= 1")])
    def test_bad_arguments(self, gamma, p, message):
        with pytest.raises(ValueError, match=message):
            adaptive_penalty(W, MU, BETA, gamma, p)
