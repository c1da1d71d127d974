"""The inputs and outputs of a model, and how real numbers become theirs."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from tflite_export.errors import ExportError
from tflite_export.graph import Tensor

# Calibration leaves out some extremes; data in other units is clipped far more often.
_PLAUSIBLE_CLIPPING = 0.02


@dataclass(frozen=True)
class Interface:
    """An input or output of a model: integers, `real = scale * (q - zero_point)`, or floats.

    Attributes:
        name: the tensor's name.
        shape: NHWC, a batch of one included.
        scale: of the quantisation; 1 for floats.
        zero_point: of the quantisation; 0 for floats.
        dtype: "int8", "uint8", "int16" or "float32".
    """

    name: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int
    dtype: str = "int8"

    @classmethod
    def of(cls, tensor: Tensor) -> Interface:
        """The interface that a tensor is."""
        if tensor.dtype == "float32":
            return cls(tensor.name, tensor.shape, 1.0, 0, tensor.dtype)
        return cls(tensor.name, tensor.shape, tensor.scale, tensor.zero_point, tensor.dtype)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self.size * np.dtype(self.dtype).itemsize

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Real values, shape (samples, *shape[1:]) or (samples, size), to the input's bytes: int8, (samples, nbytes).

        Raises:
            ExportError: if the samples have another shape, or one is not a number.
        """
        values = np.asarray(values)
        if values.shape[1:] not in (self.shape[1:], (self.size,)) or len(values) == 0:
            expected = ", ".join(map(str, self.shape[1:]))
            raise ExportError(
                f"the data for '{self.name}' has the shape {values.shape}, expected (samples, {expected})"
            )
        if values.dtype.kind != "f" or not np.isfinite(values).all():
            raise ExportError(
                f"the data for '{self.name}' is {values.dtype}, or not finite: give floating-point samples, "
                "scaled as the model's training data was"
            )
        rows = values.reshape(len(values), -1)
        if self.dtype == "float32":
            return rows.astype(np.float32).view(np.int8)
        scaled = np.rint(rows.astype(np.float64) / self.scale) + self.zero_point
        limits = np.iinfo(self.dtype)
        outside = float(np.mean((scaled < limits.min - 0.5) | (scaled > limits.max + 0.5)))
        if outside > _PLAUSIBLE_CLIPPING:
            low, high = ((bound - self.zero_point) * self.scale for bound in (limits.min, limits.max))
            warnings.warn(
                f"{outside:.0%} of the values for '{self.name}' are outside of the model's input range [{low:.3g}, "
                f"{high:.3g}]: are they scaled as the training and the calibration data were?",
                stacklevel=2,
            )
        return np.clip(scaled, limits.min, limits.max).astype(self.dtype).view(np.int8)

    def dequantize(self, rows: np.ndarray) -> np.ndarray:
        """The output's bytes, int8 of shape (samples, nbytes), to float32 of shape (samples, *shape[1:])."""
        values = np.ascontiguousarray(rows, np.int8).view(self.dtype)
        real = (values.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)
        return real.reshape(-1, *self.shape[1:])


def expected_arrays(inputs: int) -> str:
    """What to give for so many inputs."""
    if inputs == 1:
        return "give one array of shape (samples, ...)"
    return f"give a list of {inputs} arrays of the same length, one an input"
