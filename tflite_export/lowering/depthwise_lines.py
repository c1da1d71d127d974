"""The fast depthwise convolution: for which layers, along which lines, and with which parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tflite_export.graph import Tensor
from tflite_export.kernel_call import Constant, KernelCall
from tflite_export.lowering.doubled import doubled_bias

# Of micro/src/depthwise_lines.h.
_CHANNELS = 4
_OUTPUTS = 4
# What a band may take where one line of outputs takes less: a few lines between copies are nearly as fast as all.
_SCRATCH_BYTES = 2048
# What no microcontroller has, and what keeps a layer's numbers within the kernel's.
_LARGEST_SCRATCH_BYTES = 2**20


def with_lines(call: KernelCall, weights: Tensor) -> KernelCall | None:
    """The call of `tern_depthwise_conv2d_lines` for the same layer, or None where that kernel cannot do it.

    Args:
        call: of `tern_depthwise_conv2d_*_ref`; it becomes the alternative for where memory is short.
        weights: int8, shape (1, height, width, channels).

    Returns:
        The call, or None for several outputs an input channel, or for scales, accumulators and steps that are out of
        the kernel's range.
    """
    assert weights.data is not None
    fields: Mapping[str, Any] = call.fields
    requantization = fields["requantization"]
    kernels = weights.data[0]
    bias = _bias(fields, kernels)
    along_height, band = lines_of(fields)
    scratch = scratch_bytes(fields, along_height, band)
    if bias is None or scratch > _LARGEST_SCRATCH_BYTES:
        return None
    by_channel = kernels.transpose((2, 1, 0) if along_height else (2, 0, 1))
    return dataclasses.replace(
        call,
        function="tern_depthwise_conv2d_lines",
        struct="tern_depthwise_conv2d_lines_params",
        fields={
            **{key: fields[key] for key in ("input", "output", "window", "input_zero_point")},
            "along_height": int(along_height),
            "band": band,
            "weights": Constant("weights", by_channel.reshape(-1)),
            "bias": bias,
            **{key: requantization[key] for key in ("multiplier", "shift", "zero_point", "minimum", "maximum")},
        },
        weight_format="int8",
        reason=call.reason if call.weight_format == "int8" else "few: int8 is the fastest",
        scratch_bytes=scratch,
        in_place=_in_place(fields, along_height),
        alternatives=(call,),
    )


def with_packed_lines(call: KernelCall, weights: Tensor) -> KernelCall | None:
    """The call of `tern_depthwise_conv2d_base3_lines` or `tern_depthwise_conv2d_binary_lines`.

    Args:
        call: of `tern_depthwise_conv2d_base3_ref` or `_binary_ref`, with one plane of weights; the alternative.
        weights: int8, shape (1, height, width, channels).

    Returns:
        The call, or None where `with_lines` would give None.
    """
    assert weights.data is not None
    fields: Mapping[str, Any] = call.fields
    along_height, band = lines_of(fields)
    window = fields["window"]
    scratch = 16 + _CHANNELS * window["height"] * window["width"] + scratch_bytes(fields, along_height, band)
    if _bias(fields, weights.data[0]) is None or scratch > _LARGEST_SCRATCH_BYTES:
        return None
    return dataclasses.replace(
        call,
        function=call.function.replace("_ref", "_lines"),
        scratch_bytes=scratch,
        in_place=_in_place(fields, along_height),
        alternatives=(call,),
    )


def _bias(fields: Mapping[str, Any], kernels: np.ndarray) -> Constant | None:
    if fields["input"]["channels"] != fields["output"]["channels"]:
        return None
    return doubled_bias(fields, kernels.reshape(-1, kernels.shape[2]).T)


def lines_of(fields: Mapping[str, Any]) -> tuple[bool, int]:
    """Whether lines are columns, and how many lines of outputs a band has."""
    output = fields["output"]["height"], fields["output"]["width"]
    along_height = _padded(output[0]) * output[1] < _padded(output[1]) * output[0]
    band = output[1 if along_height else 0]
    while band > 1 and scratch_bytes(fields, along_height, band) > _SCRATCH_BYTES:
        band -= 1
    return along_height, band


def _in_place(fields: Mapping[str, Any], along_height: bool) -> tuple[int, ...]:
    size, output = ((fields[key]["height"], fields[key]["width"]) for key in ("input", "output"))
    return (0,) if fits_in_place(size, output, fields["window"], along_height) else ()


def _padded(outputs: int) -> int:
    return -(-outputs // _OUTPUTS) * _OUTPUTS


def scratch_bytes(fields: Mapping[str, Any], along_height: bool, band: int) -> int:
    """As `tern_depthwise_conv2d_lines_scratch_bytes`."""
    window = fields["window"]
    across, along = ("width", "height") if along_height else ("height", "width")
    size, output = fields["input"][along], fields["output"][along]
    reach = (window[along] - 1) * window[f"dilation_{along}"] + 1
    needed = (output - 1) * window[f"stride_{along}"] + reach
    padding = min(window["pad_top" if along_height else "pad_left"], needed)
    line = _even(max(padding + min(size, needed - padding), needed - padding))
    lines = (_clipped(fields, across, band) - 1) * window[f"stride_{across}"] + window[across]
    behind = (_OUTPUTS - 1) * window[f"stride_{along}"] + 3 + needed - line
    return window[across] * -(-window[along] // 3) * 3 * 4 + _CHANNELS * (lines * line + _even(behind)) * 2


def _clipped(fields: Mapping[str, Any], across: str, band: int) -> int:
    return 1 if fields["window"][f"dilation_{across}"] > 1 else min(band, fields["output"][across])


def _even(elements: int) -> int:
    return -(-elements // 2) * 2


def fits_in_place(size: tuple[int, int], output: tuple[int, int], window: Any, along_height: bool) -> bool:
    """Whether every input is copied before an output comes to its place.

    Args:
        size: of the input, (height, width).
        output: of the output, likewise.
        window: a `tern_window`, as a mapping or a struct.
        along_height: whether lines are columns.
    """
    get = window.__getitem__ if isinstance(window, Mapping) else lambda name: getattr(window, name)
    axis = "width" if along_height else "height"
    kernel, stride, dilation = (get(name) for name in (axis, f"stride_{axis}", f"dilation_{axis}"))
    top = get("pad_left" if along_height else "pad_top")
    # the last time that each line of the input is copied, as the number of a line of outputs; -1 for never
    lines, across = (size[1], output[1]) if along_height else (size[0], output[0])
    last = np.full(lines, -1)
    for i in range(across):
        at = i * stride - top + dilation * np.arange(kernel)
        copied = at[(at >= 0) & (at < lines)]
        last[copied] = i if dilation > 1 else np.where(last[copied] < 0, i, last[copied])
    inputs = np.broadcast_to(last[None] if along_height else last[:, None], size).ravel()
    written = np.arange(across)
    outputs = np.broadcast_to(written[None] if along_height else written[:, None], output).ravel()
    return bool(outputs.size <= inputs.size and (inputs[: outputs.size] <= outputs).all())
