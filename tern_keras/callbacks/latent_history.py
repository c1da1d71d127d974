"""The callback that keeps histograms of the latent weights over a training."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tern_keras.callbacks.watching import WarnOnce, finite_kernels
from tern_keras.latent import LatentKernel

CODES = (-1, 0, 1)


@dataclass(frozen=True, eq=False)
class LatentRecord:
    """The latent weights of one kernel over a training, one row a recorded epoch.

    Attributes:
        epochs: number of epochs trained, int64 of shape (rows,); 0 is before the first.
        counts: weights by code and bin, int64 of shape (rows, 3, bins), the codes in the order -1, 0, +1.
        edges: edges of the bins in the units of the weights, float32 of shape (rows, bins + 1).
        thresholds: the smallest and the largest latent weight whose code is 0, float32 of shape (rows, 2): the
            thresholds in force, seen from within. NaN in rows without zeros.
    """

    epochs: np.ndarray
    counts: np.ndarray
    edges: np.ndarray
    thresholds: np.ndarray

    def extended(self, other: LatentRecord) -> LatentRecord:
        """Return the rows of both, those of `other` last."""
        return LatentRecord(**{name: np.concatenate([rows, vars(other)[name]]) for name, rows in vars(self).items()})

    def before(self, epoch: int) -> LatentRecord:
        """Return the rows of fewer than `epoch` epochs."""
        return LatentRecord(**{name: rows[self.epochs < epoch] for name, rows in vars(self).items()})


class LatentHistory(keras.callbacks.Callback):
    """Keeps histograms of the latent weights of every quantised kernel over a training, with the thresholds in force.

    `tern_keras.plots.latent_ridges` draws them. A row is a few hundred bytes, whatever the kernel's size. Once weights
    are NaN or infinite there are no rows, but a `QuantizationWarning`.

    Args:
        freq: epochs from one record to the next, >= 1. The state before the first epoch is recorded too, unless
            the model is built by its first batch.
        bins: bins of a histogram, >= 1.
        path: file (.npz) to keep the records in after each epoch, or None. If it exists, a resumed training
            (`initial_epoch`, or `keras.callbacks.BackupAndRestore`) carries on with its records; what it holds of
            epochs that are trained again is replaced, and kernels of which no row remains are dropped.

    Attributes:
        records: `LatentRecord` by the name of the kernel: that of its layer, "<layer>/<kernel>" with several.

    Raises:
        ValueError: `freq` or `bins` is below 1, or `path` holds something else, or histograms of another number of
            bins.

    Example:
        >>> from tern_keras.layers import QuantDense
        >>> model = keras.Sequential([keras.Input((4,)), QuantDense(2, kernel_quantizer="twn", name="head")])
        >>> model.compile("sgd", "mse")
        >>> history = LatentHistory(bins=20)
        >>> _ = model.fit(np.ones((8, 4)), np.ones((8, 2)), epochs=2, callbacks=[history], verbose=0)
        >>> history.records["head"].epochs.tolist(), history.records["head"].counts.shape
        ([0, 1, 2], (3, 3, 20))
    """

    def __init__(self, freq: int = 1, bins: int = 40, path: str | os.PathLike[str] | None = None) -> None:
        super().__init__()
        if freq < 1 or bins < 1:
            raise ValueError(f"LatentHistory: freq and bins must be >= 1, received {freq} and {bins}.")
        self.freq = freq
        self.bins = bins
        self.path = None if path is None else Path(path)
        self.records = load(self.path) if self.path is not None and self.path.exists() else {}
        kept = {record.counts.shape[-1] for record in self.records.values()} - {bins}
        if kept:
            raise ValueError(f"LatentHistory: {path} holds histograms of {kept.pop()} bins, received bins={bins}.")
        self._begun = False
        self._warn = WarnOnce()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Expect a first epoch."""
        self._begun = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Record the state before the first epoch."""
        if not self._begun:
            self._record(epoch)
        self._begun = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Record, and write the file."""
        if (epoch + 1) % self.freq == 0:
            self._record(epoch + 1)
            if self.path is not None:
                save(self.path, self.records)

    def _record(self, epochs: int) -> None:
        past = {name: record.before(epochs) for name, record in self.records.items()}
        self.records = {name: record for name, record in past.items() if record.epochs.size}
        for kernel in finite_kernels(self.model, self._warn):
            row = _row(kernel, epochs, self.bins)
            record = self.records.get(kernel.name)
            self.records[kernel.name] = row if record is None else record.extended(row)


def load(path: str | os.PathLike[str]) -> dict[str, LatentRecord]:
    """Read the records that a `LatentHistory` has written.

    Args:
        path: the file.

    Returns:
        The records by the name of the kernel.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is another kind of file.
    """
    fields = LatentRecord.__dataclass_fields__
    try:
        with np.load(path, allow_pickle=False) as file:
            names = dict.fromkeys(key.rpartition("/")[0] for key in file.files)
            return {name: LatentRecord(**{field: file[f"{name}/{field}"] for field in fields}) for name in names}
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no file that LatentHistory(path=...) has written.") from error


def save(path: Path, records: dict[str, LatentRecord]) -> None:
    """Write `records` to `path`, in one go: a reader sees the old file or the new one."""
    arrays = {f"{name}/{field}": rows for name, record in records.items() for field, rows in vars(record).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as file:
            np.savez(file, **arrays)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _row(kernel: LatentKernel, epochs: int, bins: int) -> LatentRecord:
    edges = np.histogram_bin_edges(kernel.latent, bins)
    sides = [kernel.latent[kernel.signs == code] for code in CODES]
    zeros = sides[CODES.index(0)]
    return LatentRecord(
        epochs=np.array([epochs]),
        counts=np.stack([np.histogram(side, edges)[0] for side in sides])[None],
        edges=edges.astype(np.float32)[None],
        thresholds=np.array([[zeros.min(), zeros.max()] if zeros.size else [np.nan, np.nan]], np.float32),
    )
