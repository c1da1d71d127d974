"""Ternary weights with a trainable threshold, and the scale that a truncated Gaussian has above it."""

import math

from keras import ops

from tern_keras.ops.gradients import Tensor, as_float, free_magnitude, straight_through

# beyond three standard deviations next to no weight is left
MAX_DEVIATIONS = 3.0
# keeps the derivative of the square root finite for weights that are all equal; far below any weight's variance
VARIANCE_FLOOR = 1e-24


def tga_codes_and_scale(w: Tensor, delta: Tensor, stats_gradient: bool = True) -> tuple[Tensor, Tensor]:
    """Return the codes T and the scale S of the truncated Gaussian approximation for float weights.

    Args:
        w: latent weights of at least float32, any shape.
        delta: threshold, a scalar of the dtype of `w`; any sign.
        stats_gradient: whether S has a gradient with respect to `w`.

    Returns:
        T in {-1, 0, +1} of the shape of `w`, without gradient, and the scalar S, with the gradient of `delta`.
    """
    values = w if stats_gradient else ops.stop_gradient(w)
    mean = ops.mean(values)
    variance = ops.sum(ops.square(values - mean)) / max(math.prod(w.shape) - 1, 1)
    sigma = ops.sqrt(ops.maximum(variance, VARIANCE_FLOOR))
    # the authors' code holds the bound constant
    bound = ops.stop_gradient(MAX_DEVIATIONS * sigma)
    threshold = free_magnitude(delta)
    threshold = ops.where(threshold < bound, threshold, bound)
    scale = mean + sigma * inverse_mills_ratio(threshold / sigma)
    centred, threshold = ops.stop_gradient(w - mean), ops.stop_gradient(threshold)
    return ops.where(ops.abs(centred) > threshold, ops.sign(centred), ops.zeros_like(centred)), scale


def inverse_mills_ratio(a: Tensor) -> Tensor:
    """Return λ(a) = φ(a) / (1 - Φ(a)), the mean of a standard normal variable above `a`.

    Args:
        a: tensor of any shape, a float dtype; up to 3 it keeps four digits in float32.

    Returns:
        λ of the shape and dtype of `a`.

    Example:
        >>> import keras
        >>> round(float(inverse_mills_ratio(keras.ops.array(1.0))), 4)
        1.5251
    """
    density = ops.exp(-ops.square(a) / 2) / math.sqrt(2 * math.pi)
    return density / (0.5 * (1 - ops.erf(a / math.sqrt(2))))


def truncated_gaussian(w: Tensor, delta: Tensor, stats_gradient: bool = True) -> Tensor:
    """Ternarise weights with a trainable threshold, and the scale that follows from it for Gaussian weights.

    Forward, with the mean m and the standard deviation σ (n - 1 degrees of freedom) of the weights, and φ, Φ the
    density and the distribution function of the standard normal distribution:

        Δ = min(|δ|, 3σ),    a = Δ / σ,    λ = φ(a) / (1 - Φ(a)),    S = m + σ · λ
        T = +1 where w > m + Δ,    -1 where w < m - Δ,    0 elsewhere;    q = S · T

    Backward, with g = dL/dq and G = Σ g·T:

        dL/dδ = sign(δ) · λ·(λ - a) · G where |δ| < 3σ, and 0 beyond
        dL/dw = g + G · [1/n + (λ - a·λ·(λ - a)) · (w - m) / ((n - 1)·σ)]

    The first term of dL/dw is the paper's "gradient correctness": T is taken to have the slope 1/S. The second,
    through m and σ, is what the authors' code computes; `stats_gradient=False` leaves it out.

    Args:
        w: latent weights, any shape, a float dtype.
        delta: trainable threshold δ in the units of `w`, a scalar; any sign, its magnitude is used.
        stats_gradient: whether gradients flow through the mean and the standard deviation.

    Returns:
        q of the shape and dtype of `w`, with at most three values; zeros if all weights are equal.

    Example:
        >>> import keras
        >>> q = truncated_gaussian(keras.ops.array([0.9, -0.6, 0.3, -0.2, 0.05, -0.02, 0.0, 0.45]), 0.1)
        >>> [round(float(value), 4) for value in q]
        [0.5339, -0.5339, 0.5339, -0.5339, 0.0, -0.5339, -0.5339, 0.5339]

    References:
        He, Fan, "Simultaneously optimizing weight and quantizer of ternary neural network using truncated Gaussian
        approximation", CVPR 2019 (arXiv:1810.01018).
    """
    dtype = ops.convert_to_tensor(w).dtype
    w = as_float(w)
    codes, scale = tga_codes_and_scale(w, ops.cast(delta, w.dtype), stats_gradient)
    return ops.cast(scale * codes + straight_through(w), dtype)
