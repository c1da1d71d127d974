"""Weights of fully connected layers, in the layouts that `tern_fully_connected.h` documents."""

from __future__ import annotations

import numpy as np

# Inputs are in groups of so many; what there are fewer is filled up.
GROUP = 16
_OUTPUTS = {"pairs": 8, "split": 4}
# The lower sum of a block is less than 2^13, and an input may be -128.
_MOST_IN_BLOCK = 63
# TERN_PAIR_BLOCK_INPUTS of micro/
_MAXIMUM_BLOCK = 112
# Where in a word the field of each of eight inputs starts. A word of inputs has every other byte of four.
_SHIFTS = np.array([0, 4, 16, 20, 8, 12, 24, 28], np.uint32)
_HIGH = 14
# How far apart in a table of sums, in bytes, the places are with and without an input.
_SIGNED_STEPS = np.array([2, 8, 24, 72], np.uint8)
_SUBSET_STEPS = 2 ** np.arange(1, 8, dtype=np.uint8)


def pack_quads(rows: np.ndarray) -> np.ndarray:
    """Pack int8 weights for `tern_fully_connected_int8`: of every four rows four weights each.

    Args:
        rows: int8, shape (outputs, inputs).

    Returns:
        uint32, flat.

    Example:
        >>> import numpy as np
        >>> from tflite_export.connected_packing import pack_quads
        >>> [hex(word) for word in pack_quads(np.array([[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]], np.int8))[:5]]
        ['0x4030201', '0x9080706', '0x0', '0x0', '0x5']
    """
    padded = np.pad(rows, ((0, -rows.shape[0] % 4), (0, -rows.shape[1] % 8)))
    return padded.view("<u4").reshape(len(padded) // 4, 4, -1).transpose(0, 2, 1).reshape(-1)


def pack_pairs(codes: np.ndarray) -> np.ndarray:
    """Pack rows of codes for `tern_fully_connected_pairs`: two rows a word, eight inputs of each.

    Args:
        codes: int8, shape (outputs, inputs), values -1, 0, +1.

    Returns:
        uint32, flat.

    Example:
        >>> import numpy as np
        >>> from tflite_export.connected_packing import pack_pairs
        >>> [hex(word) for word in pack_pairs(np.array([[1, -1]], np.int8))[[0, 4]]]
        ['0x11111102', '0x11111111']
    """
    rows = _padded(codes, _OUTPUTS["pairs"])
    fields = rows.reshape(len(rows) // 8, 2, 4, -1, 8)
    low, high = (fields[:, 0] + 1).astype(np.uint32), (fields[:, 1] & 3).astype(np.uint32)
    words = (low << _SHIFTS | high << (_SHIFTS + _HIGH) % 32).sum(-1, dtype=np.uint32)
    return words.transpose(0, 2, 1).reshape(-1)


def pack_split(codes: np.ndarray) -> np.ndarray:
    """Pack rows of codes for `tern_fully_connected_split`: a row a word, 16 inputs where it is plus, and minus.

    Args:
        codes: int8, shape (outputs, inputs), values -1, 0, +1.

    Returns:
        uint32, flat.

    Example:
        >>> import numpy as np
        >>> from tflite_export.connected_packing import pack_split
        >>> hex(pack_split(np.array([[1, -1]], np.int8))[0])
        '0x40001'
    """
    rows = _padded(codes, _OUTPUTS["split"])
    fields = rows.reshape(len(rows) // 4, 4, -1, 16)
    shifts = np.concatenate([_SHIFTS, _SHIFTS + 1])
    plus, minus = (fields > 0).astype(np.uint32), (fields < 0).astype(np.uint32)
    words = (plus << shifts | minus << (shifts + _HIGH) % 32).sum(-1, dtype=np.uint32)
    return words.transpose(0, 2, 1).reshape(-1)


def pack_tables(codes: np.ndarray) -> np.ndarray:
    """Pack rows of codes for `tern_fully_connected_tables`: where in a table of sums of four inputs each lies.

    Args:
        codes: int8, shape (outputs, inputs), values -1, 0, +1.

    Returns:
        uint32, flat.

    Example:
        >>> import numpy as np
        >>> from tflite_export.connected_packing import pack_tables
        >>> [hex(word) for word in pack_tables(np.array([[1, -1, 0, 0, 1], [0, 0, 0, 1, 0]], np.int8))]
        ['0x212', '0x48']
    """
    return _table_words([codes % 3], _SIGNED_STEPS)


def pack_split_tables(codes: np.ndarray) -> np.ndarray:
    """Pack rows of codes for `tern_fully_connected_split_tables`: the same for plus and for minus, of seven inputs.

    Args:
        codes: int8, shape (outputs, inputs), values -1, 0, +1.

    Returns:
        uint32, flat.

    Example:
        >>> import numpy as np
        >>> from tflite_export.connected_packing import pack_split_tables
        >>> [hex(word) for word in pack_split_tables(np.array([[1, -1], [1, 1]], np.int8))]
        ['0x2', '0x6', '0x4', '0x0']
    """
    return _table_words([codes > 0, codes < 0], _SUBSET_STEPS)


def _table_words(planes: list[np.ndarray], steps: np.ndarray) -> np.ndarray:
    """Words of four bytes, a sum of digits times steps each: for some inputs all outputs of a plane, then the next."""
    rows = np.stack(planes).astype(np.uint8)
    padded = np.pad(rows, ((0, 0), (0, rows.shape[1] % 2), (0, -rows.shape[2] % (4 * len(steps)))))
    places = padded.reshape(*padded.shape[:2], -1, 4, len(steps)) @ steps
    return places.astype(np.uint8).view("<u4")[..., 0].transpose(2, 0, 1).reshape(-1)


def pack_fractions(codes: np.ndarray) -> np.ndarray:
    """Pack rows of codes for `tern_fully_connected_fractions`: five places in tables of sums of four inputs a word.

    Args:
        codes: int8, shape (outputs, inputs), values -1, 0, +1.

    Returns:
        uint32, flat.

    Example:
        >>> import numpy as np
        >>> from tflite_export.connected_packing import pack_fractions
        >>> [hex(word) for word in pack_fractions(np.array([[0, 0, 0, 1], [0, 0, 0, -1]], np.int8))]
        ['0xab56']
    """
    first, second, third, fourth = _groups(codes)
    places = np.where(
        first < 2, 6 * third + 2 * second + first, np.where(third < 2, 18 + 2 * second + third, 24 + second)
    )
    return _fraction_words(places + 28 * fourth, 84)


def pack_split_fractions(codes: np.ndarray) -> np.ndarray:
    """Pack rows of codes for `tern_fully_connected_split_fractions`: the same with tables of pairs of sums.

    Args:
        codes: int8, shape (outputs, inputs), values -1, 0, +1.

    Returns:
        uint32, flat.

    Example:
        >>> import numpy as np
        >>> from tflite_export.connected_packing import pack_split_fractions
        >>> [hex(word) for word in pack_split_fractions(np.array([[0, 0, 0, 1], [0, 0, 0, -1]], np.int8))]
        ['0xab56']
    """
    first, second, third, fourth = _groups(codes)
    return _fraction_words(first + 3 * second + 9 * third + 27 * fourth, 81)


def _groups(codes: np.ndarray) -> np.ndarray:
    """Weights as 0, 1, 2 (minus), inputs in groups of four: shape (4, outputs, groups)."""
    padded = np.pad(codes, ((0, 0), (0, -codes.shape[1] % 4))).astype(np.int64) % 3
    return padded.reshape(len(padded), -1, 4).transpose(2, 0, 1)


def _fraction_words(places: np.ndarray, base: int) -> np.ndarray:
    """Words of five digits, for some inputs those of all outputs, and then bytes of what is left."""
    whole = places.shape[1] // 5 * 5
    words = _fractions(places[:, :whole].reshape(len(places), -1, 5), base, 32).T
    rest = places.shape[1] - whole
    data = words.astype("<u4").tobytes()
    if rest:
        left = _fractions(places[:, whole:], base, 8 * rest)
        data += left.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :rest].tobytes()
    return np.frombuffer(data + bytes(-len(data) % 4), "<u4")


def _fractions(digits: np.ndarray, base: int, bits: int) -> np.ndarray:
    count = digits.shape[-1]
    numbers = (digits @ base ** np.arange(count)[::-1]).astype(np.uint64)
    return ((numbers << np.uint64(bits)) + np.uint64(base**count - 1)) // np.uint64(base**count)  # fits 64 bits


def fraction_scratch_bytes(outputs: int, *, split: bool) -> int:
    """What `tern_fully_connected_fractions_scratch_bytes`, or the split one, says: five tables, and the sums."""
    return 5 * 324 + 8 * outputs if split else 5 * 168 + 4 * outputs


def table_scratch_bytes(outputs: int, *, split: bool) -> int:
    """What `tern_fully_connected_tables_scratch_bytes`, or the split tables' one, says: four tables, and the sums."""
    sums = 4 * (outputs + outputs % 2)
    return 4 * 256 + 2 * sums if split else 4 * 216 + sums


def block_inputs(codes: np.ndarray, layout: str) -> int:
    """How many inputs a block may have, so that its lower sums fit their 14 bits: as many as possible.

    Args:
        codes: int8, shape (outputs, inputs), values -1, 0, +1.
        layout: "pairs" or "split".

    Returns:
        A multiple of 16.
    """
    lower = codes[(np.arange(len(codes)) & 4) == 0] != 0 if layout == "pairs" else codes > 0
    counts = _padded(lower, 1).reshape(len(lower), -1, GROUP).sum(2)
    size = _MAXIMUM_BLOCK // GROUP
    while True:
        # the first block is the one that need not be full
        blocks = np.pad(counts, ((0, 0), (-counts.shape[1] % size, 0))).reshape(len(counts), -1, size)
        if blocks.sum(2).max() <= _MOST_IN_BLOCK:
            return size * GROUP
        size -= 1


def pair_scratch_bytes(inputs: int, block: int) -> int:
    """What `tern_fully_connected_pairs_scratch_bytes` says: blocks of 256 bytes, and what aligns them."""
    groups = -(-inputs // GROUP)
    return -(-groups * GROUP // block) * 256 + 252


def _padded(rows: np.ndarray, outputs: int) -> np.ndarray:
    return np.pad(rows, ((0, -rows.shape[0] % outputs), (0, -rows.shape[1] % GROUP)))
