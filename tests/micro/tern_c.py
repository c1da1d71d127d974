"""The C library built for this machine, and its interface in ctypes: structures as in tern.h, arrays as NumPy's."""

from __future__ import annotations

import ctypes
import functools
import shutil
import subprocess
import sys
import tempfile
from ctypes import POINTER, Structure, byref, c_float, c_int8, c_int32, c_uint8, c_void_p
from pathlib import Path
from typing import Any

import numpy as np
from numpy_kernels import Float64Requantization, Requantization, Window

MICRO = Path(__file__).resolve().parents[2] / "micro"
SOURCES = sorted((MICRO / "src").glob("*.c"))
WARNINGS = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wstrict-prototypes", "-Werror")

OK, ERROR_NULL, ERROR_ALIGNMENT, ERROR_SHAPE, ERROR_PARAMETER = range(5)

FORMATS = ("int8", "ternary", "base3", "binary")

Dimensions = c_int32 * 4
Pair = c_int32 * 2


class Shape(Structure):
    _fields_ = [(name, c_int32) for name in ("height", "width", "channels")]


class Weights(Structure):
    _fields_ = [("data", c_void_p), ("plus", c_void_p), ("minus", c_void_p), ("residual_planes", c_int32)]


class RequantizationParams(Structure):
    """tern_requantization and tern_float64_requantization, which differ in the type of the multipliers."""

    _fields_ = [
        ("bias", c_void_p),
        ("multiplier", c_void_p),
        ("shift", c_void_p),
        ("zero_point", c_int32),
        ("minimum", c_int32),
        ("maximum", c_int32),
    ]


class WindowParams(Structure):
    _fields_ = [
        (name, c_int32)
        for name in ("height", "width", "stride_height", "stride_width", "dilation_height", "dilation_width",
                     "pad_top", "pad_left")
    ]  # fmt: skip


class Conv2dParams(Structure):
    _fields_ = [
        ("input", Shape),
        ("output", Shape),
        ("window", WindowParams),
        ("kernel_channels", c_int32),
        ("input_zero_point", c_int32),
        ("weights", Weights),
        ("requantization", RequantizationParams),
    ]


class GapWeights(Structure):
    _fields_ = [(name, c_void_p) for name in ("gaps", "channels")]


class Conv2dGapsParams(Structure):
    _fields_ = [
        ("input", Shape),
        ("output", Shape),
        ("window", WindowParams),
        ("input_zero_point", c_int32),
        ("weights", GapWeights),
        *((name, c_void_p) for name in ("bias", "multiplier")),
        *((name, c_int32) for name in ("zero_point", "minimum", "maximum")),
    ]


class Conv2dColumnsParams(Structure):
    _fields_ = [
        ("input", Shape),
        ("output", Shape),
        ("window", WindowParams),
        ("input_zero_point", c_int32),
        *((name, c_void_p) for name in ("weights", "bias", "multiplier", "shift")),
        *((name, c_int32) for name in ("zero_point", "minimum", "maximum")),
    ]


class Conv2dVectorsParams(Structure):
    _fields_ = [
        ("input", Shape),
        ("output", Shape),
        ("window", WindowParams),
        *((name, c_int32) for name in ("input_zero_point", "bits")),
        *((name, c_void_p) for name in ("weights", "plus", "minus", "bias", "multiplier", "shift")),
        *((name, c_int32) for name in ("zero_point", "minimum", "maximum", "block_positions")),
    ]


class DepthwiseConv2dParams(Structure):
    _fields_ = [
        ("input", Shape),
        ("output", Shape),
        ("window", WindowParams),
        ("input_zero_point", c_int32),
        ("weights", Weights),
        ("requantization", RequantizationParams),
    ]


class DepthwiseConv2dLinesParams(Structure):
    _fields_ = [
        ("input", Shape),
        ("output", Shape),
        ("window", WindowParams),
        *((name, c_int32) for name in ("input_zero_point", "along_height", "band")),
        *((name, c_void_p) for name in ("weights", "bias", "multiplier", "shift")),
        *((name, c_int32) for name in ("zero_point", "minimum", "maximum")),
    ]


