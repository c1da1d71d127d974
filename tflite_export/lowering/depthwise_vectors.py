"""The depthwise convolution for Helium: for which layers, and with which parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tflite_export.graph import Tensor
from tflite_export.kernel_call import Constant, KernelCall
from tflite_export.lowering.doubled import doubled_bias
from tflite_export.vector_packing import VECTOR, halves, in_level_order, in_tap_order, pack_taps

# TERN_DEPTHWISE_MAXIMUM_TAPS of micro/.
_MOST_TAPS = 31
# So many times an int8 still fits 16 bits.
_MOST_STEPS = 255


def with_depthwise_vectors(call: KernelCall, weights: Tensor) -> KernelCall | None:
    """The call of `tern_depthwise_conv2d_vectors` for the same layer, or None where that kernel cannot do it.

    Args:
        call: of a `_ref` kernel; it becomes the alternative for where memory is short.
        weights: int8, shape (1, height, width, channels).

    Returns:
        The call, or None for many taps, several outputs an input channel, or scales and accumulators that are out of
        the kernel's range.
    """
    assert weights.data is not None
    fields: Mapping[str, Any] = call.fields
    requantization, window, channels = fields["requantization"], fields["window"], weights.shape[3]
    kernels = weights.data.reshape(-1, channels)
    bias = doubled_bias(fields, kernels.T)
    if bias is None or len(kernels) > _MOST_TAPS or fields["input"]["channels"] != channels:
        return None
    columns = (fields["output"]["width"] - 1) * window["stride_width"] + (window["width"] - 1) * window[
        "dilation_width"
    ]
    levels = _levels(kernels)
    packed = pack_taps(*halves(kernels)) if levels is None else pack_taps(kernels // np.where(levels, levels, 1))
    return dataclasses.replace(
        call,
        function="tern_depthwise_conv2d_vectors",
        struct="tern_depthwise_conv2d_vectors_params",
        fields={
            **{key: fields[key] for key in ("input", "output", "window", "input_zero_point")},
            "weights": Constant("weights", packed),
            "levels": None if levels is None else Constant("plus", in_level_order(levels)),
            "bias": Constant("bias", in_tap_order(bias.data // 2)),
            "multiplier": Constant("multiplier", in_tap_order(requantization["multiplier"].data)),
            "shift": Constant("shift", in_tap_order(requantization["shift"].data, -1)),
            **{key: requantization[key] for key in ("zero_point", "minimum", "maximum")},
        },
        weight_format="int8",
        scratch_bytes=window["height"] * (4 + (columns + 1) * channels) + VECTOR,
        reason=f"{'two vectors' if levels is None else 'a vector'} a tap, for Helium: {packed.nbytes:,} bytes",
        in_place=(0,) if fits_in_place(fields) else (),
        alternatives=(call,),
    )


def fits_in_place(fields: Mapping[str, Any]) -> bool:
    """Whether every line of the input is copied before an output comes to its place.

    Args:
        fields: of the call of any depthwise convolution: `input`, `output` and `window`.
    """
    source, target, window = fields["input"], fields["output"], fields["window"]
    if window["dilation_height"] > 1 or target["height"] * target["width"] > source["height"] * source["width"]:
        return False
    stride, lines = window["stride_height"], np.arange(target["height"] - 1)
    # the first line of the input that the next line of outputs, and none before it, sees
    fresh = lines * stride - window["pad_top"] + max(stride, window["height"])
    return bool(((lines + 1) * target["width"] <= fresh * source["width"]).all())


def _levels(kernels: np.ndarray) -> np.ndarray | None:
    """What all weights of a channel are multiples of, int8, if they are few times that; ternary ones mostly are."""
    levels = np.gcd.reduce(np.abs(kernels.astype(np.int16)), axis=0)
    steps = np.abs(kernels.astype(np.int16)).sum(0) // np.maximum(levels, 1)
    return levels.astype(np.int8) if (steps <= _MOST_STEPS).all() and (levels <= 127).all() else None
