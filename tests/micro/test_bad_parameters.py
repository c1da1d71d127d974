"""Every kernel refuses null pointers, shapes that do not fit and parameters out of range, and writes nothing then."""

from __future__ import annotations

from collections.abc import Callable
from ctypes import Structure, c_int8
from typing import Any

import numpy as np
import pytest
import tern_c
from numpy_kernels import Float64Requantization, Requantization, Window
from tern_c import (
    ERROR_NULL,
    ERROR_PARAMETER,
    ERROR_SHAPE,
    FORMATS,
    OK,
    PARAMS,
    Dimensions,
    Pair,
    Shape,
    dimensions,
    make,
)

LARGE = 2**31 - 1
PAIRS = [f"tern_{name}_ref" for name in ("add", "sub", "squared_difference", "mul", "prelu", "maximum", "minimum")]


def good_params(name: str) -> Structure:
    """Parameters that every kernel accepts for an input (or two) and an output of 16 values."""
    kind = PARAMS[name]
    levels = np.array([1, 1, 1, 1])
    window = tern_c.window(Window((1, 1)))
    image = {"input": Shape(2, 2, 4), "output": Shape(2, 2, 4), "window": window}
    weights = {"input_zero_point": 0, "weights": tern_c.weights("ternary", np.ones((4, 16), int), levels, -levels)}
    if kind is tern_c.FullyConnectedParams:
        spec = Float64Requantization(np.zeros(4), np.full(4, 0.5))
        return make(kind, rows=4, inputs=4, outputs=4, **weights, requantization=tern_c.float64_requantization(spec))
    if kind in (tern_c.FullyConnectedPairsParams, tern_c.FullyConnectedFastParams):
        words = tern_c.pointer(np.array([0, 2**30, 0xFF0101] * 4), np.uint32)
        floor = make(tern_c.FloorRequantizationParams, words, 0, -128, 127)
        sizes = (4, 4, 4, 16) if kind is tern_c.FullyConnectedPairsParams else (4, 4, 4)
        return make(kind, *sizes, tern_c.pointer(np.ones(64), np.uint32), floor)
    requantization = tern_c.requantization(Requantization(np.zeros(4), np.full(4, 2**30), np.full(4, -1)))
    if kind is tern_c.Conv2dParams:
        return make(kind, **image, kernel_channels=4, **weights, requantization=requantization)
    if kind is tern_c.Conv2dGapsParams:
        pointers = [tern_c.pointer(np.full(4, value), dtype) for value, dtype in ((0, "i4"), (2**30, "i4"))]
        gaps = tern_c.gap_weights(np.ones((4, 4), int), levels, -levels, -levels)
        return make(kind, *image.values(), 0, gaps, *pointers, 0, -128, 127)
    if kind in (tern_c.Conv2dColumnsParams, tern_c.DepthwiseConv2dLinesParams):
        values = ((0x01020304, "u4"), (0, "i4"), (2**30, "i4"), (-1, "i1"))
        return make(
            kind,
            *image.values(),
            0,
            *(() if kind is tern_c.Conv2dColumnsParams else (0, 1)),
            *(tern_c.pointer(np.full(4, value), dtype) for value, dtype in values),
            0,
            -128,
            127,
        )
    if kind is tern_c.Conv2dVectorsParams:
        return make(kind, *image.values(), 0, 2, *pointers_for_vectors(), 0, -128, 127, 6)
    if kind is tern_c.DepthwiseVectorsParams:
        values = (("i1", 1), ("i1", 1), ("i4", 0), ("i4", 2**30), ("i1", -1))
        return make(kind, *image.values(), 0, *(tern_c.pointer(np.full(32, v), d) for d, v in values), 0, -128, 127)
    if kind is tern_c.FullyConnectedVectorsParams:
        return make(kind, 4, 4, 4, 2, *pointers_for_vectors(), 0, -128, 127)
    if kind in (tern_c.DepthwiseConv2dParams, tern_c.TransposeConv2dParams):
        return make(kind, **image, **weights, requantization=requantization)
    if kind is tern_c.Pool2dParams:
        return make(kind, **image, minimum=-128, maximum=127)
    if kind is tern_c.MeanWordsParams:
        return make(kind, 1, 2, 8, multiplier=2**30, shift=-1)
    if kind is tern_c.MeanParams:
        return make(kind, shape=dimensions(2, 2, 4), multiplier=2**30, shift=1)
    if kind is tern_c.AddLinearParams:
        return make(kind, 16, Pair(2**22, -(2**22)), 0, 22, -128, 127)
    if kind is tern_c.AddParams:
        strides = (Dimensions * 2)(Dimensions(16, 8, 4, 1), Dimensions(0, 0, 0, 0))
        scale = {"multiplier": Pair(2**30, 2**30), "output_multiplier": 2**30, "output_shift": -18}
        limits = {"minimum": -128, "maximum": 127}
        return make(kind, shape=dimensions(2, 2, 4), strides=strides, left_shift=20, **scale, **limits)
    strides = (Dimensions * 2)(Dimensions(16, 8, 4, 1), Dimensions(0, 0, 0, 0))
    if kind is tern_c.MulParams:
        return make(kind, dimensions(2, 2, 4), strides, Pair(0, 0), 0, 2**30, 0, -128, 127)
    if kind is tern_c.PreluParams:
        return make(kind, dimensions(2, 2, 4), strides, Pair(0, 0), 0, Pair(2**30, 2**30), Pair(0, 0))
    if kind is tern_c.ChoiceParams:
        return make(kind, dimensions(2, 2, 4), strides)
    if kind is tern_c.ReduceParams:
        return make(kind, dimensions(2, 2, 4))
    if kind is tern_c.TableParams:
        return make(kind, 16, tern_c.pointer(np.arange(256), np.uint8))
    if kind is tern_c.QuantizeParams:
        return make(kind, 4, 0, 0, 0.5)
    if kind is tern_c.CopyParams:
        return make(kind, 1, tern_c.Six(1, 1, 1, 1, 4, 4), *(tern_c.Six(0, 0, 0, 0, 4, 1),) * 2, 0, 0)
    if kind is tern_c.PadParams:
        return make(kind, dimensions(2, 4), dimensions(4, 4), Dimensions(0, 0, 1, 0), 0)
    if kind in (tern_c.PickParams, tern_c.ResizeBilinearParams):
        return make(kind, Shape(2, 2, 4), 2, 2, *(tern_c.pointer(np.array([1, 0]), np.int32) for _ in range(2)))
    if kind is tern_c.LstmParams:
        matrix = make(tern_c.LstmMatrix, FORMATS.index("ternary"), weights["weights"], 2**30, 0)
        gate = make(tern_c.LstmGate, matrix, matrix, tern_c.pointer(np.zeros(4), np.int32))
        return make(kind, 4, 4, 4, 0, 0, gate, gate, gate, gate, cell_fraction=11, hidden_multiplier=2**30)
    return tern_c.SoftmaxParams(4, 4, 2**30, 20, -31)


