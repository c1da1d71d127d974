import numpy as np
import pytest
from autodiff import W, close, gradients, numpy
from keras import ops

from tern_keras.ops import twn


def test_one_scale_a_layer():
    close(twn(W), np.float32([0.5625, -0.5625, 0.5625, 0, 0, 0, 0, 0.5625]))


def test_one_scale_a_filter():
    close(twn(W.reshape(4, 2), axis=(0,)), [[0.6, -0.525], [0.6, 0], [0, 0], [0, 0.525]])


def test_all_zero_filter_stays_zero_with_finite_gradient():
    w = np.stack([W, np.zeros_like(W)], axis=1)
    assert not numpy(twn(w, axis=(0,)))[:, 1].any()
    (dw,) = gradients(lambda w: ops.sum(twn(w, axis=(0,))), w)
    np.testing.assert_array_equal(dw, np.ones_like(w))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_at_most_three_values_in_every_dtype(dtype):
    w = ops.cast(np.random.default_rng(0).normal(size=(64, 32)) * 0.1373, dtype)
    q = twn(w)
    assert str(q.dtype).endswith(dtype) or q.dtype == dtype
    assert len(np.unique(numpy(ops.cast(q, "float32")))) == 3


def test_half_precision_sums_do_not_overflow():
    w = ops.cast(np.full((300, 300), 2.0), "float16")
    assert (numpy(ops.cast(twn(w), "float32")) == 2).all()


@pytest.mark.parametrize("factor", [-0.1, 1.0])
def test_bad_factor(factor):
    with pytest.raises(ValueError, match=r"factor must be in \[0, 1\)"):
        twn(W, factor=factor)
