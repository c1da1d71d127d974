"""BinaryConnect: weights of ±1, without a scale."""

from keras import ops

from tern_keras.ops.codes import binary_codes
from tern_keras.ops.gradients import Tensor, as_float, straight_through


def binary_connect(w: Tensor, clip: bool = False) -> Tensor:
    """Binarise weights to ±1.

    Forward:

        q = +1 where w >= 0,    -1 elsewhere

    Backward, with g = dL/dq:

        dL/dw = g    or, with `clip`,    dL/dw = g where |w| <= 1 and 0 elsewhere

    The authors' code takes the first and clips the latent weights to [-1, 1] after every update, which
    `tern_keras.quantizers.BinaryConnect` does too; later papers state the second.

    Args:
        w: latent weights, any shape, a float dtype.
        clip: whether weights outside [-1, 1] get no gradient.

    Returns:
        q of the shape and dtype of `w`, with at most two values.

    Example:
        >>> import keras
        >>> [float(value) for value in binary_connect(keras.ops.array([0.9, -0.6, 0.0]))]
        [1.0, -1.0, 1.0]

    References:
        Courbariaux, Bengio, David, "BinaryConnect: training deep neural networks with binary weights during
        propagations", NIPS 2015, eq. 1 and algorithm 1 (arXiv:1511.00363). Clipped gradient: Razani et al.,
        eq. 2 (arXiv:1909.12205).
    """
    dtype = ops.convert_to_tensor(w).dtype
    w = as_float(w)
    gain = ops.cast(ops.abs(w) <= 1, w.dtype) if clip else 1.0
    return ops.cast(binary_codes(w) + straight_through(w, gain), dtype)
