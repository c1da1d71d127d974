import keras
import numpy as np
import pytest
from autodiff import G, W, gradients, numpy

from tern_keras.ops import power_of_two, twn

EXPONENTS = np.arange(-32, 33)
JUST_BELOW, JUST_ABOVE = 1.41421, 1.41422  # of the square root of 2


def compiled(x):
    """The function as a compiled step runs it."""
    if keras.backend.backend() == "jax":
        import jax

        return numpy(jax.jit(power_of_two)(x))
    import tensorflow as tf

    return numpy(tf.function(power_of_two, jit_compile=True)(tf.constant(x)))


@pytest.mark.parametrize("call", [lambda x: numpy(power_of_two(x)), compiled])
@pytest.mark.parametrize(("factor", "up"), [(1.0, 0), (JUST_BELOW, 0), (JUST_ABOVE, 1), (0.9999999, 0)])
def test_exact_and_nearest_at_every_magnitude(call, factor, up):
    x = (factor * 2.0**EXPONENTS).astype(np.float32)
    expected = 2.0 ** np.clip(EXPONENTS + up, -30, 30)
    np.testing.assert_array_equal(call(x), expected.astype(np.float32))
    np.testing.assert_array_equal(call(-x), -expected.astype(np.float32))


def test_zero_stays_zero():
    np.testing.assert_array_equal(numpy(power_of_two(np.float32([0.0, 0.3, -0.3]))), [0, 0.25, -0.25])


def test_gradient_is_the_upstream_gradient():
    (dx,) = gradients(lambda x: keras.ops.sum(power_of_two(x) * G), W)
    np.testing.assert_array_equal(dx, G)


def test_of_a_quantised_kernel_rounds_its_scale():
    np.testing.assert_array_equal(numpy(power_of_two(twn(W))), np.sign(numpy(twn(W))) * np.float32(0.5))
