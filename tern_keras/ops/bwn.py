"""Binary weights with the mean magnitude as their scale: BWN, and DoReFa with 1-bit weights."""

from keras import ops

from tern_keras.ops.codes import binary_codes
from tern_keras.ops.gradients import Tensor, as_float, straight_through


def bwn_codes_and_scale(w: Tensor, axis: tuple[int, ...] | None = None) -> tuple[Tensor, Tensor]:
    """Return the codes and the scale α of BWN for float weights.

    Args:
        w: latent weights of at least float32, any shape.
        axis: axes that share a scale; None for all of them.

    Returns:
        Codes in {-1, +1} of the shape of `w`, and α >= 0 with the reduced axes kept as 1. Neither has a gradient.
    """
    return binary_codes(w), ops.mean(ops.abs(ops.stop_gradient(w)), axis=axis, keepdims=True)


def bwn(w: Tensor, axis: tuple[int, ...] | None = None) -> Tensor:
    """Binarise weights with the least-squares scale of binary weight networks.

    Forward:

        α = mean |w|,    q = +α where w >= 0,    -α elsewhere

    Backward, the straight-through estimator: dL/dw = dL/dq. Nothing flows through α.

    The authors' code also centres the weights and scales the gradient by 1/n + α·1[|w| < 1]; the networks that
    compare with BWN since, and this function, do neither.

    Args:
        w: latent weights, any shape, a float dtype.
        axis: axes that share a scale. None: one for the layer; all but the last: one a filter, as in the paper.

    Returns:
        q of the shape and dtype of `w`, with at most two values for each α.

    Example:
        >>> import keras
        >>> [round(float(value), 4) for value in bwn(keras.ops.array([0.75, -0.5, 0.25, 0.0]))]
        [0.375, -0.375, 0.375, 0.375]

    References:
        Rastegari, Ordonez, Redmon, Farhadi, "XNOR-Net", ECCV 2016, section 3.1 (arXiv:1603.05279).
    """
    dtype = ops.convert_to_tensor(w).dtype
    w = as_float(w)
    codes, alpha = bwn_codes_and_scale(w, axis)
    return ops.cast(alpha * codes + straight_through(w), dtype)


def dorefa(w: Tensor) -> Tensor:
    """Binarise weights as DoReFa-Net does with 1-bit weights: one scale for the layer.

    Forward:

        E = mean |w|,    q = +E where w >= 0,    -E elsewhere

    Backward, the straight-through estimator: dL/dw = dL/dq. Nothing flows through E.

    The authors' sign(w/E)·E makes an exact zero a third value, and NaN of a layer of zeros; here a zero is +E.

    Args:
        w: latent weights, any shape, a float dtype.

    Returns:
        q of the shape and dtype of `w`, with at most two values.

    Example:
        >>> import keras
        >>> [round(float(value), 4) for value in dorefa(keras.ops.array([0.75, -0.5, 0.25, 0.0]))]
        [0.375, -0.375, 0.375, 0.375]

    References:
        Zhou et al., "DoReFa-Net", 2016, section 2.3 (arXiv:1606.06160).
    """
    return bwn(w)
