"""Keras' TensorBoard callback with the quantised kernels."""

from __future__ import annotations

import importlib.util
from typing import Any

import keras

from tern_keras.callbacks.watching import WarnOnce, finite_kernels


class TensorBoard(keras.callbacks.TensorBoard):
    """`keras.callbacks.TensorBoard` that also writes the quantised kernels of the model.

    Every `histogram_freq` epochs, for each quantised kernel, by the name of its layer: histograms of the latent weights
    (`<name>/latent`) and of the codes (`<name>/codes`), and the mean scale (`<name>/scale`, or `<name>/scale_pos` and
    `<name>/scale_neg`) as a scalar. Put `QuantizationMonitor` before it in the list for the rest. Of kernels with
    weights that are NaN or infinite it writes none, and warns with a `QuantizationWarning`.

    Args:
        log_dir: folder of the log files.
        histogram_freq: epochs from one histogram to the next; 0 for none, and no scales either.
        **kwargs: further arguments of `keras.callbacks.TensorBoard`.

    Raises:
        ImportError: the package tensorboard is not installed.

    Example:
        >>> from tern_keras.callbacks import QuantizationMonitor
        >>> callbacks = [QuantizationMonitor(), TensorBoard("logs", histogram_freq=5)]  # for fit
    """

    def __init__(self, log_dir: str = "logs", histogram_freq: int = 1, **kwargs: Any) -> None:
        if importlib.util.find_spec("tensorboard") is None:
            raise ImportError("The TensorBoard callback needs tensorboard: pip install 'tern-keras[tensorboard]'")
        super().__init__(log_dir=log_dir, histogram_freq=histogram_freq, **kwargs)
        self._warn = WarnOnce()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the logs, as Keras does, and the quantised kernels."""
        super().on_epoch_end(epoch, logs)
        if not self.histogram_freq or epoch % self.histogram_freq:
            return
        # Keras has no public name for the writer of what belongs to the training
        with self._train_writer.as_default():
            for kernel in finite_kernels(self.model, self._warn):
                self.summary.histogram(f"{kernel.name}/latent", kernel.latent, step=epoch)
                self.summary.histogram(f"{kernel.name}/codes", kernel.quantized.codes, step=epoch)
                for side, scale in kernel.mean_scales().items():
                    self.summary.scalar(f"{kernel.name}/{side}", scale, step=epoch)
