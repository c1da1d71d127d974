"""The straight-through estimator and the precision that every quantisation function computes in."""

from typing import Any

import keras
from keras import ops

Tensor = Any  # the backend's tensor, a Keras variable or an array


def as_float(x: Tensor) -> Tensor:
    """Return `x` as a tensor of at least float32.

    Means and thresholds of half-precision weights lose the small weights of a large layer, and float16 overflows.

    Args:
        x: tensor, variable or array of any shape and dtype.

    Returns:
        Tensor of the same shape: float64 if `x` is float64, float32 otherwise.
    """
    x = ops.convert_to_tensor(x)
    return ops.cast(x, keras.backend.result_type(x.dtype, "float32"))


def straight_through(w: Tensor, gain: Tensor = 1.0) -> Tensor:
    """Return zeros whose gradient with respect to `w` is `gain` times the upstream gradient.

    Added to a quantised tensor that carries no gradient, it yields the straight-through estimator and leaves
    every quantised value exact. The textbook `w + stop_gradient(q - w)` does not: it rounds `q` differently
    for every `w`, so that a ternary tensor ends with more than three values.

    Args:
        w: latent weights, any shape, finite.
        gain: factor on the gradient, broadcastable to `w`; constant in the backward pass.

    Returns:
        Zeros of the shape of `w`.

    References:
        Bengio, Léonard, Courville, "Estimating or propagating gradients through stochastic neurons", 2013.
    """
    return ops.stop_gradient(ops.cast(gain, w.dtype)) * (w - ops.stop_gradient(w))


def magnitude(x: Tensor) -> Tensor:
    """Return |x| with the derivative 0 at 0, where the `abs` of the backends disagree.

    Args:
        x: tensor of any shape, a float dtype.

    Returns:
        |x|, of the shape and dtype of `x`.
    """
    return x * ops.stop_gradient(ops.sign(x))


def free_magnitude(x: Tensor) -> Tensor:
    """Return |x| with the derivative +1 at 0, for trainable quantities that must be able to leave 0.

    Args:
        x: tensor of any shape, a float dtype.

    Returns:
        |x|, of the shape and dtype of `x`.
    """
    return ops.where(x >= 0, x, -x)
