"""Ternary and binary codes as bytes, in the layout that `tern.h` documents."""

from __future__ import annotations

import numpy as np

# 3^5 = 243 codes fit a byte.
BASE3_DIGITS = 5


def pack_rows(codes: np.ndarray, bits: int) -> np.ndarray:
    """Pack rows of codes, the first code of a byte in its lowest bits, every row from a byte of its own.

    Args:
        codes: int8, shape (rows, columns), values -1, 0, +1 (`bits` 2) or -1, +1 (`bits` 1).
        bits: 2: 0 is zero, 1 is plus, 3 is minus. 1: 1 is plus, 0 is minus.

    Returns:
        uint8, shape (rows, ceil(columns * bits / 8)).

    Example:
        >>> import numpy as np
        >>> from tflite_export.packing import pack_rows
        >>> pack_rows(np.array([[1, 0, -1, 1, -1]], np.int8), bits=2).tolist()
        [[113, 3]]
    """
    fields = codes & 3 if bits == 2 else codes > 0
    shifts = np.arange(bits)
    stream = (fields.astype(np.uint8)[..., None] >> shifts) & 1
    return np.packbits(stream.reshape(len(codes), -1), axis=1, bitorder="little")


def pack_base3(codes: np.ndarray) -> np.ndarray:
    """Pack codes five a byte, as digits to the base 3, in the layout of Keras' ternary layers.

    Args:
        codes: int8 of any shape, values -1, 0, +1: the digits 0, 1, 2, the first of a byte in its lowest digit.

    Returns:
        uint8, shape (ceil(codes / 5),); the last byte is filled up with zero codes.

    Example:
        >>> import numpy as np
        >>> from tflite_export.packing import pack_base3
        >>> pack_base3(np.array([1, 0, -1, 1, -1, 1], np.int8)).tolist()
        [59, 122]
    """
    digits = np.pad(codes.reshape(-1), (0, -codes.size % BASE3_DIGITS)).reshape(-1, BASE3_DIGITS).astype(np.uint8) + 1
    return (digits @ 3 ** np.arange(BASE3_DIGITS)).astype(np.uint8)