def pointers_for_vectors() -> list[Any]:
    """Weights, levels, biases and scales of four outputs of up to 16 weights."""
    arrays = [(np.ones(size), dtype) for size, dtype in ((64, "u1"), (4, "i1"), (4, "i1"))]
    arrays += [(np.full(4, value), dtype) for value, dtype in ((0, "i4"), (2**30, "i4"), (-1, "i1"))]
    return [tern_c.pointer(values, dtype) for values, dtype in arrays]


def buffers(name: str) -> list[np.ndarray]:
    scratch = tern_c.scratch_bytes(name, good_params(name))
    inputs = 2 if name in (*PAIRS, "tern_add_linear") else 1
    blocks = [np.ones(16, np.int8) for _ in range(inputs + 1)]
    return blocks if scratch is None else [*blocks, np.ones(scratch, np.int8)]


def changed(params: Any, path: str, value: Any) -> Structure:
    """Sets a field: `window.height`, `shape[2]`, and in arrays behind a pointer `requantization.shift->0`."""
    *parents, field = path.split(".")
    target = params
    for parent in parents:
        target = getattr(target, parent)
    if field.endswith("]"):
        field, *indices = field.replace("]", "").split("[")
        array = getattr(target, field)
        for index in indices[:-1]:
            array = array[int(index)]
        array[int(indices[-1])] = value
    else:
        setattr(target, field, value)
    return params


