"""Targets `int4` and `int2`: weights that are small integers in 4 or 2 bits, where LiteRT runs them exactly.

The integers and scales stay those of the int8 file, so the outputs do. Ternary weights are -1, 0 and 1 in a file that
was converted with `unit_levels`; in others they are 127 times that, and stay int8.
"""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tflite_export.graph import Graph
from tflite_export.levels import weights_of
from tflite_export.reference import Reference
from tflite_export.targets.editing import Editor
from tflite_export.targets.target import Packed, PackTarget

_TYPES = {4: schema.TensorType.INT4, 2: schema.TensorType.INT2}
# LiteRT's kernels for INT2 are those of FULLY_CONNECTED alone.
_OPERATORS = {4: ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"), 2: ("FULLY_CONNECTED",)}


def pack_small_integers(tflite: bytes, bits: int) -> Packed:
    """Store weights that fit so many bits in so many bits.

    Args:
        tflite: content of an int8 file.
        bits: 4 (values from -8 to 7; CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED) or 2 (-2 to 1; FULLY_CONNECTED).

    Returns:
        The packed file; the file itself where nothing fits.

    Raises:
        ExportError: if it is no `.tflite` file, or is damaged.

    Example:
        >>> import keras, numpy as np
        >>> from tern_keras.layers import QuantDense
        >>> from tflite_export import convert
        >>> from tflite_export.targets.small_integers import pack_small_integers
        >>> model = keras.Sequential([keras.Input((128,)), QuantDense(64, kernel_quantizer="twn")])
        >>> samples = np.random.default_rng(0).normal(size=(64, 128)).astype("float32")
        >>> packed = pack_small_integers(convert(model, samples, unit_levels=True), bits=2)
        >>> list(packed.formats.values())
        ['int2']
    """
    graph = Graph.read(tflite)
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    editor = Editor(tflite)
    formats: dict[int, str] = {}
    notes = []
    # whatever reads them: as an operand of another operator they would have another type as well
    operators: dict[int, set[str]] = {tensor.index: set() for op in graph.ops for tensor in weights_of(op)}
    for op in graph.ops:
        for read in op.inputs:
            if read is not None and read.index in operators:
                operators[read.index].add(op.name)
    for index, names in operators.items():
        tensor = graph.tensors[index]
        assert tensor.data is not None
        formats[index] = "int8"
        if others := sorted(names - set(_OPERATORS[bits])):
            notes.append(f"{tensor} stays int8: LiteRT's {', '.join(others)} does not take int{bits}")
        elif tensor.data.min() < low or tensor.data.max() > high:
            reach = f"{tensor.data.min()} to {tensor.data.max()}"
            notes.append(f"{tensor} stays int8: its values go from {reach}, int{bits} holds {low} to {high}")
        else:
            formats[index] = f"int{bits}"
            editor.set_data(index, _packed(tensor.data, bits), _TYPES[bits])
    packed = f"int{bits}" in formats.values()
    return Packed(editor.content() if packed else tflite, formats, tuple(notes))


def _packed(values: np.ndarray, bits: int) -> np.ndarray:
    """Two's complement, the first value of a byte in its lowest bits."""
    in_byte = 8 // bits
    flat = np.pad(values.reshape(-1), (0, -values.size % in_byte)).astype(np.uint8) & (2**bits - 1)
    return np.bitwise_or.reduce(flat.reshape(-1, in_byte) << np.arange(0, 8, bits, dtype=np.uint8), axis=1)


def _target(bits: int) -> PackTarget:
    return PackTarget(
        pack=lambda tflite, optimize: pack_small_integers(tflite, bits),
        load=Reference,
        runtime="LiteRT's reference kernels",
    )


INT4, INT2 = _target(4), _target(2)
