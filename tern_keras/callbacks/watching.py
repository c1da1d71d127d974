"""How the callbacks look at a model in training: kernels, and warnings that come once."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import keras

from tern_keras.callbacks.foot_guns import Finding, QuantizationWarning
from tern_keras.latent import LatentKernel, latent_kernels
from tern_keras.layers.base import NotFiniteError


class WarnOnce:
    """Warns of findings, of each the first time."""

    def __init__(self) -> None:
        self._keys: set[str] = set()

    def __call__(self, findings: Iterable[Finding]) -> None:
        """Warn of the `findings` whose key is new."""
        for finding in findings:
            if finding.key not in self._keys:
                self._keys.add(finding.key)
                warnings.warn(finding.message, QuantizationWarning, stacklevel=2)


def finite_kernels(model: keras.Model, warn: WarnOnce) -> list[LatentKernel]:
    """Return the quantised kernels of `model`; none, and a warning, if one is NaN or infinite.

    A training that has diverged may still end in good order, by `keras.callbacks.TerminateOnNaN` for example.
    """
    try:
        return latent_kernels(model)
    except NotFiniteError as error:
        warn([Finding("not finite", str(error))])
        return []
