"""Trained ternary quantisation (TTQ): two trainable scales a layer, one for each sign."""

import math

from keras import ops

from tern_keras.ops.gradients import Tensor, as_float, straight_through


def check_threshold(threshold: float, sparsity: float | None) -> None:
    """Raise ValueError unless `threshold` is in [0, 1) and `sparsity` is None or in [0, 1)."""
    if not 0 <= threshold < 1:
        raise ValueError(f"ttq: threshold must be in [0, 1), received {threshold}. It is a fraction of max|w|.")
    if sparsity is not None and not 0 <= sparsity < 1:
        raise ValueError(f"ttq: sparsity must be None or in [0, 1), received {sparsity}. It is the share of zeros.")


def ttq_threshold(w: Tensor, threshold: float = 0.05, sparsity: float | None = None) -> Tensor:
    """Return the threshold Δ of TTQ for float weights.

    Args:
        w: latent weights of at least float32, any shape.
        threshold: Δ as a fraction of max|w|; not used with `sparsity`.
        sparsity: share of the weights that become zero, or None.

    Returns:
        Scalar Δ >= 0 in the units of `w`, without gradient.
    """
    magnitude = ops.abs(ops.stop_gradient(w))
    if sparsity is None:
        return threshold * ops.max(magnitude)
    # round first: 0.29 * 100 is 28.999999999999996
    zeros = math.floor(round(sparsity * math.prod(w.shape), 6))
    if zeros == 0:
        return ops.zeros((), w.dtype)
    return ops.sort(ops.reshape(magnitude, (-1,)))[zeros - 1]


def ttq(w: Tensor, wp: Tensor, wn: Tensor, threshold: float = 0.05, sparsity: float | None = None) -> Tensor:
    """Ternarise weights with two trainable scales.

    Forward:

        q = +Wp where w > Δ,    0 where |w| <= Δ,    -Wn where w < -Δ

    with Δ = threshold · max|w|, or with `sparsity` r the ⌊r·n⌋-th smallest |w| of the n weights, so that the
    share of zeros stays constant. Backward, with g = dL/dq:

        dL/dWp = Σ g over w > Δ,    dL/dWn = -Σ g over w < -Δ,    dL/dw = g · (Wp, 1, Wn) by region

    Equation 7 of the paper prints dL/dWn without the minus; the true derivative, which the authors' code
    computes, has it. Their code also differs at |w| = Δ; here the paper's rule holds: a zero.

    Args:
        w: latent weights, any shape, a float dtype.
        wp: positive scale Wp, a scalar; any sign.
        wn: negative scale Wn, a scalar; any sign.
        threshold: Δ as a fraction of max|w|, in [0, 1).
        sparsity: share of zeros in [0, 1), recomputed at every call; replaces `threshold`.

    Returns:
        q of the shape and dtype of `w`, with at most three values.

    Raises:
        ValueError: `threshold` or `sparsity` is out of range.

    Example:
        >>> import keras
        >>> q = ttq(keras.ops.array([0.9, -0.6, 0.3, -0.2, 0.05, -0.02, 0.0, 0.45]), 0.8, 0.5)
        >>> [round(float(value), 4) for value in q]
        [0.8, -0.5, 0.8, -0.5, 0.8, 0.0, 0.0, 0.8]

    References:
        Zhu, Han, Mao, Dally, "Trained ternary quantization", ICLR 2017, eq. 6-9 (arXiv:1612.01064).
    """
    check_threshold(threshold, sparsity)
    dtype = ops.convert_to_tensor(w).dtype
    w = as_float(w)
    wp, wn = ops.cast(wp, w.dtype), ops.cast(wn, w.dtype)
    delta = ttq_threshold(w, threshold, sparsity)
    above, below = w > delta, w < -delta
    zero = straight_through(w)
    # the factors on the gradient stay scalars: as a tensor of w's shape they would live until the backward pass
    positive = wp + ops.stop_gradient(wp) * zero
    negative = ops.stop_gradient(wn) * zero - wn
    return ops.cast(ops.where(above, positive, ops.where(below, negative, zero)), dtype)
