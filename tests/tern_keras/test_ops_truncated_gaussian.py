import numpy as np
import pytest
from autodiff import G, W, close, gradients, numpy
from keras import ops

from tern_keras.ops import truncated_gaussian
from tern_keras.ops.truncated_gaussian import inverse_mills_ratio

DELTA = np.float32(0.1)
CODES = np.float32([1, -1, 1, -1, 0, -1, -1, 1])
WITH_STATS = [
    -0.516510137,
    -0.096870637,
    -0.028654337,
    0.311225497,
    -0.70871442,
    0.424868757,
    0.515273563,
    -1.200618287,
]


def weighted(w, delta, stats_gradient=True):
    return ops.sum(truncated_gaussian(w, delta, stats_gradient) * G)


def scale(w, delta):
    return float(ops.max(ops.abs(truncated_gaussian(w, delta))))


def test_forward():
    close(truncated_gaussian(W, DELTA), 0.53391613 * CODES)
    close(truncated_gaussian(W, -DELTA), 0.53391613 * CODES)


@pytest.mark.parametrize(("stats_gradient", "expected"), [(True, WITH_STATS), (False, G)])
def test_gradients(stats_gradient, expected):
    dw, ddelta = gradients(lambda w, d: weighted(w, d, stats_gradient), W, DELTA)
    np.testing.assert_allclose(dw, expected, rtol=1e-4, atol=1e-6)
    close(ddelta, -1.296511798)


def test_gradient_of_the_threshold_has_its_sign_and_ends_at_three_deviations():
    (negative,) = gradients(lambda d: weighted(W, d), -DELTA)
    (at_zero,) = gradients(lambda d: weighted(W, d), np.float32(0))
    (beyond,) = gradients(lambda d: weighted(W, d), np.float32(3.01 * W.std(ddof=1)))
    close(negative, 1.296511798)
    assert at_zero != 0
    assert beyond == 0


@pytest.mark.parametrize(
    ("a", "expected"),
    [(0, 0.797885), (0.1, 0.862617), (0.25, 0.963554), (0.5, 1.141078), (1, 1.525135), (2, 2.373216), (3, 3.283099)],
)
def test_inverse_mills_ratio(a, expected):
    value, slope = inverse_mills_ratio(np.float32(a)), gradients(inverse_mills_ratio, np.float32(a))[0]
    assert float(value) == pytest.approx(expected, rel=1e-4)
    assert slope == pytest.approx(expected * (expected - a), rel=1e-3)


def test_scale_is_that_of_gaussian_weights():
    w = np.random.default_rng(0).normal(0, 0.05, 100_000).astype(np.float32)
    assert scale(w, 0.01) == pytest.approx(np.abs(w[np.abs(w) > 0.01]).mean(), rel=0.01)


@pytest.mark.parametrize("w", [np.full(4, 0.3, np.float32), np.zeros(4, np.float32), np.float32([0.7])])
def test_equal_weights_give_zeros_with_finite_gradients(w):
    assert not numpy(truncated_gaussian(w, DELTA)).any()
    for gradient in gradients(lambda w, d: ops.sum(truncated_gaussian(w, d)), w, DELTA):
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_three_values_in_half_precision(dtype):
    w = ops.cast(np.random.default_rng(0).normal(size=(64, 32)) * 0.1373, dtype)
    q = truncated_gaussian(w, np.float32(0.05))
    assert str(q.dtype).endswith(dtype) or q.dtype == dtype
    assert len(np.unique(numpy(ops.cast(q, "float32")))) == 3