class DepthwiseVectorsParams(Structure):
    _fields_ = [
        ("input", Shape),
        ("output", Shape),
        ("window", WindowParams),
        ("input_zero_point", c_int32),
        *((name, c_void_p) for name in ("weights", "levels", "bias", "multiplier", "shift")),
        *((name, c_int32) for name in ("zero_point", "minimum", "maximum")),
    ]


class FullyConnectedParams(Structure):
    _fields_ = [
        ("rows", c_int32),
        ("inputs", c_int32),
        ("outputs", c_int32),
        ("input_zero_point", c_int32),
        ("weights", Weights),
        ("requantization", RequantizationParams),
    ]


class FullyConnectedVectorsParams(Structure):
    _fields_ = [
        *((name, c_int32) for name in ("rows", "inputs", "outputs", "bits")),
        *((name, c_void_p) for name in ("weights", "plus", "minus", "bias", "multiplier", "shift")),
        *((name, c_int32) for name in ("zero_point", "minimum", "maximum")),
    ]


class FloorRequantizationParams(Structure):
    _fields_ = [("outputs", c_void_p), *((name, c_int32) for name in ("zero_point", "minimum", "maximum"))]


class FullyConnectedPairsParams(Structure):
    _fields_ = [
        *((name, c_int32) for name in ("rows", "inputs", "outputs", "block_inputs")),
        ("weights", c_void_p),
        ("requantization", FloorRequantizationParams),
    ]


class FullyConnectedFastParams(Structure):
    """Of all fast kernels but those of pairs."""

    _fields_ = [field for field in FullyConnectedPairsParams._fields_ if field[0] != "block_inputs"]


class Pool2dParams(Structure):
    _fields_ = [
        ("input", Shape),
        ("output", Shape),
        ("window", WindowParams),
        ("minimum", c_int32),
        ("maximum", c_int32),
    ]


class MeanParams(Structure):
    _fields_ = [
        ("shape", Dimensions),
        ("reduced", c_uint8 * 4),
        ("input_zero_point", c_int32),
        ("output_zero_point", c_int32),
        ("multiplier", c_int32),
        ("shift", c_int32),
    ]


class MeanWordsParams(Structure):
    _fields_ = [
        (name, c_int32)
        for name in ("outer", "count", "inner", "input_zero_point", "output_zero_point", "multiplier", "shift")
    ]


class AddParams(Structure):
    _fields_ = [
        ("shape", Dimensions),
        ("strides", Dimensions * 2),
        ("zero_point", Pair),
        ("multiplier", Pair),
        ("shift", Pair),
        *((name, c_int32) for name in ("left_shift", "output_zero_point", "output_multiplier", "output_shift",
                                       "minimum", "maximum")),
    ]  # fmt: skip


class AddLinearParams(Structure):
    _fields_ = [
        ("size", c_int32),
        ("multiplier", Pair),
        *((name, c_int32) for name in ("offset", "shift", "minimum", "maximum")),
    ]


Six = c_int32 * 6


class MulParams(Structure):
    _fields_ = [
        ("shape", Dimensions),
        ("strides", Dimensions * 2),
        ("zero_point", Pair),
        *((name, c_int32) for name in ("output_zero_point", "multiplier", "shift", "minimum", "maximum")),
    ]


class PreluParams(Structure):
    _fields_ = [
        ("shape", Dimensions),
        ("strides", Dimensions * 2),
        ("zero_point", Pair),
        ("output_zero_point", c_int32),
        ("multiplier", Pair),
        ("shift", Pair),
    ]


class ChoiceParams(Structure):
    _fields_ = [("shape", Dimensions), ("strides", Dimensions * 2)]


class ReduceParams(Structure):
    _fields_ = [("shape", Dimensions), ("reduced", c_uint8 * 4)]


class TableParams(Structure):
    _fields_ = [("size", c_int32), ("table", c_void_p)]


