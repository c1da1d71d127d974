import numpy as np
import pytest
from autodiff import G, W, close, gradients, numpy
from keras import ops

from tern_keras.ops import residual_expansion, statistical_scaling

CODES = np.float32([1, -1, 1, -1, 1, 0, 0, 1])
V = np.float32([1.2, -1, 0.5, -0.3, 0.07, -0.05])
UPSTREAM = np.float32([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])


def test_one_branch():
    close(statistical_scaling(W), 0.41666667 * CODES)
    close(statistical_scaling(W, beta=0.1), np.float32([0.49, -0.49, 0.49, -0.49, 0, 0, 0, 0.49]))
    (dw,) = gradients(lambda w: ops.sum(statistical_scaling(w) * G), W)
    np.testing.assert_array_equal(dw, G)


def test_no_gradient_from_one_on():
    close(statistical_scaling(V), 0.614 * np.float32([1, -1, 1, -1, 1, 0]))
    (dw,) = gradients(lambda w: ops.sum(statistical_scaling(w) * UPSTREAM), V)
    np.testing.assert_array_equal(dw, np.float32([0, 0, 0.3, 0.4, 0.5, 0.6]))


def test_a_weight_at_the_threshold_is_a_zero_on_both_sides():
    np.testing.assert_array_equal(numpy(statistical_scaling(np.float32([1, 0.5, -0.5]), beta=0.5)), [1, 0, 0])


def test_all_zero_layer_stays_zero_with_finite_gradient():
    zeros = np.zeros(4, np.float32)
    assert not numpy(residual_expansion(zeros)).any()
    (dw,) = gradients(lambda w: ops.sum(residual_expansion(w)), zeros)
    np.testing.assert_array_equal(dw, np.full(4, 2))


@pytest.mark.parametrize(
    ("t_ex", "high", "low"), [(1, 0.41666667, 0.41666667), (2, 0.90666667, 0.41666667), (4, 1.8866667, 0.41666667)]
)
def test_expansion(t_ex, high, low):
    close(residual_expansion(W, t_ex), np.float32([high, -high, high, -high, low, 0, 0, high]))
    (dw,) = gradients(lambda w: ops.sum(residual_expansion(w, t_ex) * G), W)
    close(dw, t_ex * G)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_at_most_two_t_plus_one_values_in_every_dtype(dtype):
    w = ops.cast(np.random.default_rng(0).normal(size=(64, 32)) * 0.1373, dtype)
    assert len(np.unique(numpy(ops.cast(residual_expansion(w, 3), "float32")))) == 7
    assert len(np.unique(numpy(ops.cast(statistical_scaling(w), "float32")))) == 3


@pytest.mark.parametrize("beta", [-0.1, 1.0])
def test_bad_beta(beta):
    with pytest.raises(ValueError, match=r"beta must be in \[0, 1\)"):
        statistical_scaling(W, beta)


@pytest.mark.parametrize("t_ex", [0, 20, 2.5])
def test_bad_expansion(t_ex):
    with pytest.raises(ValueError, match="t_ex must be an integer from 1 to 19"):
        residual_expansion(W, t_ex)
