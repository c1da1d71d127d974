"""Operands, options, shapes and windows of operators, as the structs of `tern.h` want them.

What does not fit is refused: the kernels trust what was checked here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tflite_export.errors import ExportError
from tflite_export.graph import Op, Tensor

# TERN_MAX_RANK of tern.h.
MAX_RANK = 4
_RANGES = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}


def activation(op: Op, index: int, dtypes: tuple[str, ...] = ("int8",)) -> Tensor:
    """An input that the kernel reads as an activation (it may be a constant): quantised, of one of the types."""
    tensor = op.inputs[index] if index < len(op.inputs) else None
    if tensor is None:
        raise ExportError(f"{op}: its input {index} is missing")
    return _checked(op, tensor, dtypes)


def result(op: Op, index: int = 0, dtypes: tuple[str, ...] = ("int8",)) -> Tensor:
    """An output: quantised, of one of the types."""
    if index >= len(op.outputs):
        raise ExportError(f"{op}: its output {index} is missing")
    return _checked(op, op.outputs[index], dtypes)


def _checked(op: Op, tensor: Tensor, dtypes: tuple[str, ...]) -> Tensor:
    if tensor.dtype not in dtypes:
        raise ExportError(f"{op}: {tensor} is not {' or '.join(dtypes)}")
    if tensor.size == 0:
        raise ExportError(f"{op}: {tensor} has no elements")
    if tensor.variable:
        raise ExportError(f"{op}: {tensor} is state that lasts, which this operator cannot read")
    if tensor.dtype in _RANGES:
        low, high = _RANGES[tensor.dtype]
        if not low <= tensor.zero_point <= high:
            raise ExportError(f"{op}: {tensor} has the zero point {tensor.zero_point}, outside of {tensor.dtype}")
    return tensor


def constant(op: Op, index: int, what: str) -> np.ndarray:
    """The values of an input that has to be a constant of integers."""
    tensor = op.inputs[index] if index < len(op.inputs) else None
    if tensor is None or tensor.data is None or tensor.data.dtype.kind not in "iu":
        raise ExportError(f"{op}: its {what}, input {index}, is not a constant of integers")
    return tensor.data


def expect_same_quantization(op: Op, source: Tensor, target: Tensor) -> None:
    """Refuse an output of another type, scale or zero point: the kernels copy bytes."""
    if source.dtype != target.dtype:
        raise ExportError(f"{op}: {source} and {target} should have the same type")
    if source.quantization is None or target.quantization is None:
        return
    if (source.scale, source.zero_point) != (target.scale, target.zero_point):
        raise ExportError(f"{op}: {source} and {target} should have the same scale and zero point")


def option(op: Op, key: str) -> Any:
    """An option of an operator; ExportError if the file lacks it."""
    if key not in op.options:
        raise ExportError(f"{op}: it lacks the option {key}: the file is damaged")
    return op.options[key]


def positive_option(op: Op, key: str) -> int:
    """An option that counts something: at least 1, else ExportError."""
    value = option(op, key)
    if value < 1:
        raise ExportError(f"{op}: its {key} is {value}, not at least 1")
    return value


def expect_channels(op: Op, target: Tensor, channels: int) -> None:
    """Refuse a target with another number of channels: the kernels trust their shapes."""
    if image_shape(op, target)["channels"] != channels:
        raise ExportError(f"{op}: {target} should have {channels} channels")


def expect_shape(op: Op, target: Tensor, shape: tuple[int, ...]) -> None:
    """Refuse a target that TFLite, which computes shapes anew, would give another one; ones in front do not count."""
    if _without_ones(target.shape) != _without_ones(shape):
        raise ExportError(f"{op}: {target} should have the shape {shape}")


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return next((shape[i:] for i, n in enumerate(shape) if n != 1), ())


def image_shape(op: Op, tensor: Tensor) -> dict[str, int]:
    """A tensor's `tern_shape`."""
    if len(tensor.shape) != 4 or tensor.shape[0] != 1:
        raise ExportError(f"{op}: {tensor} should have the shape (1, height, width, channels)")
    return dict(zip(("height", "width", "channels"), tensor.shape[1:], strict=True))


def full_rank(op: Op, tensor: Tensor) -> tuple[int, ...]:
    """A tensor's shape with ones before it, up to `MAX_RANK` dimensions."""
    if len(tensor.shape) > MAX_RANK:
        raise ExportError(f"{op}: {tensor} has more than {MAX_RANK} dimensions")
    return (1,) * (MAX_RANK - len(tensor.shape)) + tensor.shape


def broadcast_strides(op: Op, tensor: Tensor, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A tensor's strides in elements where it is broadcast to `shape`: 0 along repeated dimensions."""
    strides = []
    stride = 1
    for size, wanted in zip(reversed(full_rank(op, tensor)), reversed(shape), strict=True):
        if size not in (1, wanted):
            raise ExportError(f"{op}: {tensor} cannot be broadcast to {shape}")
        strides.append(0 if size == 1 else stride)
        stride *= size
    return tuple(reversed(strides))


def window(op: Op, source: Tensor, target: Tensor, height: int, width: int) -> dict[str, int]:
    """The `tern_window` of a kernel of `height` x `width`, with TFLite's padding; checks the target's size."""
    padding = option(op, "padding")
    if padding not in ("SAME", "VALID"):
        raise ExportError(f"{op}: its padding {padding} is neither SAME nor VALID")
    strides = (positive_option(op, "stride_h"), positive_option(op, "stride_w"))
    dilations = (1, 1)
    if "dilation_h_factor" in op.options:
        dilations = (positive_option(op, "dilation_h_factor"), positive_option(op, "dilation_w_factor"))
    pads = []
    for size, out, kernel, stride, dilation in zip(
        source.shape[1:3], target.shape[1:3], (height, width), strides, dilations, strict=True
    ):
        span = dilation * (kernel - 1) + 1
        same = padding == "SAME"
        expected = -(-size // stride) if same else (size - span) // stride + 1
        if out != expected:
            raise ExportError(f"{op}: {target} should be {expected} long where it is {out}")
        pads.append(max((out - 1) * stride + span - size, 0) // 2 if same else 0)
    return {
        "height": height,
        "width": width,
        "stride_height": strides[0],
        "stride_width": strides[1],
        "dilation_height": dilations[0],
        "dilation_width": dilations[1],
        "pad_top": pads[0],
        "pad_left": pads[1],
    }


def in_place_windows(op: Op, source: Tensor, target: Tensor, geometry: Mapping[str, int]) -> tuple[int, ...]:
    """The `KernelCall.in_place` of a kernel that takes one channel after the other from a window and its padding.

    Without padding before the input, no window starts before the place of its output, nor of any that follows.
    """
    unpadded = geometry["pad_top"] == geometry["pad_left"] == 0
    return (0,) if unpadded and image_shape(op, source)["channels"] == image_shape(op, target)["channels"] else ()
