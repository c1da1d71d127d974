"""Weights as vectors of sixteen, in the layouts that `tern_conv.h` and `tern_fully_connected.h` document for Helium."""

from __future__ import annotations

import numpy as np

# TERN_VECTOR_BYTES and TERN_VECTOR_CHANNELS of micro/.
VECTOR = 16
GROUP = 4
# A group's channels in the order in which the kernel takes them, two at a time.
_PAIRS = [[0, 2], [1, 3]]


def whole_groups(values: np.ndarray, fill: int = 0) -> np.ndarray:
    """A value a channel, with `fill` for the channels that the last group lacks."""
    return np.pad(values, (0, -len(values) % GROUP), constant_values=fill)


def pack_int8(rows: np.ndarray) -> np.ndarray:
    """Order int8 weights by vectors.

    Args:
        rows: int8, shape (channels, weights).

    Returns:
        uint8, flat: of four channels at a time, the vectors of the first and the third in turn, then those of the
        second and the fourth.

    Example:
        >>> import numpy as np
        >>> from tflite_export.vector_packing import pack_int8
        >>> pack_int8(np.arange(1, 5, dtype=np.int8)[:, None]).reshape(4, 16)[:, :2]
        array([[1, 0],
               [3, 0],
               [2, 0],
               [4, 0]], dtype=uint8)
    """
    return np.ascontiguousarray(_vectors(rows)[:, _PAIRS].transpose(0, 1, 3, 2, 4)).view(np.uint8).reshape(-1)


def pack_codes(codes: np.ndarray) -> np.ndarray:
    """Pack ternary codes in 2 bits: 0 is zero, 1 `plus`, 3 `minus`.

    Args:
        codes: int8, shape (channels, weights), values -1, 0, +1.

    Returns:
        uint8, flat: a byte has the same weight of four channels, the first in the lowest bits.

    Example:
        >>> import numpy as np
        >>> from tflite_export.vector_packing import pack_codes
        >>> [hex(byte) for byte in pack_codes(np.array([[1], [-1], [0], [1]], np.int8))[:2]]
        ['0x4d', '0x0']
    """
    return pack_fields(codes & 3)


def pack_fields(codes: np.ndarray) -> np.ndarray:
    """The same from codes that are 0 to 3 already."""
    fields = _vectors(codes).astype(np.uint8) << np.arange(0, 8, 2, dtype=np.uint8)[:, None, None]
    return np.bitwise_or.reduce(fields, axis=1).reshape(-1)


def pack_connected_int8(rows: np.ndarray) -> np.ndarray:
    """Order the int8 weights of a fully connected layer by vectors.

    Args:
        rows: int8, shape (outputs, inputs).

    Returns:
        uint8, flat: of four outputs at a time, a vector of each in turn.
    """
    return np.ascontiguousarray(_vectors(rows).transpose(0, 2, 1, 3)).view(np.uint8).reshape(-1)


def pack_taps(*planes: np.ndarray) -> np.ndarray:
    """Order the weights of a depthwise convolution.

    Args:
        planes: int8, shape (taps, channels): a vector each of every tap.

    Returns:
        int8, flat: of 16 channels at a time, of each tap a vector of each plane.
    """
    taps, channels = planes[0].shape
    padded = np.pad(np.stack(planes, axis=1).astype(np.int8), ((0, 0), (0, 0), (0, -channels % VECTOR)))
    return padded.reshape(taps, len(planes), -1, VECTOR).transpose(2, 0, 1, 3).reshape(-1)


def halves(kernels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split int8 weights in sixteenths, to the nearest, and rests, which are from -8 to 7.

    Example:
        >>> import numpy as np
        >>> from tflite_export.vector_packing import halves
        >>> [half.tolist() for half in halves(np.array([127, -128, 5], np.int8))]
        [[8, -8, 0], [-1, 0, 5]]
    """
    wide = kernels.astype(np.int16)
    upper = (wide + 8) >> 4
    return upper, wide - 16 * upper


def in_level_order(values: np.ndarray) -> np.ndarray:
    """A value a channel, of 16 at a time the even ones first, zeros to the end of the last vector."""
    return np.pad(values, (0, -len(values) % VECTOR)).reshape(-1, VECTOR // 2, 2).transpose(0, 2, 1).reshape(-1)


def in_tap_order(values: np.ndarray, fill: int = 0) -> np.ndarray:
    """A value a channel, in the order in which the depthwise kernel takes them; `fill` to the end of the last vector.

    Example:
        >>> import numpy as np
        >>> from tflite_export.vector_packing import in_tap_order
        >>> in_tap_order(np.arange(16)).tolist()
        [0, 4, 8, 12, 2, 6, 10, 14, 1, 5, 9, 13, 3, 7, 11, 15]
    """
    padded = np.pad(values, (0, -len(values) % VECTOR), constant_values=fill)
    return padded.reshape(-1, 4, 4).transpose(0, 2, 1)[:, [0, 2, 1, 3]].reshape(-1)


def pack_bits(codes: np.ndarray) -> np.ndarray:
    """Pack binary codes in bits: 1 is `plus`, 0 `minus`.

    Args:
        codes: int8, shape (channels, weights), values -1 and +1.

    Returns:
        uint8, flat: a byte has the same weight of four channels in its lower half, the first in the lowest bit, and
        that of the vector behind in its upper half.

    Example:
        >>> import numpy as np
        >>> from tflite_export.vector_packing import pack_bits
        >>> [hex(byte) for byte in pack_bits(np.array([[1] * 17, [-1] * 17, [1] * 17], np.int8))[:2]]
        ['0x55', '0x5']
    """
    bits = (_vectors(codes) > 0).astype(np.uint8)
    bits = np.pad(bits, ((0, 0), (0, 0), (0, bits.shape[2] % 2), (0, 0)))
    pairs = bits.reshape(len(bits), GROUP, -1, 2, VECTOR).transpose(0, 2, 3, 1, 4)
    fields = pairs.reshape(len(bits), -1, 2 * GROUP, VECTOR) << np.arange(8, dtype=np.uint8)[:, None]
    return np.bitwise_or.reduce(fields, axis=2).reshape(-1)


def _vectors(rows: np.ndarray) -> np.ndarray:
    """Shape (groups, channels of a group, vectors, weights of a vector), zeros in the rest."""
    channels, length = rows.shape
    padded = np.pad(rows, ((0, -channels % GROUP), (0, -length % VECTOR)))
    return padded.reshape(-1, GROUP, padded.shape[1] // VECTOR, VECTOR)
