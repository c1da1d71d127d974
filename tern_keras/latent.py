"""The latent kernels of a model beside what their quantizers make of them, for those who look on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import keras
import numpy as np

from tern_keras.cloning import leaf_layers
from tern_keras.layers.base import QuantizedLayer
from tern_keras.quantizers import QuantizedTensor, Quantizer


@dataclass(frozen=True, eq=False)
class LatentKernel:
    """One quantised kernel of a model.

    Attributes:
        name: the layer's name; with several kernels, "<layer>/<role>". Of layers with the same name, in nested models,
            the second is "<layer>_2".
        layer: the layer that owns it.
        quantizer: its quantizer.
        latent: latent weights, float32.
        quantized: codes and scales as they are deployed, of the shape of `latent`.
        filter_axes: the axes that one filter spans.
    """

    name: str
    layer: QuantizedLayer
    quantizer: Quantizer
    latent: np.ndarray
    quantized: QuantizedTensor
    filter_axes: tuple[int, ...]

    @property
    def signs(self) -> np.ndarray:
        """The code of each weight by sign, int8 in {-1, 0, +1}."""
        return np.sign(self.quantized.codes)


def latent_kernels(model: keras.Model) -> list[LatentKernel]:
    """Return the quantised kernels of a built model in its order, those in nested models and wrappers too.

    Raises:
        ValueError: a quantised layer is not built, or has NaN or infinite weights.
    """
    kernels: list[LatentKernel] = []
    names: Counter[str] = Counter()
    for layer in _quantized_layers(model):
        names[layer.name] += 1
        name = layer.name if names[layer.name] == 1 else f"{layer.name}_{names[layer.name]}"
        quantized = layer.quantized_kernels()
        for spec in layer.kernel_specs:
            if spec.role in quantized:
                latent = keras.ops.convert_to_numpy(spec.variable(layer)).astype(np.float32)
                kernels.append(
                    LatentKernel(
                        name=name if len(layer.kernel_specs) == 1 else f"{name}/{spec.role}",
                        layer=layer,
                        quantizer=getattr(layer, spec.argument),
                        latent=latent,
                        quantized=quantized[spec.role],
                        filter_axes=spec.filter_axes(latent.ndim),
                    )
                )
    return kernels


def _quantized_layers(model: keras.Model) -> list[QuantizedLayer]:
    # a shared layer appears wherever it is used
    return list({id(layer): layer for layer in leaf_layers(model) if isinstance(layer, QuantizedLayer)}.values())