class QuantizeParams(Structure):
    _fields_ = [*((name, c_int32) for name in ("size", "type", "zero_point")), ("scale", c_float)]


class CopyParams(Structure):
    _fields_ = [
        ("element_bytes", c_int32),
        *((name, Six) for name in ("shape", "input_strides", "output_strides")),
        ("input_offset", c_int32),
        ("output_offset", c_int32),
    ]


class PadParams(Structure):
    _fields_ = [*((name, Dimensions) for name in ("input", "output", "before")), ("value", c_int32)]


class PickParams(Structure):
    _fields_ = [
        ("input", Shape),
        ("output_height", c_int32),
        ("output_width", c_int32),
        ("rows", c_void_p),
        ("columns", c_void_p),
    ]


class ResizeBilinearParams(Structure):
    _fields_ = PickParams._fields_


class TransposeConv2dParams(Structure):
    _fields_ = DepthwiseConv2dParams._fields_


class LstmMatrix(Structure):
    _fields_ = [("format", c_int32), ("weights", Weights), ("multiplier", c_int32), ("shift", c_int32)]


class LstmGate(Structure):
    _fields_ = [("input", LstmMatrix), ("recurrent", LstmMatrix), ("bias", c_void_p)]


class LstmParams(Structure):
    _fields_ = [
        *((name, c_int32) for name in ("steps", "inputs", "units", "input_zero_point", "state_zero_point")),
        *((name, LstmGate) for name in ("input_gate", "forget_gate", "cell_gate", "output_gate")),
        *((name, c_int32) for name in ("cell_fraction", "cell_clip", "hidden_multiplier", "hidden_shift",
                                       "hidden_zero_point")),
    ]  # fmt: skip


class SoftmaxParams(Structure):
    _fields_ = [(name, c_int32) for name in ("rows", "depth", "multiplier", "shift", "difference_minimum")]


PARAMS: dict[str, type[Structure]] = {
    **{f"tern_conv2d_{kind}_ref": Conv2dParams for kind in FORMATS},
    "tern_conv2d_base3_expanded": Conv2dParams,
    **{f"tern_conv2d_{kind}_gaps": Conv2dParams for kind in ("base3", "binary")},
    "tern_conv2d_gaps": Conv2dGapsParams,
    "tern_conv2d_columns": Conv2dColumnsParams,
    "tern_conv2d_vectors": Conv2dVectorsParams,
    "tern_depthwise_conv2d_lines": DepthwiseConv2dLinesParams,
    **{f"tern_depthwise_conv2d_{kind}_lines": DepthwiseConv2dParams for kind in ("base3", "binary")},
    **{f"tern_depthwise_conv2d_{kind}_ref": DepthwiseConv2dParams for kind in FORMATS},
    **{f"tern_fully_connected_{kind}_ref": FullyConnectedParams for kind in FORMATS},
    "tern_depthwise_conv2d_vectors": DepthwiseVectorsParams,
    "tern_fully_connected_vectors": FullyConnectedVectorsParams,
    **{f"tern_fully_connected_{kind}": FullyConnectedPairsParams for kind in ("pairs", "split")},
    **{
        f"tern_fully_connected_{kind}": FullyConnectedFastParams
        for kind in ("tables", "split_tables", "fractions", "split_fractions", "int8")
    },
    **{f"tern_transpose_conv2d_{kind}_ref": TransposeConv2dParams for kind in FORMATS},
    "tern_lstm_ref": LstmParams,
    "tern_max_pool2d_ref": Pool2dParams,
    "tern_average_pool2d_ref": Pool2dParams,
    "tern_max_pool2d_words": Pool2dParams,
    "tern_average_pool2d_words": Pool2dParams,
    "tern_mean_ref": MeanParams,
    "tern_mean_words": MeanWordsParams,
    "tern_add_ref": AddParams,
    "tern_add_linear": AddLinearParams,
    "tern_sub_ref": AddParams,
    "tern_squared_difference_ref": AddParams,
    "tern_mul_ref": MulParams,
    "tern_prelu_ref": PreluParams,
    "tern_maximum_ref": ChoiceParams,
    "tern_minimum_ref": ChoiceParams,
    "tern_reduce_max_ref": ReduceParams,
    "tern_reduce_min_ref": ReduceParams,
    "tern_table_ref": TableParams,
    "tern_quantize_ref": QuantizeParams,
    "tern_dequantize_ref": QuantizeParams,
    "tern_copy_ref": CopyParams,
    "tern_pad_ref": PadParams,
    "tern_pick_ref": PickParams,
    "tern_resize_bilinear_ref": ResizeBilinearParams,
    "tern_softmax_ref": SoftmaxParams,
}


