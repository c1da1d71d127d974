"""The quantizers of binary weight networks and of DoReFa-Net with 1-bit weights."""

from typing import Any

import keras

from tern_keras.ops.bwn import bwn, bwn_codes_and_scale, dorefa
from tern_keras.ops.gradients import Tensor, as_float
from tern_keras.quantizers.base import QuantizedTensor, ScaledQuantizer


@keras.saving.register_keras_serializable(package="tern_keras")
class BWN(ScaledQuantizer):
    """Binary weight networks: weights ±α, with α the mean magnitude of the latent weights.

    Formulas and reference: `tern_keras.ops.bwn`. It has no trainable state.

    Args:
        per_filter: whether each filter has its own scale, instead of one for the layer.
        **kwargs: `power_of_two` of `ScaledQuantizer`; `name` and `trainable` of a Keras layer.

    Example:
        >>> quantizer = BWN()
        >>> w = keras.ops.array([[0.75], [-0.5], [0.25], [0.0]])
        >>> keras.ops.convert_to_numpy(quantizer(w)).tolist()
        [[0.375], [-0.375], [0.375], [0.375]]
    """

    def __init__(self, per_filter: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.per_filter = per_filter

    def build(self, kernel_shape: tuple[int, ...]) -> None:
        """Create no state: everything follows from the latent weights."""

    def _scale_axes(self, rank: int) -> tuple[int, ...] | None:
        return self.filter_axes(rank) if self.per_filter else None

    def call(self, kernel: Tensor) -> Tensor:
        """Return the quantised kernel, float32."""
        return self.rounded(bwn(kernel, self._scale_axes(len(kernel.shape))))

    def quantized_tensor(self, kernel: Tensor) -> QuantizedTensor:
        """Return the codes and the one scale, or one a filter, of `kernel`."""
        kernel = as_float(kernel)
        return self._quantized_tensor(*bwn_codes_and_scale(kernel, self._scale_axes(len(kernel.shape))), bits=1)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "per_filter": self.per_filter}


@keras.saving.register_keras_serializable(package="tern_keras")
class DoReFa(ScaledQuantizer):
    """DoReFa-Net with 1-bit weights: weights ±E, with E the mean magnitude of the layer's latent weights.

    Formulas and reference: `tern_keras.ops.dorefa`. It has no trainable state.

    Args:
        **kwargs: `power_of_two` of `ScaledQuantizer`; `name` and `trainable` of a Keras layer.

    Example:
        >>> quantizer = DoReFa()
        >>> w = keras.ops.array([[0.75], [-0.5], [0.25], [0.0]])
        >>> keras.ops.convert_to_numpy(quantizer(w)).tolist()
        [[0.375], [-0.375], [0.375], [0.375]]
    """

    def build(self, kernel_shape: tuple[int, ...]) -> None:
        """Create no state: everything follows from the latent weights."""

    def call(self, kernel: Tensor) -> Tensor:
        """Return the quantised kernel, float32."""
        return self.rounded(dorefa(kernel))

    def quantized_tensor(self, kernel: Tensor) -> QuantizedTensor:
        """Return the codes and the scale of `kernel`."""
        return self._quantized_tensor(*bwn_codes_and_scale(as_float(kernel)), bits=1)
