"""The callback that logs what quantisation does to each layer, and warns of what is known to go wrong."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from tern_keras.callbacks import foot_guns
from tern_keras.callbacks.graph import Graph
from tern_keras.callbacks.watching import WarnOnce, finite_kernels
from tern_keras.latent import LatentKernel
from tern_keras.quantizers import SQ


class QuantizationMonitor(keras.callbacks.Callback):
    """Adds what quantisation does to each layer to the logs of an epoch, and warns of known mistakes.

    What stands in the logs reaches `History`, `CSVLogger`, `TensorBoard` and `EarlyStopping`: put those behind this
    callback in the list. The keys, for each quantised kernel, by the name of its layer ("<layer>/<kernel>" where it has
    several):

    - `<name>/density`: share of the weights that are not zero;
    - `<name>/bits`: bits of a stored weight, for `SQ` the depth that β implies;
    - `<name>/flip_ratio`: share of the weights whose code differs from that at the end of the epoch before, or at the
      beginning of `fit`;
    - `<name>/scale`: mean of the scales; `<name>/scale_pos` and `<name>/scale_neg` in its place where each side has its
      own, as in `TTQ`;
    - `<name>/beta`: β, for `SQ` alone;

    and `density`, `bits` and `flip_ratio` of all weights in quantised kernels together. It reads the weights once an
    epoch and does nothing for a batch.

    It warns with a `QuantizationWarning`, once each, of:

    - kernels quantised to zeros, wholly or in more than half of their filters;
    - scales of 1 (`BinaryConnect`, `TTQ(init="ones")`) with no normalisation behind the layer;
    - an evaluation with batch normalisations behind quantised layers whose moving statistics are mostly older than
      the training, by their momentum and the optimizer's count of steps;
    - weight decay that reaches the variables of quantizers;
    - `SQ` without the penalty that moves β;
    - weights that are NaN or infinite; the epoch's logs then lack its keys.

    It looks for normalisations in Sequential and Functional models, nested ones too.

    Args:
        per_layer: whether to log each kernel, beside the three totals. Keras' progress bar prints all that is in the
            logs.

    Example:
        >>> from tern_keras.layers import QuantDense
        >>> model = keras.Sequential([keras.Input((4,)), QuantDense(2, kernel_quantizer="twn", name="head")])
        >>> model.compile("sgd", "mse")
        >>> monitor = QuantizationMonitor()
        >>> history = model.fit(np.ones((8, 4)), np.ones((8, 2)), callbacks=[monitor], verbose=0).history
        >>> sorted(history)  # doctest: +NORMALIZE_WHITESPACE
        ['bits', 'density', 'flip_ratio', 'head/bits', 'head/density', 'head/flip_ratio', 'head/scale', 'loss']
    """

    def __init__(self, per_layer: bool = True) -> None:
        super().__init__()
        self.per_layer = per_layer
        self._begun = False
        self._signs: dict[str, np.ndarray] = {}
        self._warn = WarnOnce()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Expect a first epoch."""
        self._begun = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Remember the codes before the first epoch, when all callbacks have restored what they restore, and check."""
        if not self._begun:
            self._signs = {kernel.name: kernel.signs for kernel in self._checked_kernels()}
        self._begun = True

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Check the statistics that an evaluation, or a validation in `fit`, is about to use."""
        optimizer = getattr(self.model, "optimizer", None)
        steps = 0 if optimizer is None else int(ops.convert_to_numpy(optimizer.iterations))
        self._warn(foot_guns.stale_statistics(Graph(self.model), steps))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add to `logs`, and check the model again."""
        kernels = self._checked_kernels()
        flips = {k.name: float(np.sum(k.signs != self._signs.get(k.name, k.signs))) for k in kernels}
        self._signs = {kernel.name: kernel.signs for kernel in kernels}
        if logs is None or not kernels:
            return
        if self.per_layer:
            for kernel in kernels:
                values = {**_measures(kernel), "flip_ratio": flips[kernel.name] / kernel.latent.size}
                logs.update({f"{kernel.name}/{key}": float(value) for key, value in values.items()})
        weights = sum(kernel.latent.size for kernel in kernels)
        logs["density"] = float(sum(np.count_nonzero(kernel.signs) for kernel in kernels) / weights)
        logs["bits"] = sum(kernel.quantized.bits * kernel.latent.size for kernel in kernels) / weights
        logs["flip_ratio"] = sum(flips.values()) / weights

    def _checked_kernels(self) -> list[LatentKernel]:
        """Return the kernels of the model, none if it is not built or not finite, and warn of what is wrong."""
        kernels = finite_kernels(self.model, self._warn)
        self._warn(foot_guns.dead_kernels(kernels))
        self._warn(foot_guns.unit_scales(Graph(self.model), kernels))
        self._warn(foot_guns.fixed_betas(kernels))
        self._warn(foot_guns.decayed_scales(getattr(self.model, "optimizer", None), self.model.trainable_variables))
        return kernels


def _measures(kernel: LatentKernel) -> dict[str, float]:
    codes = kernel.quantized.codes
    values = {"density": np.count_nonzero(codes) / codes.size, "bits": kernel.quantized.bits, **kernel.mean_scales()}
    if isinstance(kernel.quantizer, SQ):
        values["beta"] = ops.convert_to_numpy(kernel.quantizer.beta)
    return values
