"""binary_connect, bwn and dorefa."""

import numpy as np
import pytest
from autodiff import W, close, gradients, numpy
from keras import ops

from tern_keras.ops import binary_connect, bwn, dorefa

SIGNS = np.float32([1, -1, 1, -1, 1, -1, 1, 1])
FUNCTIONS = {
    "bc": binary_connect,
    "bc_clip": lambda w: binary_connect(w, clip=True),
    "bwn": bwn,
    "bwn_filter": lambda w: bwn(w, axis=(0,)),
    "dorefa": dorefa,
}


@pytest.fixture(params=FUNCTIONS)
def function(request):
    return FUNCTIONS[request.param]


def test_signs_and_scale():
    np.testing.assert_array_equal(numpy(binary_connect(W)), SIGNS)
    close(bwn(W), 0.315 * SIGNS)
    close(dorefa(W), 0.315 * SIGNS)
    close(bwn(W.reshape(4, 2), axis=(0,)), SIGNS.reshape(4, 2) * [0.3125, 0.3175])


def test_zero_weights_are_finite(function):
    (dw,) = gradients(lambda w: ops.sum(function(w)), np.zeros((2, 3), np.float32))
    np.testing.assert_array_equal(dw, np.ones((2, 3)))
    assert np.isfinite(numpy(function(np.zeros((2, 3), np.float32)))).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_two_values_in_half_precision(function, dtype):
    w = ops.cast(np.random.default_rng(0).normal(size=(64, 1)) * 0.1373, dtype)
    q = function(w)
    assert str(q.dtype).endswith(dtype) or q.dtype == dtype
    assert len(np.unique(numpy(ops.cast(q, "float32")))) == 2