@functools.cache
def library() -> ctypes.CDLL:
    """Compiles all sources into a shared object with the host's compiler and loads it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "libtern.so"
        compiler = ["cc"] if shutil.which("cc") else [sys.executable, "-m", "ziglang", "cc"]
        command = [*compiler, *WARNINGS, "-O2", "-fPIC", "-shared", f"-I{MICRO / 'include'}", *map(str, SOURCES)]
        subprocess.run([*command, "-o", str(path)], check=True)
        return ctypes.CDLL(str(path))


def call(name: str, params: Structure, *inputs: np.ndarray, output: tuple[int, ...]) -> np.ndarray:
    """Calls a kernel, asserts its success and that it wrote its output, and nothing behind it and its scratch."""
    buffers = [np.ascontiguousarray(x, np.int8) for x in inputs]
    size = int(np.prod(output))
    needed = scratch_bytes(name, params)
    written = []
    for guard in (-77, 77):
        out = np.full(size + 16, guard, np.int8)
        scratch = [] if needed is None else [np.full(needed + 16, guard, np.int8)]
        status = status_of(name, params, *buffers, out, *scratch)
        assert status == OK, f"{name} returned {status}"
        assert (out[size:] == guard).all(), f"{name} wrote behind its output"
        assert all((block[needed:] == guard).all() for block in scratch), f"{name} wrote behind its scratch"
        written.append(out[:size])
    np.testing.assert_array_equal(written[0], written[1], err_msg=f"{name} left a part of its output unwritten")
    return written[0].reshape(output)


def scratch_bytes(name: str, params: Structure) -> int | None:
    """What `NAME_scratch_bytes` says; None for a kernel that takes no scratch."""
    function = getattr(library(), f"{name}_scratch_bytes", None)
    return None if function is None else function(byref(params))


def status_of(name: str, params: Structure | None, *buffers: np.ndarray | None) -> int:
    """Calls a kernel and returns its status; None is a null pointer."""
    if params is not None:
        assert isinstance(params, PARAMS[name])
    pointers = [None if x is None else x.ctypes.data_as(POINTER(c_int8)) for x in buffers]
    return getattr(library(), name)(None if params is None else byref(params), *pointers)


def make(kind: type[Structure], *values: Any, **fields: Any) -> Any:
    """A structure that keeps alive what it is made of: assigning a nested one only copies its bytes."""
    params = kind(*values, **fields)
    params.made_of = (values, fields)
    return params


def pointer(array: np.ndarray | None, dtype: Any) -> c_void_p | None:
    """The address of an array's copy of `dtype`; the pointer keeps the copy alive."""
    return None if array is None else np.ascontiguousarray(array, dtype).ctypes.data_as(c_void_p)


def window(spec: Window) -> WindowParams:
    return WindowParams(*spec.kernel, *spec.stride, *spec.dilation, *spec.pad)


