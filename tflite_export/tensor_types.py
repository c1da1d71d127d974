"""The element types of a `.tflite`: their names, their widths, and how a constant's bytes become numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

_DTYPES: dict[int, np.dtype[Any]] = {
    getattr(schema.TensorType, name.upper()): np.dtype(name)
    for name in (
        *("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
        *("float16", "float32", "float64", "complex64", "complex128", "bool"),
    )
}
# Types that numpy lacks, and their bits.
_OTHER_BITS = {"INT2": 2, "INT4": 4, "UINT4": 4, "BFLOAT16": 16, "FLOAT8_E4M3FN": 8, "FLOAT8_E5M2": 8}
_NAMES = {value: name for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
_INTEGER_RANGES = {"INT2": (-2, 1), "INT4": (-8, 7), "UINT4": (0, 15)}


def type_name(code: int) -> str:
    """A numpy type's name ("int8"), or the schema's own where numpy has none ("INT4")."""
    return _DTYPES[code].name if code in _DTYPES else _NAMES.get(code, f"type {code}")


def bits_of(dtype: str) -> int | None:
    """Bits of an element as a file stores it; None where elements have no fixed width, such as strings."""
    if dtype in _OTHER_BITS:
        return _OTHER_BITS[dtype]
    return None if dtype not in _NUMPY_NAMES else np.dtype(dtype).itemsize * 8


def integer_range(dtype: str) -> tuple[int, int] | None:
    """The least and the greatest number of an integer type, or None."""
    if dtype in _INTEGER_RANGES:
        return _INTEGER_RANGES[dtype]
    if dtype not in _NUMPY_NAMES or np.dtype(dtype).kind not in "iu":
        return None
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def constant_bytes(dtype: str, count: int) -> int | None:
    """Bytes of a constant of `count` elements, or None where they do not follow from the count."""
    bits = bits_of(dtype)
    return None if bits is None else -(-count * bits // 8)


def unpack(raw: np.ndarray, dtype: str, shape: tuple[int, ...], count: int) -> np.ndarray:
    """A constant's bytes as numbers.

    Args:
        raw: uint8, as many as `constant_bytes` says.
        dtype: as `type_name` calls it.
        shape: of the tensor.
        count: elements of that shape.

    Returns:
        Values in `shape`. INT2, INT4 (int8) and UINT4 (uint8) are taken out of their bytes, the first element in the
        lowest bits. BFLOAT16 becomes float32, which holds it exactly. Types that have no numbers here (strings,
        8-bit floats) stay bytes, uint8 of one dimension.
    """
    if dtype in _NUMPY_NAMES:
        return raw.view(np.dtype(dtype).newbyteorder("<")).reshape(shape)
    if dtype in _INTEGER_RANGES:
        bits = _OTHER_BITS[dtype]
        fields = (raw[:, None] >> np.arange(0, 8, bits, dtype=np.uint8)).reshape(-1)[:count] & np.uint8(2**bits - 1)
        if _INTEGER_RANGES[dtype][0] == 0:
            return fields.reshape(shape)
        spare = np.uint8(8 - bits)
        return ((fields << spare).view(np.int8) >> spare.view(np.int8)).reshape(shape)
    if dtype == "BFLOAT16":
        return (raw.view("<u2").astype(np.uint32) << np.uint32(16)).view(np.float32).reshape(shape)
    return raw


_NUMPY_NAMES = frozenset(dtype.name for dtype in _DTYPES.values())