FAST_DEPTHWISES = ["tern_depthwise_conv2d_vectors"]
FAST = [
    "tern_conv2d_gaps",
    "tern_conv2d_columns",
    "tern_conv2d_vectors",
    "tern_depthwise_conv2d_lines",
    *FAST_DEPTHWISES,
]
CONVS = [name for name in PARAMS if "conv2d" in name and name not in FAST]
TRANSPOSED = [name for name in CONVS if "transpose" in name]
CONV2DS = [name for name in CONVS if "depthwise" not in name and "transpose" not in name]
DEPTHWISES = [name for name in CONVS if "depthwise" in name]
CONNECTED = [name for name in PARAMS if "fully_connected" in name and name.endswith("_ref")]
CONNECTED_VECTORS = ["tern_fully_connected_vectors"]
FAST_CONNECTED = [name for name in PARAMS if "fully_connected" in name and name not in (*CONNECTED, *CONNECTED_VECTORS)]
PAIRED = ["tern_fully_connected_pairs", "tern_fully_connected_split"]
PACKED = [name for name in (*CONVS, *CONNECTED) if "int8" not in name]
POOLS = [name for name in PARAMS if "pool2d" in name]
WINDOWED = [*CONVS, *FAST, *POOLS]
STEPS = ("stride_height", "stride_width", "dilation_height", "dilation_width")