def packed(codes: np.ndarray, bits: int) -> np.ndarray:
    """Packs rows of codes, the first in the lowest bits, every row from a byte on."""
    rows = np.pad(codes, ((0, 0), (0, -codes.shape[1] % (8 // bits))))
    fields = rows.reshape(len(rows), -1, 8 // bits).astype(np.uint8) << np.arange(0, 8, bits, dtype=np.uint8)
    return np.bitwise_or.reduce(fields, -1)


def packed_base3(codes: np.ndarray) -> np.ndarray:
    """Packs -1, 0, 1 five a byte as digits 0, 1, 2, the first lowest; rows follow without gaps, zeros fill the last."""
    digits = np.append(codes.ravel(), np.zeros(-codes.size % 5)).reshape(-1, 5) + 1
    return digits @ 3 ** np.arange(5)


def weights(kind: str, codes: np.ndarray, plus: np.ndarray | None = None, minus: np.ndarray | None = None) -> Weights:
    """Weights in one of the formats.

    Args:
        kind: One of FORMATS.
        codes: (rows, weights), for int8 the weights themselves, else 1 for plus, -1 for minus, 0 for zero; with a
            leading dimension of planes where there are residual ones.
        plus: One level an output channel, (planes, channels) with planes; int8 needs none.
        minus: The same.
    """
    planes = codes.reshape(-1, *codes.shape[-2:])
    rows = planes.reshape(-1, codes.shape[-1])
    if kind == "int8":
        return make(Weights, pointer(codes, np.int8), None, None)
    data = {
        "ternary": lambda: packed(np.where(rows < 0, 3, rows), 2),
        "base3": lambda: packed_base3(rows),
        "binary": lambda: packed(rows > 0, 1),
    }[kind]()
    return make(Weights, pointer(data, np.uint8), pointer(plus, np.int8), pointer(minus, np.int8), len(planes) - 1)


def gap_weights(codes: np.ndarray, plus: np.ndarray, minus: np.ndarray, shift: np.ndarray) -> GapWeights:
    """Rows of codes -1, 0, 1 as gaps, one step after the other; and their levels and shifts."""
    words: list[int] = []
    channels: list[int] = []
    for row, *levels, exponent in zip(codes, minus.tolist(), plus.tolist(), shift.tolist(), strict=True):
        steps = []
        for sign in (-1, 1):
            gaps: list[int] = []
            at = 0
            for index in np.flatnonzero(row == sign):
                target = index + index // 12
                while target - at > 15:
                    zeros = max(i for i in range(at + 1, at + 16) if i % 13 == 12)
                    gaps.append(zeros - at)
                    at = zeros
                gaps.append(int(target - at))
                at = int(target)
            steps.append(len(gaps))
            aligned = [0] * (-len(gaps) % 8) + gaps
            words += [sum(gap << 4 * i for i, gap in enumerate(aligned[j : j + 8])) for j in range(0, len(aligned), 8)]
        joint = int(levels[0] + levels[1] == 0 and sum(steps) < 256)
        parts = (levels[0] % 256, -exponent - 1, levels[1] % 256, joint)
        channels += [steps[0] + steps[1] * 65536, sum(part << 8 * i for i, part in enumerate(parts))]
    return make(GapWeights, pointer(np.array(words), np.uint32), pointer(np.array(channels), np.uint32))


def requantization(spec: Requantization) -> RequantizationParams:
    return make(
        RequantizationParams,
        pointer(spec.bias, np.int32),
        pointer(spec.multiplier, np.int32),
        pointer(spec.shift, np.int8),
        spec.zero_point,
        spec.minimum,
        spec.maximum,
    )


def float64_requantization(spec: Float64Requantization) -> RequantizationParams:
    fraction, shift = np.frexp(spec.real)
    vanishing = shift < -31  # no int32 scales to a half
    fraction, shift = np.where(vanishing, 0, fraction), np.where(vanishing, 0, shift)
    return make(
        RequantizationParams,
        pointer(spec.bias, np.int32),
        pointer(np.ldexp(fraction, 53), np.uint64),
        pointer(shift, np.int8),
        spec.zero_point,
        spec.minimum,
        spec.maximum,
    )


def dimensions(*shape: int) -> Any:
    """Four dimensions, missing leading ones 1."""
    return Dimensions(*(1,) * (4 - len(shape)), *shape)
