"""The int8 model in TFLM's own kernels, by the interpreter of the package `tflite-micro`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tflite_export.errors import ExportError

# Of the interpreter, far more than a microcontroller has.
_ARENA_BYTES = 1 << 24


def is_installed() -> bool:
    """Whether the package is there; it is not imported."""
    return importlib.util.find_spec("tflite_micro") is not None


class TflmReference:
    """TFLM's interpreter, with its reference kernels.

    Args:
        tflite: content of a `.tflite` file with int8 inputs and outputs and a batch of one; its weights may be
            compressed.

    Raises:
        ExportError: if the package is not installed, or TFLM refuses the file.
    """

    runtime = "TFLM's reference kernels"

    def __init__(self, tflite: bytes) -> None:
        if not is_installed():
            raise ExportError("TFLM's interpreter is not installed: pip install tern-keras[tflm]")
        from tflite_micro.python.tflite_micro import runtime

        try:
            self._interpreter = runtime.Interpreter.from_bytes(tflite, arena_size=_ARENA_BYTES)
        except (RuntimeError, ValueError) as error:
            raise ExportError(f"TFLM refuses the model: {error}") from error
        # not by Graph: compressed weights have shapes that no other runtime would take
        subgraph = schema.Model.GetRootAs(tflite, 0).Subgraphs(0)
        self._inputs = [self._interpreter.get_input_details(i) for i in range(subgraph.InputsLength())]
        self._outputs = subgraph.OutputsLength()

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
        for count, sample in enumerate(np.ascontiguousarray(samples), 1):
            self._interpreter.reset()
            for index, (detail, values) in enumerate(zip(self._inputs, np.split(sample, splits), strict=True)):
                self._interpreter.set_input(values.view(detail["dtype"]).reshape(detail["shape"]), index)
            self._interpreter.invoke()
            outputs = [self._interpreter.get_output(index) for index in range(self._outputs)]
            rows.append(np.concatenate([values.ravel().view(np.int8) for values in outputs]))
            if progress is not None:
                progress(count)
        return np.array(rows, np.int8)
