"""Find by value whether a float kernel is already ternary or binary, as `finalize` leaves it."""

import numpy as np

from tern_keras.quantizers.base import QuantizedTensor

FLOAT_BITS = 32


def find_quantized(kernel: np.ndarray, filter_axes: tuple[int, ...]) -> QuantizedTensor | None:
    """Return `kernel` as codes and scales if it holds at most the values {-n, 0, +p}, else None.

    One pair of scales for the layer is tried first, then one for each filter. The latter counts only where codes
    and scales take less than float32: any filter of one weight is "ternary".

    Args:
        kernel: float array.
        filter_axes: axes that one filter spans.

    Returns:
        The codes and scales, or None.

    Example:
        >>> find_quantized(np.array([[0.5], [0.0], [-0.25]], np.float32), (0,)).scales.ravel().tolist()
        [0.5, 0.25]
        >>> find_quantized(np.array([[0.5], [0.1], [-0.25]], np.float32), (0,)) is None
        True
    """
    codes = np.sign(kernel).astype(np.int8)
    bits = 2 if (codes == 0).any() else 1
    for axes in (tuple(range(kernel.ndim)), filter_axes):
        scales = _scales(kernel, codes, axes)
        if scales is not None and bits * codes.size + FLOAT_BITS * scales.size < FLOAT_BITS * codes.size:
            return QuantizedTensor(codes, scales, bits)
    return None


def _scales(kernel: np.ndarray, codes: np.ndarray, axes: tuple[int, ...]) -> np.ndarray | None:
    """Return the magnitudes of both signs, one entry if they agree, or None where a sign has several."""
    magnitude = np.abs(kernel)
    sides = []
    for code in (1, -1):
        side = np.where(codes == code, magnitude, 0)
        largest = side.max(axis=axes, keepdims=True)
        if ((codes == code) & (magnitude != largest)).any():
            return None
        sides.append(largest)
    positive, negative = sides
    one_sided = (positive == 0) | (negative == 0)
    if (one_sided | (positive == negative)).all():
        return np.maximum(positive, negative)[np.newaxis]
    return np.stack(sides)
