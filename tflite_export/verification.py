"""Whether the artefacts compute what the int8 reference computes, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from tflite_export.errors import ExportError
from tflite_export.host import HostModel
from tflite_export.pipeline import packed_file
from tflite_export.reference import reference_of
from tflite_export.report import ExportReport, expected_arrays
from tflite_export.targets import PACK_TARGETS


@dataclass(frozen=True)
class ArtefactCheck:
    """One artefact on the given samples.

    Attributes:
        artefact: what ran, and where.
        different: samples with an output that is not the reference's, bit for bit.
        accuracy: the fraction of samples whose largest output is their label; None without labels.
    """

    artefact: str
    different: int
    accuracy: float | None


@dataclass(frozen=True)
class VerifyReport:
    """The outcome of `verify`.

    Attributes:
        samples: how many were compared.
        checks: the reference first, then every artefact.
    """

    samples: int
    checks: tuple[ArtefactCheck, ...]

    @property
    def ok(self) -> bool:
        """Whether every output of every artefact equals the reference's."""
        return all(check.different == 0 for check in self.checks)

    def table(self) -> Table:
        """The checks as a table for the terminal."""
        table = Table(title=f"{self.samples:,} samples against the int8 reference", title_justify="left")
        table.add_column("artefact")
        table.add_column("samples that differ", justify="right")
        table.add_column("accuracy", justify="right")
        for check in self.checks:
            accuracy = "" if check.accuracy is None else f"{check.accuracy:.2%}"
            table.add_row(check.artefact, str(check.different), accuracy)
        return table


def verify(report: ExportReport, x: np.ndarray | Sequence[np.ndarray], y: np.ndarray | None = None) -> VerifyReport:
    """Run every artefact of an export on the same samples and compare with the reference kernels of the int8 file.

    Args:
        report: of the export.
        x: real-valued samples, scaled as in training, shape (samples, *input shape); a list for several inputs.
        y: labels, integers of shape (samples,); None to compare outputs alone.

    Returns:
        Differences and accuracies, an artefact each.

    Raises:
        ExportError: if the data does not fit the model, an artefact is missing, or no C compiler is installed.

    Example:
        >>> import keras, numpy as np, tempfile
        >>> from tflite_export import export, verify
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        >>> samples = np.random.default_rng(0).normal(size=(100, 4)).astype("float32")
        >>> verify(export(model, tempfile.mkdtemp(), calibration=samples), samples).ok
        True
    """
    samples = quantize_inputs(report, x)
    check_labels(report, y, len(samples))
    reference = reference_of(_content(report.tflite_path))
    expected = reference(samples)
    checks = [ArtefactCheck(f"int8 in {reference.runtime}", 0, accuracy(report, expected, y))]
    for name, target in PACK_TARGETS.items():
        if name not in report.targets:
            continue
        outputs = target.load(_content(report.folder / packed_file(report.name, name)))(samples)
        wanted = expected if target.reference is None else target.reference(_content(report.tflite_path))(samples)
        what = f"{name} in {target.runtime}" + ("" if target.reference is None else ", against int8 there")
        checks.append(ArtefactCheck(what, count_different(outputs, wanted), accuracy(report, outputs, y)))
    if "c" in report.targets:
        outputs = HostModel(report)(samples)
        checks.append(ArtefactCheck("C on the host", count_different(outputs, expected), accuracy(report, outputs, y)))
    return VerifyReport(len(samples), tuple(checks))


def quantize_inputs(report: ExportReport, x: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
    """Real samples as the bytes of the model's inputs.

    Args:
        report: of the export.
        x: as in `verify`.

    Returns:
        int8, shape (samples, bytes of all inputs).

    Raises:
        ExportError: if the data does not fit the inputs.
    """
    if not isinstance(report, ExportReport):
        raise ExportError("expected the ExportReport of an export; ExportReport.load(folder) reads one")
    arrays = [np.asarray(array) for array in (x if isinstance(x, list | tuple) else [x])]
    if len(arrays) != len(report.inputs) or len({array.shape[:1] for array in arrays}) != 1:
        raise ExportError(f"the model has {len(report.inputs)} input(s): {expected_arrays(len(report.inputs))}")
    rows = [interface.quantize(array) for interface, array in zip(report.inputs, arrays, strict=True)]
    return np.concatenate(rows, axis=1)


def reference_outputs(report: ExportReport, samples: np.ndarray) -> np.ndarray:
    """What the reference kernels compute: int8, shape (samples, bytes of all outputs)."""
    return reference_of(_content(report.tflite_path))(samples)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ExportError(f"cannot read {path}: {error.strerror}; export the model again") from error


def count_different(outputs: np.ndarray, expected: np.ndarray) -> int:
    """Samples in which any byte differs."""
    return int(np.any(outputs != expected, axis=1).sum())


def accuracy(report: ExportReport, outputs: np.ndarray, y: np.ndarray | None) -> float | None:
    """The fraction of samples whose largest output is their label; None without labels."""
    check_labels(report, y, len(outputs))
    if y is None:
        return None
    (real,) = real_outputs(report, outputs)
    return float(np.mean(np.argmax(real.reshape(len(real), -1), axis=1) == np.asarray(y)))


def real_outputs(report: ExportReport, outputs: np.ndarray) -> list[np.ndarray]:
    """Bytes of all outputs, int8 of shape (samples, bytes), as float32, one array of shape (samples, ...) an output."""
    splits = np.cumsum([tensor.nbytes for tensor in report.outputs])[:-1]
    parts = np.split(outputs, splits, axis=1)
    return [tensor.dequantize(rows) for rows, tensor in zip(parts, report.outputs, strict=True)]


def check_labels(report: ExportReport, y: np.ndarray | None, samples: int) -> None:
    """Refuse labels that accuracy cannot be computed from.

    Raises:
        ExportError: if they are not one integer a sample, or the model has several outputs.
    """
    if y is None:
        return
    labels = np.asarray(y)
    if len(report.outputs) == 1 and labels.dtype.kind in "iu" and labels.size:
        classes = report.outputs[0].size
        if labels.min() < 0 or labels.max() >= classes:
            raise ExportError(
                f"the labels run from {labels.min()} to {labels.max()}, but the model has {classes} output(s), one a "
                "class: give labels from 0 on, or none"
            )
    if labels.shape != (samples,) or labels.dtype.kind not in "iu" or len(report.outputs) != 1:
        raise ExportError(
            f"the labels have the shape {labels.shape} and type {labels.dtype}: give an integer a sample, "
            "for a model with one output"
        )
