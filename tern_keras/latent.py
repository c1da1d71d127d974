"""The latent kernels of a model beside what their quantizers make of them, for those who look on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count

import keras
import numpy as np

from tern_keras.layers.base import QuantizedLayer
from tern_keras.quantizers import QuantizedSum, QuantizedTensor, Quantizer
from tern_keras.structure import leaf_layers


@dataclass(frozen=True, eq=False)
class LatentKernel:
    """One quantised kernel of a model.

    Attributes:
        name: the layer's name; with several kernels, "<layer>/<role>". Of layers with the same name, in nested models,
            the second is "<layer>_2", or what comes next where that is taken.
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

    def mean_scales(self) -> dict[str, float]:
        """Return the mean scale as "scale", or as "scale_pos" and "scale_neg" where each side has its own."""
        scales = self.quantized.scales
        if isinstance(self.quantized, QuantizedSum) or len(scales) == 1:
            return {"scale": float(scales.mean())}
        return {"scale_pos": float(scales[0].mean()), "scale_neg": float(scales[-1].mean())}


def latent_kernels(model: keras.Model) -> list[LatentKernel]:
    """Return the quantised kernels of a model in its order, those in nested models and wrappers too.

    Layers that are not built have none.

    Raises:
        NotFiniteError: a quantised layer has NaN or infinite weights.
    """
    kernels: list[LatentKernel] = []
    for name, layer in _named_layers(model):
        if not layer.built:
            continue
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


def _named_layers(model: keras.Model) -> Iterator[tuple[str, QuantizedLayer]]:
    """Yield each quantised layer inside `model`, with a name that no other has."""
    names: set[str] = set()
    for layer in leaf_layers(model):
        if isinstance(layer, QuantizedLayer):
            candidates = chain([layer.name], (f"{layer.name}_{number}" for number in count(2)))
            name = next(candidate for candidate in candidates if candidate not in names)
            names.add(name)
            yield name, layer
