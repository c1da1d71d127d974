"""In which format a weight tensor is stored: int8, or packed codes and levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tflite_export.graph import Tensor
from tflite_export.kernel_call import Constant, Field
from tflite_export.levels import Levels
from tflite_export.lowering.context import Context
from tflite_export.packing import pack_base3, pack_rows


@dataclass(frozen=True, eq=False)
class PackedWeights:
    """Weights as `tern_weights` wants them.

    Attributes:
        format: "int8", "ternary" (2 bits), "base3" (1.6 bits) or "binary" (1 bit).
        fields: of `tern_weights`.
        reason: why this format, for the report.
        planes: how many tensors the weights are the sum of.
    """

    format: str
    fields: Mapping[str, Field]
    reason: str
    planes: int = 1


def pack_weights(weights: Tensor, context: Context, axis: int) -> PackedWeights:
    """Choose a format and pack.

    For size it is the format with the fewest bytes, levels included. For speed base-3 digits are left out: taking
    them apart costs instructions.

    Args:
        weights: an int8 constant.
        context: with the planes that were found, and what to optimise for.
        axis: the dimension of the output channels.

    Returns:
        The packed weights; int8 where nothing is smaller.
    """
    assert weights.data is not None
    planes = context.planes.get(weights.index)
    if planes is None:
        rows = np.sort(np.moveaxis(weights.data, axis, 0).reshape(weights.shape[axis], -1), axis=1)
        values = int((np.diff(rows) != 0).sum(1).max()) + 1
        return as_int8(weights, f"int8: {values} values in a channel are too many to be ternary")
    data = _packed_formats(planes, axis)
    if context.optimize == "speed":
        data.pop("base3", None)
    levels = 2 * len(planes) * weights.shape[axis]
    name = min(data, key=lambda name: data[name].nbytes)
    size = data[name].nbytes + levels
    if size >= weights.data.nbytes:
        return as_int8(weights, f"int8: {name} weights and their levels would take {size:,} bytes")
    fields: dict[str, Field] = {
        "data": Constant("weights", data[name]),
        "plus": Constant("plus", np.concatenate([plane.plus for plane in planes])),
        "minus": Constant("minus", np.concatenate([plane.minus for plane in planes])),
        "residual_planes": len(planes) - 1,
    }
    parts = name if len(planes) == 1 else f"a sum of {len(planes)} {name} tensors"
    reason = f"{parts}: {size:,} bytes with the levels instead of {weights.data.nbytes:,}"
    return PackedWeights(name, fields, reason, len(planes))


def as_int8(weights: Tensor, reason: str) -> PackedWeights:
    """Weights as they are.

    Args:
        weights: an int8 constant.
        reason: why this format.
    """
    assert weights.data is not None
    data = Constant("weights", weights.data.reshape(-1))
    return PackedWeights("int8", {"data": data, "plus": None, "minus": None, "residual_planes": 0}, reason)


def _packed_formats(planes: tuple[Levels, ...], axis: int) -> dict[str, np.ndarray]:
    """The codes in every format that can hold them, the faster first: uint8, flat."""
    rows = np.concatenate([_rows(plane, axis) for plane in planes])
    if planes[0].bits == 1:
        return {"binary": pack_rows(rows, 1).reshape(-1)}
    return {"ternary": pack_rows(rows, 2).reshape(-1), "base3": pack_base3(rows)}


def _rows(plane: Levels, axis: int) -> np.ndarray:
    """The rows of `tern_weights`: an output channel each, but a kernel position each where the channels come last."""
    channels = plane.codes.shape[axis]
    return plane.codes.reshape(-1, channels) if axis == plane.codes.ndim - 1 else plane.codes.reshape(channels, -1)
