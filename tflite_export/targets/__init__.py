"""The `.tflite` targets: the int8 model packed for a runtime, and that runtime, to verify the packing in.

Every one equals the int8 model bit for bit in its own runtime.
"""

from tflite_export.errors import ExportError
from tflite_export.targets import custom, small_integers, tflm
from tflite_export.targets.target import Packed, PackTarget, Runner

__all__ = ["PACK_TARGETS", "PackTarget", "Packed", "Runner", "pack"]

PACK_TARGETS: dict[str, PackTarget] = {
    "int4": small_integers.INT4,
    "int2": small_integers.INT2,
    "custom": custom.TARGET,
    "tflm": tflm.TARGET,
}


def pack(tflite: bytes, target: str, optimize: str = "speed") -> bytes:
    """Pack an int8 `.tflite` for a runtime.

    Args:
        tflite: content of an int8 `.tflite` file, anyone's.
        target: one of `PACK_TARGETS`.
        optimize: "speed" or "size", where the target has the choice.

    Returns:
        Content of a `.tflite` file that computes the same, bit for bit, in the target's runtime.

    Raises:
        ExportError: if the target is not known, or the model cannot be packed for it.
    """
    if target not in PACK_TARGETS:
        raise ExportError(f"unknown target {target}; known are {', '.join(PACK_TARGETS)}")
    return PACK_TARGETS[target].pack(tflite, optimize).tflite
