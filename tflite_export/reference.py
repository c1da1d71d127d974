"""The int8 model in TFLite's own reference kernels: what every artefact must equal, bit for bit."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from tflite_export.errors import ExportError
from tflite_export.reference_tflm import TflmReference, is_installed

_TILE_LISTED = 2
# Where an operator code's table of fields tells the place of its version.
_VERSION_FIELD = 8


def reference_of(tflite: bytes) -> Reference | TflmReference:
    """What a model is verified against: LiteRT's reference kernels, or TFLM's where LiteRT refuses the file.

    Args:
        tflite: content of a `.tflite` file with integer or float inputs and outputs and a batch of one.

    Raises:
        ExportError: if neither takes it, or LiteRT refuses it and TFLM's interpreter is not installed.
    """
    try:
        return Reference(tflite)
    except ExportError as error:
        if not is_installed():
            raise ExportError(f"{error}; TFLM may take it: pip install tern-keras[tflm]") from error
        try:
            return TflmReference(tflite)
        except ExportError as other:
            raise ExportError(f"{error}; {other}") from other


class Reference:
    """LiteRT's interpreter with the BUILTIN_REF resolver.

    The default resolver's XNNPACK kernels differ from it by a unit in the last place here and there.

    Args:
        tflite: content of a `.tflite` file with int8 inputs and outputs and a batch of one.
        delegates: what runs the operators that are not TFLite's own.

    Raises:
        ExportError: if LiteRT refuses the file.
    """

    runtime = "LiteRT's reference kernels"

    def __init__(self, tflite: bytes, delegates: Sequence[Any] = ()) -> None:
        try:
            self._interpreter = Interpreter(
                model_content=_with_versions_known(tflite),
                experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
                experimental_delegates=list(delegates),
            )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ExportError(f"LiteRT refuses the model: {error}") from error
        self._inputs = self._interpreter.get_input_details()
        self._outputs = self._interpreter.get_output_details()

    def __call__(self, samples: np.ndarray, progress: Callable[[int], None] | None = None) -> np.ndarray:
        """Run samples, each from a state of zero.

        Args:
            samples: int8, shape (samples, bytes): a row is all inputs of a sample, one after the other.
            progress: called with the number of samples done.

        Returns:
            int8, shape (samples, bytes): a row is all outputs, one after the other.
        """
        sizes = [np.prod(detail["shape"]) * np.dtype(detail["dtype"]).itemsize for detail in self._inputs]
        splits = np.cumsum(sizes)[:-1]
        rows = []
        for count, sample in enumerate(samples, 1):
            self._interpreter.reset_all_variables()
            for detail, values in zip(self._inputs, np.split(sample, splits), strict=True):
                self._interpreter.set_tensor(detail["index"], values.view(detail["dtype"]).reshape(detail["shape"]))
            self._interpreter.invoke()
            rows.append(
                [self._interpreter.get_tensor(detail["index"]).ravel().view(np.int8) for detail in self._outputs]
            )
            if progress is not None:
                progress(count)
        return np.array([np.concatenate(row) for row in rows], np.int8)


def _with_versions_known(tflite: bytes) -> bytes:
    """The file, with operators of a version that the resolver lists.

    BUILTIN_REF has the same kernel of TILE as the other resolvers, but lists it up to version 2, not 3.
    """
    content = bytearray(tflite)
    try:
        model = schema.Model.GetRootAs(content, 0)
        for code in map(model.OperatorCodes, range(model.OperatorCodesLength())):
            if code.BuiltinCode() == schema.BuiltinOperator.TILE and code.Version() == _TILE_LISTED + 1:
                place = code._tab.Pos + code._tab.Offset(_VERSION_FIELD)
                content[place : place + 4] = _TILE_LISTED.to_bytes(4, "little")
    except (struct.error, IndexError, TypeError, ValueError):  # a damaged file: LiteRT says what is wrong with it
        return tflite
    return bytes(content)
