"""Gradients of a function of tensors, and the vectors that the methods' test cases share."""

import keras
import numpy as np

W = np.array([0.9, -0.6, 0.3, -0.2, 0.05, -0.02, 0.0, 0.45], np.float32)
G = np.array([0.1, -0.2, 0.3, 0.4, -0.5, 0.6, 0.7, -0.8], np.float32)


def gradients(function, *arguments):
    """Return d function / d argument of a scalar function, as float32 arrays."""
    return compiled_gradients(function)(*arguments)


def compiled_gradients(function):
    """Return a function that returns `gradients`; it compiles once for each shape of the arguments."""
    if keras.backend.backend() == "jax":
        import jax

        @jax.jit
        def differentiate(*tensors):
            return jax.grad(function, argnums=tuple(range(len(tensors))))(*tensors)
    else:
        import tensorflow as tf

        @tf.function(jit_compile=True)
        def differentiate(*tensors):
            with tf.GradientTape() as tape:
                tape.watch(tensors)
                value = function(*tensors)
            return tape.gradient(value, tensors)

    def call(*arguments):
        tensors = [keras.ops.convert_to_tensor(argument) for argument in arguments]
        return [numpy(value).astype(np.float32) for value in differentiate(*tensors)]

    return call


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def close(actual, expected):
    np.testing.assert_allclose(numpy(actual), expected, rtol=1e-5, atol=1e-7)
