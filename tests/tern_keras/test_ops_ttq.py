import numpy as np
import pytest
from autodiff import G, W, close, gradients, numpy
from keras import ops

from tern_keras.ops import ttq

WP, WN = np.float32(0.8), np.float32(0.5)


def upstream(w=W, g=G, wp=WP, wn=WN, **options):
    return gradients(lambda *args: ops.sum(ttq(*args, **options) * g), w, wp, wn)


def test_threshold():
    close(ttq(W, WP, WN), [0.8, -0.5, 0.8, -0.5, 0.8, 0, 0, 0.8])
    dw, dwp, dwn = upstream()
    close(dw, [0.08, -0.1, 0.24, 0.2, -0.4, 0.6, 0.7, -0.64])
    close(dwp, -0.9)
    close(dwn, -0.2)


@pytest.mark.parametrize("options", [{"threshold": 0.3}, {"sparsity": 0.5}])
def test_higher_threshold_and_equal_sparsity(options):
    close(ttq(W, WP, WN, **options), [0.8, -0.5, 0.8, 0, 0, 0, 0, 0.8])
    dw, dwp, dwn = upstream(**options)
    close(dw, [0.08, -0.1, 0.24, 0.4, -0.5, 0.6, 0.7, -0.64])
    close(dwp, -0.4)
    close(dwn, 0.2)


def test_weight_at_the_threshold_is_a_zero():
    assert numpy(ttq(W, WP, WN, threshold=0.5))[7] == 0


@pytest.mark.parametrize("sparsity", [0.0, 0.29, 0.3, 0.5, 0.99])
def test_sparsity_counts_the_zeros(sparsity):
    w = np.random.default_rng(1).permutation(np.arange(1, 101)).astype(np.float32)
    assert (numpy(ttq(w, WP, WN, sparsity=sparsity)) == 0).sum() == round(100 * sparsity)


def test_no_sparsity_keeps_only_exact_zeros_zero():
    np.testing.assert_array_equal(numpy(ttq(W, WP, WN, sparsity=0.0)) == 0, W == 0)


def test_all_zero_tensor():
    w = np.zeros(4, np.float32)
    assert not numpy(ttq(w, WP, WN)).any()
    dw, dwp, dwn = upstream(w=w, g=np.ones(4, np.float32))
    np.testing.assert_array_equal(dw, np.ones(4))
    assert dwp == dwn == 0


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_at_most_three_values_in_every_dtype(dtype):
    w = ops.cast(np.random.default_rng(0).normal(size=(64, 32)), dtype)
    q = ttq(w, np.float32(0.1373), np.float32(0.0917))
    assert len(np.unique(numpy(ops.cast(q, "float32")))) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.0}, "threshold must be in"),
        ({"threshold": -0.1}, "threshold must be in"),
        ({"sparsity": 1.0}, "sparsity must be None or in"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        ttq(W, WP, WN, **options)
