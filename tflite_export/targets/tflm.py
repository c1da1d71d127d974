"""Target `tflm`: weights as look-up tables, which TFLM's DECODE operator expands when a model is run.

A ternary channel is three values and 2 bits a weight. TFLM's own tool writes the file; what is chosen here is which
tensors, with how many bits, and that the file shrinks.
"""

from __future__ import annotations

import math
import warnings

import numpy as np

from tflite_export.errors import ExportError
from tflite_export.graph import Graph, Tensor
from tflite_export.levels import weights_of
from tflite_export.reference_tflm import TflmReference, is_installed
from tflite_export.targets.editing import Editor
from tflite_export.targets.target import Packed, PackTarget

# Tables of more values than 2^4 save less than they cost in time.
_MAXIMUM_BITS = 4


def pack_tflm(tflite: bytes, optimize: str = "speed") -> Packed:
    """Compress the weights of an int8 `.tflite` that hold few values a channel.

    A table costs some 400 bytes a tensor in the file, and the expanded tensor lies in TFLM's arena. A tensor is
    compressed where the file shrinks by it.

    Args:
        tflite: content of the file.
        optimize: has no effect: TFLM has one format.

    Returns:
        The packed file; the file itself where nothing in it would shrink.

    Raises:
        ExportError: if it is no `.tflite` file, TFLM's tools are not installed, or they refuse the file.

    Example:
        >>> import keras, numpy as np
        >>> from tern_keras.layers import QuantDense
        >>> from tflite_export import convert
        >>> from tflite_export.targets.tflm import pack_tflm
        >>> model = keras.Sequential([keras.Input((128,)), QuantDense(64, kernel_quantizer="twn")])
        >>> int8 = convert(model, np.random.default_rng(0).normal(size=(64, 128)).astype("float32"))
        >>> packed = pack_tflm(int8)
        >>> list(packed.formats.values()), len(packed.tflite) < len(int8)
        (['2-bit table'], True)
    """
    graph = Graph.read(tflite)
    if not is_installed():
        raise ExportError("TFLM's tools are not installed: pip install tern-keras[tflm]")
    plain = _with_builtin_codes(tflite)
    chosen: dict[int, int] = {}
    formats: dict[int, str] = {}
    notes = []
    for op in graph.ops:
        for tensor in weights_of(op):
            if tensor.index in formats:
                continue
            bits = table_bits(tensor)
            size = None if bits is None else len(_compressed(plain, {tensor.index: (bits, _axis(tensor))}))
            formats[tensor.index] = "int8"
            if bits is None or size is None:
                notes.append(f"{op} keeps {tensor} as it is: more than {2**_MAXIMUM_BITS} values a channel")
            elif size >= len(plain):
                sizes = f"{size:,} bytes, not {len(plain):,}"
                notes.append(f"{op} keeps {tensor} as it is: with a table the file would take {sizes}")
            else:
                formats[tensor.index] = f"{bits}-bit table"
                chosen[tensor.index] = bits
    if not chosen:
        return Packed(tflite, formats, tuple(notes))
    axes = {index: (bits, _axis(graph.tensors[index])) for index, bits in chosen.items()}
    packed = _compressed(plain, axes)
    if len(packed) < len(tflite):
        return Packed(packed, formats, tuple(notes))
    why = f"all tensors stay int8: the packed file would take {len(packed):,} bytes, not {len(tflite):,}"
    return Packed(tflite, dict.fromkeys(formats, "int8"), (*notes, why))


def table_bits(tensor: Tensor) -> int | None:
    """Bits of an index into a table of a channel's values, or None if that takes more than 4.

    Args:
        tensor: an int8 constant, quantised per tensor or along one axis.
    """
    assert tensor.data is not None
    axis = _axis(tensor)
    slices = tensor.data[None] if axis is None else np.moveaxis(tensor.data, axis, 0)
    rows = slices.reshape(len(slices), -1)
    most = max(len(np.unique(row)) for row in rows)
    bits = max(1, math.ceil(math.log2(most)))
    return bits if bits <= _MAXIMUM_BITS else None


def _axis(tensor: Tensor) -> int | None:
    """Along which dimension each slice has a table: TFLM wants that of the scales, or none where there is one scale."""
    quantization = tensor.quantization
    return None if quantization is None or quantization.scales.size == 1 else quantization.axis


def _with_builtin_codes(tflite: bytes) -> bytes:
    """The file as TFLM's tool understands it: old converters left out the field that it tells operators apart by."""
    editor = Editor(tflite)
    for code in editor.model.operatorCodes:
        code.builtinCode = max(code.builtinCode, code.deprecatedBuiltinCode)
    return editor.whole_content()


def _compressed(tflite: bytes, tables: dict[int, tuple[int, int | None]]) -> bytes:
    """The file with tables for some tensors: bits and axis by the tensor's index."""
    from tflite_micro.tensorflow.lite.micro import compression
    from tflite_micro.tensorflow.lite.micro.compression import spec

    specification = [
        spec.Tensor(
            subgraph=0,
            tensor=index,
            compression=[
                spec.LookUpTableCompression(
                    index_bitwidth=bits, mode=spec.PerTensor() if axis is None else spec.PerChannel(axis)
                )
            ],
        )
        for index, (bits, axis) in tables.items()
    ]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tensors that grow: they are left out
            compressed = bytes(compression.compress(bytearray(tflite), specification))
    except Exception as error:  # the tool has many of its own
        raise ExportError(f"TFLM's compression refuses the model: {error}") from error
    return Editor(compressed).content()  # without the names and codes that the tool leaves behind


TARGET = PackTarget(
    pack=pack_tflm,
    load=TflmReference,
    runtime="TFLM",
    # its fully connected kernels round otherwise than LiteRT's
    reference=TflmReference,
)
