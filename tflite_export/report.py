"""What an export made, and what it costs: kept as `report.json` beside the artefacts."""

from __future__ import annotations

import dataclasses
import errno
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from tflite_export.errors import ExportError
from tflite_export.graph import Tensor
from tflite_export.memory import PlacedBuffer

REPORT_FILE = "report.json"
# Calibration leaves out some extremes; data in other units is clipped far more often.
_PLAUSIBLE_CLIPPING = 0.02


@dataclass(frozen=True)
class Interface:
    """An input or output of a model: int8, `real = scale * (q - zero_point)`.

    Attributes:
        name: the tensor's name.
        shape: NHWC, a batch of one included.
        scale: of the quantisation.
        zero_point: of the quantisation.
    """

    name: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int

    @classmethod
    def of(cls, tensor: Tensor) -> Interface:
        """The interface that a tensor is."""
        return cls(tensor.name, tensor.shape, tensor.scale, tensor.zero_point)

    @property
    def size(self) -> int:
        """Bytes."""
        return int(np.prod(self.shape))

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Real values, shape (samples, *shape[1:]) or (samples, size), to int8, shape (samples, size).

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
        scaled = np.rint(values.reshape(len(values), -1).astype(np.float64) / self.scale) + self.zero_point
        outside = float(np.mean((scaled < -128.5) | (scaled > 127.5)))
        if outside > _PLAUSIBLE_CLIPPING:
            low, high = ((bound - self.zero_point) * self.scale for bound in (-128, 127))
            warnings.warn(
                f"{outside:.0%} of the values for '{self.name}' are outside of the model's input range [{low:.3g}, "
                f"{high:.3g}]: are they scaled as the training and the calibration data were?",
                stacklevel=2,
            )
        return np.clip(scaled, -128, 127).astype(np.int8)


def expected_arrays(inputs: int) -> str:
    """What to give for so many inputs."""
    if inputs == 1:
        return "give one array of shape (samples, ...)"
    return f"give a list of {inputs} arrays of the same length, one an input"


@dataclass(frozen=True)
class LayerReport:
    """A kernel call of the generated C.

    Attributes:
        op: the TFLite operator.
        name: its output tensor's name.
        kernel: the C function.
        weights: "int8", "ternary", "binary" or None.
        input_shape: of its first input.
        output_shape: of its output.
        macs: multiply-accumulates of the convolution or product, padding included; 0 for other operators.
        density: the fraction of weights that are not zero, or None.
        weight_bytes: packed weights and levels, as stored; arrays that an earlier call holds are not stored again.
        constant_bytes: bias, multipliers and shifts, likewise.
    """

    op: str
    name: str
    kernel: str
    weights: str | None
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    macs: int
    density: float | None
    weight_bytes: int
    constant_bytes: int


@dataclass(frozen=True)
class ExportReport:
    """What an export made.

    Attributes:
        folder: where the artefacts are.
        name: the model's name, the prefix of its files and C names.
        targets: which artefacts there are: "int8" (`NAME.tflite` and the C array of it), "c".
        inputs: of the model.
        outputs: of the model.
        tflite_bytes: size of the `.tflite` file.
        arena_bytes: RAM between the layers; 0 without C.
        arena_lower_bound: the largest sum of tensors that live at the same time.
        arena_proved_optimal: no arena is smaller, with these kernels and tensors that share bytes as they do.
        arena_peak: the layers that need most of the arena, as indices of `layers`.
        buffers: what lies in the arena, and from which layer to which.
        layers: a row a kernel call, in order; none without C.
        files: every file written, relative to `folder`.
    """

    folder: Path
    name: str
    targets: tuple[str, ...]
    inputs: tuple[Interface, ...]
    outputs: tuple[Interface, ...]
    tflite_bytes: int
    arena_bytes: int
    arena_lower_bound: int
    arena_proved_optimal: bool
    arena_peak: tuple[int, ...]
    buffers: tuple[PlacedBuffer, ...]
    layers: tuple[LayerReport, ...]
    files: tuple[str, ...]

    @property
    def weight_bytes(self) -> int:
        """Flash for packed weights and their levels."""
        return sum(layer.weight_bytes for layer in self.layers)

    @property
    def constant_bytes(self) -> int:
        """Flash for biases, multipliers and shifts."""
        return sum(layer.constant_bytes for layer in self.layers)

    @property
    def tflite_path(self) -> Path:
        """The int8 reference."""
        return self.folder / f"{self.name}.tflite"

    def json(self) -> str:
        """The report as JSON, without its folder: artefacts may be moved."""
        fields = dataclasses.asdict(self)
        del fields["folder"]
        return json.dumps(fields, indent=1) + "\n"

    @classmethod
    def load(cls, folder: str | Path) -> ExportReport:
        """Read the report of an export.

        Args:
            folder: where it was exported to; `folder/NAME` and `folder/NAME.tflite` say the same.

        Raises:
            ExportError: if there is none, or it is damaged.
        """
        path = Path(folder)
        prefix = "" if path.is_dir() else path.name.removesuffix(".tflite")
        path = path.parent if prefix else path
        try:
            fields: dict[str, Any] = _tuples(json.loads((path / REPORT_FILE).read_text()))
            if prefix not in ("", fields["name"]):
                raise FileNotFoundError(errno.ENOENT, f"no export of this name, but of '{fields['name']}'", str(path))
            rows = {"inputs": Interface, "outputs": Interface, "buffers": PlacedBuffer, "layers": LayerReport}
            fields |= {key: tuple(row(**values) for values in fields[key]) for key, row in rows.items()}
            return cls(folder=path, **fields)
        except OSError as error:
            raise ExportError(f"{folder} is no export: {error.strerror}; make one with tern-keras export") from error
        except (ValueError, TypeError, KeyError) as error:
            raise ExportError(f"{path / REPORT_FILE} is damaged ({error}); run tern-keras export again") from error

    def table(self) -> Table:
        """The layers as a table for the terminal."""
        table = Table(title=f"{self.name}: {', '.join(self.targets)}", title_justify="left")
        for column in ("op", "output", "weights", "kernel"):
            table.add_column(column)
        for column in ("MACs", "density", "weight bytes", "other constants"):
            table.add_column(column, justify="right")
        for layer in self.layers:
            table.add_row(
                layer.op,
                "x".join(map(str, layer.output_shape)),
                layer.weights or "",
                layer.kernel,
                f"{layer.macs:,}" if layer.macs else "",
                "" if layer.density is None else f"{layer.density:.2f}",
                f"{layer.weight_bytes:,}" if layer.weight_bytes else "",
                f"{layer.constant_bytes:,}" if layer.constant_bytes else "",
            )
        table.add_section()
        macs = sum(layer.macs for layer in self.layers)
        table.add_row("total", "", "", "", f"{macs:,}", "", f"{self.weight_bytes:,}", f"{self.constant_bytes:,}")
        table.caption = f"arena {self.arena_bytes:,} bytes, .tflite {self.tflite_bytes:,} bytes"
        table.caption_justify = "left"
        return table


def _tuples(value: Any) -> Any:
    """JSON has no tuples: give them back to the dataclasses."""
    if isinstance(value, list):
        return tuple(map(_tuples, value))
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return value