HOSTILE: list[tuple[list[str], str, Any, int]] = [
    *((WINDOWED, f"{tensor}.{field}", value, ERROR_SHAPE)
      for tensor in ("input", "output") for field in ("height", "width", "channels") for value in (0, -1, LARGE)),
    *((WINDOWED, f"window.{field}", value, ERROR_SHAPE) for field in ("height", "width") for value in (0, -3)),
    *((WINDOWED, f"window.{field}", value, ERROR_PARAMETER) for field in STEPS for value in (0, -1, -LARGE)),
    *((WINDOWED, f"window.{field}", -1, ERROR_PARAMETER) for field in ("pad_top", "pad_left")),
    *((WINDOWED, f"window.{field}", LARGE, ERROR_SHAPE)
      for field in (*STEPS, "height", "width", "pad_top", "pad_left")),
    (CONV2DS, "kernel_channels", 3, ERROR_SHAPE),
    (CONV2DS, "kernel_channels", 0, ERROR_SHAPE),
    (CONV2DS, "kernel_channels", -4, ERROR_SHAPE),
    (CONV2DS, "input.channels", 20, ERROR_SHAPE),  # five groups for four outputs
    ([*DEPTHWISES, *FAST_DEPTHWISES], "input.channels", 3, ERROR_SHAPE),
    (FAST_DEPTHWISES, "output.channels", 8, ERROR_SHAPE),
    *((FAST_DEPTHWISES, f"window.{side}", 32, ERROR_SHAPE) for side in ("height", "width")),
    *((["tern_conv2d_gaps"], path, None, ERROR_NULL) for path in ("weights.gaps", "weights.channels")),
    *((FAST[1:], path, None, ERROR_NULL) for path in ("weights", "shift")),
    *((["tern_conv2d_vectors"], path, None, ERROR_NULL) for path in ("plus", "minus")),
    *((["tern_conv2d_vectors"], path, value, ERROR_PARAMETER)
      for path, values in {"bits": (-8, 0, 3, 4, 16), "block_positions": (0, -1, -LARGE)}.items()
      for value in values),
    *((["tern_depthwise_conv2d_lines"], "band", value, ERROR_PARAMETER) for value in (0, -1)),
    *((["tern_depthwise_conv2d_lines"], f"{tensor}.channels", 3, ERROR_SHAPE) for tensor in ("input", "output")),
    *((FAST, path, None, ERROR_NULL) for path in ("bias", "multiplier")),
    *((FAST, path, value, ERROR_PARAMETER)
      for path in ("input_zero_point", "zero_point", "minimum", "maximum") for value in (-129, 128)),
    *((CONNECTED_VECTORS, field, value, ERROR_SHAPE)
      for field in ("rows", "inputs", "outputs") for value in (0, -1, LARGE)),
    (CONNECTED_VECTORS, "inputs", 65_537, ERROR_SHAPE),
    *((CONNECTED_VECTORS, path, None, ERROR_NULL) for path in ("weights", "plus", "bias", "multiplier", "shift")),
    *((CONNECTED_VECTORS, path, value, ERROR_PARAMETER)
      for path in ("zero_point", "minimum", "maximum") for value in (-129, 128)),
    *((CONNECTED_VECTORS, "bits", value, ERROR_PARAMETER) for value in (-8, 0, 1, 3, 4, 16)),
    (POOLS, "output.channels", 3, ERROR_SHAPE),
    (POOLS, "window.pad_top", 1, ERROR_SHAPE),  # the first output sees nothing
    (POOLS, "output.height", 3, ERROR_SHAPE),  # the last one does
    (POOLS, "window.dilation_width", 2, ERROR_PARAMETER),
    *(([*CONNECTED, *FAST_CONNECTED], field, value, ERROR_SHAPE)
      for field in ("rows", "inputs", "outputs") for value in (0, -1, LARGE)),
    *((FAST_CONNECTED, path, value, ERROR_PARAMETER)
      for path in ("requantization.zero_point", "requantization.minimum", "requantization.maximum")
      for value in (-129, 128)),
    *((FAST_CONNECTED, path, None, ERROR_NULL) for path in ("weights", "requantization.outputs")),
    *((PAIRED, "block_inputs", value, ERROR_PARAMETER) for value in (0, -16, 8, 24, 128, LARGE)),
    *(([*CONVS, *CONNECTED], path, value, ERROR_PARAMETER)
      for path in ("input_zero_point", "requantization.zero_point", "requantization.minimum", "requantization.maximum")
      for value in (-129, 128)),
    ([*CONVS, *CONNECTED], "requantization.maximum", -128 - 1, ERROR_PARAMETER),
    ([*CONVS, *CONNECTED], "requantization.multiplier", None, ERROR_NULL),
    ([*CONVS, *CONNECTED], "requantization.shift", None, ERROR_NULL),
    ([*CONVS, *CONNECTED], "weights.data", None, ERROR_NULL),
    (PACKED, "weights.plus", None, ERROR_NULL),
    (PACKED, "weights.residual_planes", -1, ERROR_PARAMETER),
    (PACKED, "weights.residual_planes", LARGE, ERROR_PARAMETER),
    (PACKED, "weights.residual_planes", LARGE - 1, ERROR_SHAPE),
    ([name for name in (*CONVS, *CONNECTED) if "int8" in name], "weights.residual_planes", 1, ERROR_PARAMETER),
    (PACKED, "weights.minus", None, ERROR_NULL),
    (POOLS, "minimum", 128, ERROR_PARAMETER),
    (POOLS, "maximum", -129, ERROR_PARAMETER),
    *((["tern_mean_ref", "tern_reduce_max_ref", "tern_reduce_min_ref", *PAIRS], f"shape[{i}]", value, ERROR_SHAPE)
      for i in range(4) for value in (0, -1, LARGE)),
    (PAIRS, "strides[0][1]", -1, ERROR_SHAPE),
    (PAIRS, "strides[0][2]", LARGE, ERROR_SHAPE),
    *((["tern_mul_ref"], field, value, ERROR_PARAMETER)
      for field, values in {"zero_point[0]": (-129, 128), "zero_point[1]": (-129, 128), "multiplier": (-1,),
                            "output_zero_point": (-129, 128), "shift": (-32, 31), "minimum": (128, -129),
                            "maximum": (-129, 128)}.items() for value in values),
    *((["tern_prelu_ref"], field, value, ERROR_PARAMETER)
      for i in range(2) for field, values in {f"zero_point[{i}]": (-129, 128), f"multiplier[{i}]": (-1,),
                                              f"shift[{i}]": (-32, 31), "output_zero_point": (-129,)}.items()
      for value in values),
    *((["tern_table_ref"], "size", value, ERROR_SHAPE) for value in (0, -1)),
    (["tern_table_ref"], "table", None, ERROR_NULL),
    *((["tern_quantize_ref", "tern_dequantize_ref"], "size", value, ERROR_SHAPE) for value in (0, -1)),
    *((["tern_quantize_ref", "tern_dequantize_ref"], field, value, ERROR_PARAMETER)
      for field, values in {"type": (-1, 3), "zero_point": (-129, 128), "scale": (0.0, -1.0, float("nan"))}.items()
      for value in values),
    *((["tern_mean_ref"], field, value, ERROR_PARAMETER)
      for field, values in {"input_zero_point": (-129, 128), "output_zero_point": (-129, 128), "multiplier": (-1,),
                            "shift": (-32, 31)}.items() for value in values),
    *((PAIRS[:3], f"{field}[{i}]", value, ERROR_PARAMETER) for i in range(2)
      for field, values in {"zero_point": (-129, 128), "multiplier": (-1,), "shift": (1, -32)}.items()
      for value in values),
    *((PAIRS[:3], field, value, ERROR_PARAMETER)
      for field, values in {"left_shift": (-1, 23), "output_zero_point": (-129, 128), "output_multiplier": (-1,),
                            "output_shift": (1, -32), "minimum": (128, -129), "maximum": (-129, 128)}.items()
      for value in values),
    *((["tern_mean_words"], path, value, ERROR_SHAPE)
      for path in ("outer", "count", "inner") for value in (0, -1, LARGE)),
    (["tern_mean_words"], "inner", 3, ERROR_SHAPE),
    (["tern_mean_words"], "count", LARGE // 512 + 1, ERROR_SHAPE),
    *((["tern_mean_words"], field, value, ERROR_PARAMETER)
      for field, values in {"input_zero_point": (-129, 128), "output_zero_point": (-129, 128), "multiplier": (-1,),
                            "shift": (-32, 0)}.items() for value in values),
    (["tern_max_pool2d_words", "tern_average_pool2d_words"], "window.height", 257, ERROR_SHAPE),
    *((["tern_add_linear"], "size", value, ERROR_SHAPE) for value in (0, -1)),
    *((["tern_add_linear"], field, value, ERROR_PARAMETER)
      for field, values in {"multiplier[0]": (2**23, -(2**23)), "multiplier[1]": (LARGE, -LARGE), "shift": (15, 32),
                            "minimum": (128, -129), "maximum": (-129, 128)}.items()
      for value in values),
    *((["tern_copy_ref"], f"shape[{i}]", value, ERROR_SHAPE) for i in range(6) for value in (0, -1, LARGE)),
    *((["tern_copy_ref"], "element_bytes", value, ERROR_PARAMETER) for value in (0, -1, 9)),
    *((["tern_copy_ref"], path, value, ERROR_SHAPE)
      for path in ("input_offset", "output_offset", "input_strides[4]", "output_strides[5]")
      for value in (-1, LARGE, -LARGE)),
    *((["tern_pad_ref"], path, value, ERROR_SHAPE)
      for path in ("input[2]", "output[3]", "before[2]", "before[3]") for value in (-1, LARGE)),
    *((["tern_pad_ref"], "before[2]", value, ERROR_SHAPE) for value in (3, -1)),
    *((["tern_pad_ref"], "value", value, ERROR_PARAMETER) for value in (-129, 128)),
    *((["tern_pick_ref", "tern_resize_bilinear_ref"], path, value, ERROR_SHAPE)
      for path in ("input.height", "input.channels", "output_height", "output_width") for value in (0, -1, LARGE)),
    *((["tern_pick_ref"], path, 1, ERROR_PARAMETER) for path in ("input.height", "input.width")),
    *((["tern_pick_ref", "tern_resize_bilinear_ref"], path, None, ERROR_NULL) for path in ("rows", "columns")),
    *((["tern_resize_bilinear_ref"], path, 1, ERROR_PARAMETER) for path in ("input.height", "input.width")),
    *((["tern_lstm_ref"], field, value, ERROR_SHAPE)
      for field in ("steps", "inputs", "units") for value in (0, -1, LARGE)),
    *((["tern_lstm_ref"], field, value, ERROR_PARAMETER)
      for field, values in {"input_zero_point": (-129, 128), "state_zero_point": (-129, 128),
                            "hidden_zero_point": (-129, 128), "cell_fraction": (8, 16), "cell_clip": (-1, 32768),
                            "hidden_multiplier": (-1,), "hidden_shift": (-32, 31),
                            "forget_gate.input.format": (-1, 4), "cell_gate.recurrent.shift": (-32, 31),
                            "output_gate.recurrent.multiplier": (-1,),
                            "input_gate.recurrent.weights.residual_planes": (-1, LARGE)}.items()
      for value in values),
    *((["tern_lstm_ref"], path, None, ERROR_NULL)
      for path in ("output_gate.bias", "input_gate.recurrent.weights.data", "cell_gate.input.weights.plus")),
    *((["tern_softmax_ref"], field, value, ERROR_SHAPE)
      for field, values in {"rows": (0, -1, LARGE), "depth": (0, -1, 8192)}.items() for value in values),
    *((["tern_softmax_ref"], field, value, ERROR_PARAMETER)
      for field, values in {"multiplier": (-1,), "shift": (-1, 32, 31), "difference_minimum": (1, -LARGE - 1)}.items()
      for value in values if (field, value) != ("difference_minimum", -LARGE - 1)),
]  # fmt: skip


@pytest.mark.parametrize("name", PARAMS)
def test_good_parameters_are_good(name: str) -> None:
    assert tern_c.status_of(name, good_params(name), *buffers(name)) == OK


@pytest.mark.parametrize("name", PARAMS)
def test_null_pointers(name: str) -> None:
    assert tern_c.status_of(name, None, *buffers(name)) == ERROR_NULL
    for i in range(len(buffers(name))):
        arguments: list[np.ndarray | None] = list(buffers(name))
        arguments[i] = None
        assert tern_c.status_of(name, good_params(name), *arguments) == ERROR_NULL


@pytest.mark.parametrize(
    ("name", "path", "value", "status"),
    [(name, path, value, status) for names, path, value, status in HOSTILE for name in names],
)
def test_hostile_parameters(name: str, path: str, value: Any, status: int) -> None:
    arguments = buffers(name)
    assert tern_c.status_of(name, changed(good_params(name), path, value), *arguments) == status
    assert all((x == 1).all() for x in arguments), "wrote all the same"


def with_channel_values(name: str, multiplier: int, shift: int) -> Structure:
    params: Any = good_params(name)
    dtype: Callable[..., Any] = np.uint64 if name in CONNECTED else np.int32
    good = 2**52 if name in CONNECTED else 2**30
    params.requantization.multiplier = params.multipliers = tern_c.pointer(np.array([good] * 3 + [multiplier]), dtype)
    params.requantization.shift = params.shifts = tern_c.pointer(np.array([-1] * 3 + [shift]), np.int8)
    return params


@pytest.mark.parametrize("name", [*CONVS, *CONNECTED])
def test_every_channel_is_checked(name: str) -> None:
    is_float64 = name in CONNECTED
    most = -1 if name.endswith(("_gaps", "_lines")) else 30
    good = [(2**52, -31), (2**53 - 1, 30), (0, 0)] if is_float64 else [(0, -31), (LARGE, most)]
    bad = [(2**52 - 1, 0), (2**53, 0), (2**52, 31), (2**52, -32)]
    if not is_float64:
        bad = [(-1, -1), (1, most + 1), (1, -32)]
    for multiplier, shift in good:
        assert tern_c.status_of(name, with_channel_values(name, multiplier, shift), *buffers(name)) == OK
    for multiplier, shift in bad:
        assert tern_c.status_of(name, with_channel_values(name, multiplier, shift), *buffers(name)) == ERROR_PARAMETER


@pytest.mark.parametrize("name", FAST_CONNECTED)
def test_every_floor_scale_is_checked(name: str) -> None:
    good = [(0, 1), (LARGE, 22), (1, 5)]
    for multiplier, shift in [*good, (-1, 1), (1, 0), (1, -1), (1, 23)]:
        params: Any = good_params(name)
        words = np.array([0, 1, 1] * 3 + [0, multiplier % 2**32, shift % 256])
        params.requantization.outputs = params.kept = tern_c.pointer(words, np.uint32)
        status = OK if (multiplier, shift) in good else ERROR_PARAMETER
        assert tern_c.status_of(name, params, *buffers(name)) == status


def test_weights_beyond_an_int32() -> None:
    params: Any = good_params("tern_conv2d_int8_ref")
    params.input, params.output, params.kernel_channels = Shape(1, 1, 2**16), Shape(1, 1, 2**16), 2**16
    assert tern_c.status_of("tern_conv2d_int8_ref", params, *buffers("tern_conv2d_int8_ref")) == ERROR_SHAPE


def test_int8_weights_need_no_levels() -> None:
    for name in ("tern_conv2d_int8_ref", "tern_depthwise_conv2d_int8_ref", "tern_fully_connected_int8_ref"):
        params: Any = good_params(name)
        params.weights.plus = params.weights.minus = None
        params.weights.data = params.kept = tern_c.pointer(np.ones(64), c_int8)
        assert tern_c.status_of(name, params, *buffers(name)) == OK


@pytest.mark.parametrize("name", [*CONNECTED_VECTORS, *FAST_DEPTHWISES, "tern_conv2d_vectors"])
def test_every_scale_of_vectors_is_checked(name: str) -> None:
    for multiplier, shift in ((-1, -1), (2**30, 0), (2**30, 1), (2**30, -32), (2**30, -128)):
        params: Any = good_params(name)
        multipliers, shifts = [2**30] * 3 + [multiplier] + [2**30] * 12, [-1] * 3 + [shift] + [-1] * 12
        params.multiplier = params.multipliers = tern_c.pointer(np.array(multipliers), np.int32)
        params.shift = params.shifts = tern_c.pointer(np.array(shifts), np.int8)
        assert tern_c.status_of(name, params, *buffers(name)) == ERROR_PARAMETER
