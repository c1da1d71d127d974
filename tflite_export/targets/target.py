"""What a target of packing consists of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

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
        pack: from the int8 file's content, and "speed" or "size", to the packed file. Raises ExportError.
        load: a packed file's content as a runner in its real runtime. Raises ExportError, saying what to install.
        runtime: the runtime's name, for tables.
        reference: the int8 file's content as a runner in the same runtime, where that computes other values than
            LiteRT's reference kernels; None where it does not.
    """

    pack: Callable[[bytes, str], Packed]
    load: Callable[[bytes], Runner]
    runtime: str
    reference: Callable[[bytes], Runner] | None = None
