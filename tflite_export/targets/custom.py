"""Ternary and binary weights packed in custom operators, for LiteRT, TensorFlow Lite and TFLM.

An operator becomes the call of `micro/`'s kernel that the C export would make of it, written down: packed weights,
levels, bias, multipliers and shifts as constants, the rest as custom options; `tern_custom_op.h` documents them. A
delegate (`tflite_export.delegate`) and the sources in `micro/tflm` run them. What stays int8 stays a builtin operator.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tflite_export.delegate import load_delegate
from tflite_export.errors import ExportError
from tflite_export.graph import Graph, Op
from tflite_export.kernel_call import Constant, KernelCall
from tflite_export.levels import find_planes, weights_of
from tflite_export.lowering.context import Context
from tflite_export.lowering.weighted import CANDIDATES
from tflite_export.reference import Reference
from tflite_export.targets.editing import Editor
from tflite_export.targets.target import Packed, PackTarget, Runner

OPTIONS_VERSION = 1
OP_NAMES = {
    "CONV_2D": "TernConv2D",
    "DEPTHWISE_CONV_2D": "TernDepthwiseConv2D",
    "TRANSPOSE_CONV": "TernTransposeConv",
    "FULLY_CONNECTED": "TernFullyConnected",
}
# The numbers that the custom options name a weight format by.
FORMATS = {"ternary": 0, "base3": 1, "binary": 2}

# The fields in front of the weights that the custom options hold.
_WINDOWED = ("input", "output", "window")
_GEOMETRY = {
    "CONV_2D": (*_WINDOWED, "kernel_channels", "input_zero_point"),
    "DEPTHWISE_CONV_2D": (*_WINDOWED, "input_zero_point"),
    "TRANSPOSE_CONV": (*_WINDOWED, "input_zero_point"),
    "FULLY_CONNECTED": ("rows", "inputs", "outputs", "input_zero_point"),
}
_INPUTS = ("weights", "levels", "bias", "multiplier", "shift")

# What a constant takes in the file beside its data: measured, rounded up.
_CONSTANT_BYTES = 80
# A scale and a zero point of weights and bias, which nothing reads in the packed file.
_CHANNEL_BYTES = 2 * (4 + 8)


def pack_custom(tflite: bytes, optimize: str = "speed") -> Packed:
    """Pack the ternary and binary weights of an int8 `.tflite` into custom operators.

    Args:
        tflite: content of the file.
        optimize: "speed" packs ternary weights in 2 bits, "size" in 1.6 bits where that is smaller.

    Returns:
        The packed file; the file itself where nothing in it would shrink.

    Raises:
        ExportError: if it is not a `.tflite` file, or is damaged.

    Example:
        >>> import keras, numpy as np
        >>> from tern_keras.layers import QuantDense
        >>> from tflite_export import convert
        >>> from tflite_export.targets.custom import pack_custom
        >>> model = keras.Sequential([keras.Input((64,)), QuantDense(32, kernel_quantizer="twn")])
        >>> int8 = convert(model, np.random.default_rng(0).normal(size=(64, 64)).astype("float32"))
        >>> packed = pack_custom(int8)
        >>> list(packed.formats.values()), len(packed.tflite) < len(int8)
        (['ternary'], True)
    """
    packed = rewrite(tflite, optimize, _why_not_smaller)
    if packed.tflite == tflite or len(packed.tflite) < len(tflite):
        return packed
    growth = f"all layers stay int8: the packed file would take {len(packed.tflite):,} bytes, not {len(tflite):,}"
    return Packed(tflite, dict.fromkeys(packed.formats, "int8"), (*packed.notes, growth))


def rewrite(tflite: bytes, optimize: str, why_not: Callable[[KernelCall], str | None]) -> Packed:
    """Pack those operators that nothing speaks against.

    Args:
        tflite: content of an int8 file.
        optimize: "speed" or "size".
        why_not: from the call that an operator would become to why it shall stay as it is, or None.

    Returns:
        The packed file; the very file where no operator is packed.
    """
    graph = Graph.read(tflite)
    context = Context(find_planes(graph), optimize)
    editor = Editor(tflite)
    formats: dict[int, str] = {}
    notes = []
    for op in graph.ops:
        weights = next(iter(weights_of(op)), None)
        if op.name not in OP_NAMES or weights is None:
            continue
        call, reason = _packed_call(op, context)
        if call is not None:
            reason = why_not(call)
        if call is None or reason is not None:
            notes.append(f"{op} stays int8: {reason}")
            formats.setdefault(weights.index, "int8")
            continue
        _replace(editor, call)
        formats[weights.index] = str(call.weight_format)
    content = editor.content() if set(formats.values()) & FORMATS.keys() else tflite
    return Packed(content, formats, tuple(notes))


def _packed_call(op: Op, context: Context) -> tuple[KernelCall | None, str | None]:
    """The call with packed weights that an operator becomes, or None and why there is none."""
    try:
        calls = CANDIDATES[op.name](op, context)
    except ExportError as error:
        return None, str(error)
    call = next((call for call in calls if call.weight_format in FORMATS and call.function.endswith("_ref")), None)
    return call, None if call is not None else calls[-1].reason.removeprefix("int8: ")


def _why_not_smaller(call: KernelCall) -> str | None:
    constants = _constants(call)
    new_bytes = len(_options(call)) + sum(array.nbytes + _CONSTANT_BYTES for array in constants.values())
    old = [tensor for tensor in call.op.inputs if tensor is not None and tensor.data is not None]
    old_bytes = sum(tensor.nbytes + _CONSTANT_BYTES for tensor in old) + _CHANNEL_BYTES * constants["shift"].size
    return None if new_bytes < old_bytes else f"packed it would take {new_bytes:,} bytes, not {old_bytes:,}"


def _replace(editor: Editor, call: KernelCall) -> None:
    constants = {name: editor.add_constant(name, array) for name, array in _constants(call).items()}
    inputs = [call.inputs[0].index, *(constants.get(name, -1) for name in _INPUTS)]
    editor.make_custom(call.op.index, OP_NAMES[call.op.name], inputs, _options(call))


def _constants(call: KernelCall) -> dict[str, np.ndarray]:
    weights, requantization = _struct(call, "weights"), _struct(call, "requantization")
    arrays = {name: field.data for name, field in {**weights, **requantization}.items() if isinstance(field, Constant)}
    multiplier = arrays["multiplier"]
    found = {
        "weights": arrays["data"],
        "levels": np.stack([arrays["plus"], arrays["minus"]]),
        # the files know no uint64, and the numbers are below 2^53
        "multiplier": multiplier.view(np.int64) if multiplier.dtype == np.uint64 else multiplier,
        "shift": arrays["shift"],
    }
    return found | ({"bias": arrays["bias"]} if "bias" in arrays else {})


def _options(call: KernelCall) -> bytes:
    numbers: list[Any] = [OPTIONS_VERSION, FORMATS[str(call.weight_format)]]
    for name in _GEOMETRY[call.op.name]:
        field = call.fields[name]
        numbers += field.values() if isinstance(field, Mapping) else [field]
    numbers.append(_struct(call, "weights")["residual_planes"])
    requantization = _struct(call, "requantization")
    numbers += [requantization[name] for name in ("zero_point", "minimum", "maximum")]
    return struct.pack(f"<{len(numbers)}i", *numbers)


def _struct(call: KernelCall, name: str) -> Mapping:
    field = call.fields[name]
    assert isinstance(field, Mapping)
    return field


def _load(tflite: bytes) -> Runner:
    return Reference(tflite, delegates=[load_delegate()])


TARGET = PackTarget(pack=pack_custom, load=_load, runtime="LiteRT with the delegate")
