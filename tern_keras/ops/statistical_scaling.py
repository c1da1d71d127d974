"""Statistical weight scaling and residual expansion: ternary weights, and sums of them, without trained scales."""

from keras import ops

from tern_keras.ops.codes import ternary_codes
from tern_keras.ops.gradients import Tensor, as_float, straight_through

# the authors' spacing of the thresholds of a residual expansion, as fractions of max|w|
EXPANSION_STEP = 0.05
MAX_EXPANSION = 19


def check_beta(beta: float) -> None:
    """Raise ValueError unless `beta` is in [0, 1)."""
    if not 0 <= beta < 1:
        raise ValueError(f"statistical_scaling: beta must be in [0, 1), received {beta}. It is a fraction of max|w|.")


def check_expansion(t_ex: int) -> None:
    """Raise ValueError unless `t_ex` is a number of branches whose thresholds stay below max|w|."""
    if not (isinstance(t_ex, int) and 1 <= t_ex <= MAX_EXPANSION):
        raise ValueError(
            f"residual_expansion: t_ex must be an integer from 1 to {MAX_EXPANSION}, received {t_ex!r}. "
            "It is the number of ternary branches; the paper has 2 and 4."
        )


def expansion_betas(t_ex: int) -> list[float]:
    """Return the thresholds of the branches of a residual expansion, as fractions of max|w|."""
    return [branch * EXPANSION_STEP for branch in range(1, t_ex + 1)]


def sws_codes_and_scale(w: Tensor, beta: float = 0.05) -> tuple[Tensor, Tensor]:
    """Return the codes T and the scale α of statistical weight scaling for float weights.

    Args:
        w: latent weights of at least float32, any shape.
        beta: threshold as a fraction of max|w|.

    Returns:
        T in {-1, 0, +1} of the shape of `w`, and the scalar α >= 0. Neither has a gradient.
    """
    magnitude = ops.abs(ops.stop_gradient(w))
    codes = ternary_codes(w, beta * ops.max(magnitude))
    support = ops.abs(codes)
    # only an all-zero layer has an empty support: its total is 0 too, and so is its scale
    return codes, ops.sum(magnitude * support) / ops.maximum(ops.sum(support), 1)


def statistical_scaling(w: Tensor, beta: float = 0.05) -> Tensor:
    """Ternarise weights with the mean magnitude of those above a fixed fraction of the largest.

    Forward, with T = sign(w) where |w| > Δ and 0 elsewhere:

        Δ = β · max|w|,    α = mean of |w| over |w| > Δ,    q = α · T

    Backward, with g = dL/dq: dL/dw = g where |w| < 1 and 0 elsewhere. Nothing flows through α and Δ.

    The authors' code treats |w| = Δ differently on the two sides; here it is a zero on both.

    Args:
        w: latent weights, any shape, a float dtype.
        beta: threshold β as a fraction of max|w|, in [0, 1); 0.05 in the paper.

    Returns:
        q of the shape and dtype of `w`, with at most three values.

    Raises:
        ValueError: `beta` is outside [0, 1).

    Example:
        >>> import keras
        >>> q = statistical_scaling(keras.ops.array([0.9, -0.6, 0.3, -0.2, 0.05, -0.02, 0.0, 0.45]))
        >>> [round(float(value), 4) for value in q]
        [0.4167, -0.4167, 0.4167, -0.4167, 0.4167, 0.0, 0.0, 0.4167]

    References:
        He, Gong, Fan, "Optimize deep convolutional neural network with ternarized weights and high accuracy",
        WACV 2019 (arXiv:1807.07948).
    """
    check_beta(beta)
    dtype = ops.convert_to_tensor(w).dtype
    w = as_float(w)
    codes, alpha = sws_codes_and_scale(w, beta)
    return ops.cast(alpha * codes + straight_through(w, ops.cast(ops.abs(w) < 1, w.dtype)), dtype)


def residual_expansion(w: Tensor, t_ex: int = 2) -> Tensor:
    """Sum several ternarisations of the same weights, with rising thresholds.

    Forward, with α_j and T_j those of `statistical_scaling` at β_j = 0.05 · j:

        q = α_1·T_1 + ... + α_t·T_t

    Backward, with g = dL/dq: dL/dw = t · g where |w| < 1 and 0 elsewhere, since each branch sees the same g.

    A layer with q computes what t parallel ternary layers and their sum compute. The supports are nested, so q
    has 2·t + 1 values. Its magnitude is about t times that of `w`: the layer wants a batch normalisation behind
    it. The authors' code adds the bias in each branch; here it counts once.

    Args:
        w: latent weights, any shape, a float dtype.
        t_ex: number t of branches, from 1 to 19; 2 and 4 in the paper. 1 is `statistical_scaling`.

    Returns:
        q of the shape and dtype of `w`, with at most 2·t + 1 values.

    Raises:
        ValueError: `t_ex` is not an integer in that range.

    Example:
        >>> import keras
        >>> q = residual_expansion(keras.ops.array([0.9, -0.6, 0.3, -0.2, 0.05, -0.02, 0.0, 0.45]), t_ex=2)
        >>> [round(float(value), 4) for value in q]
        [0.9067, -0.9067, 0.9067, -0.9067, 0.4167, 0.0, 0.0, 0.9067]

    References:
        He, Gong, Fan, "Optimize deep convolutional neural network with ternarized weights and high accuracy",
        WACV 2019, residual expansion layer (arXiv:1807.07948).
    """
    check_expansion(t_ex)
    dtype = ops.convert_to_tensor(w).dtype
    w = as_float(w)
    return ops.cast(sum(statistical_scaling(w, beta) for beta in expansion_betas(t_ex)), dtype)
