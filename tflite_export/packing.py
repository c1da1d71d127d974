"""Ternary and binary codes as bytes, in the layout that `tern.h` documents."""

from __future__ import annotations

import numpy as np


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
