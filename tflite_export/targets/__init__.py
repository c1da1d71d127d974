"""The `.tflite` targets: the int8 model packed for a runtime, and that runtime, to verify the packing in.

A target is a module with a `TARGET`. Every one equals the int8 model bit for bit in its own runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from tflite_export.errors import ExportError

# Runs samples, int8 bytes of shape (samples, bytes of all inputs), to outputs of shape (samples, bytes of all outputs).
Runner = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Packed:
    """A packed model.

    Attributes:
        tflite: content of the `.tflite` file.
        formats: the format of each weight tensor, by the tensor's index in the int8 file: "int8", "int4", ...
        notes: what stayed int8 and why, a sentence each.
    """

    tflite: bytes
    formats: Mapping[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PackTarget:
    """A way to pack an int8 `.tflite`.

    Attributes:
        pack: from the int8 file's content to the packed one's. Raises ExportError.
        load: a packed file's content as a runner in its real runtime. Raises ExportError, saying what to install.
        runtime: the runtime's name, for tables.
    """

    pack: Callable[[bytes], Packed]
    load: Callable[[bytes], Runner]
    runtime: str


PACK_TARGETS: dict[str, PackTarget] = {}


def pack(tflite: bytes, target: str) -> bytes:
    """Pack an int8 `.tflite` for a runtime.

    Args:
        tflite: content of an int8 `.tflite` file, anyone's.
        target: one of `PACK_TARGETS`.

    Returns:
        Content of a `.tflite` file that computes the same, bit for bit, in the target's runtime.

    Raises:
        ExportError: if the target is not known, or the model cannot be packed for it.
    """
    if target not in PACK_TARGETS:
        raise ExportError(f"unknown target {target}; known are {', '.join(PACK_TARGETS)}")
    return PACK_TARGETS[target].pack(tflite).tflite
