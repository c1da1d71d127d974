"""Gradients of a function of tensors, and the vectors that the methods' test cases share."""

import keras
import numpy as np

W = np.array([0.9, -0.6, 0.3, -0.2, 0.05, -0.02, 0.0, 0.45], np.float32)
G = np.array([0.1, -0.2, 0.3, 0.4, -0.5, 0.6, 0.7, -0.8], np.float32)


def gradients(function, *arguments):
    """Return d function / d argument of a scalar function, as float32 arrays."""
    if keras.backend.backend() == "jax":
        import jax

        tensors = [keras.ops.convert_to_tensor(argument) for argument in arguments]
        values = jax.jit(jax.grad(function, argnums=tuple(range(len(tensors)))))(*tensors)
    else:
        import tensorflow as tf

        tensors = [tf.convert_to_tensor(argument) for argument in arguments]

        @tf.function(jit_compile=True)
        def differentiate(*tensors):
            with tf.GradientTape() as tape:
                tape.watch(tensors)
                value = function(*tensors)
            return tape.gradient(value, tensors)

        values = differentiate(*tensors)
    return [numpy(value).astype(np.float32) for value in values]


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def close(actual, expected):
    np.testing.assert_allclose(numpy(actual), expected, rtol=1e-5, atol=1e-7)
