"""The quantizer of ternary weight networks."""

from typing import Any

import keras

from tern_keras.ops.gradients import Tensor, as_float
from tern_keras.ops.twn import check_factor, twn, twn_codes_and_scale
from tern_keras.quantizers.base import QuantizedTensor, ScaledQuantizer


@keras.saving.register_keras_serializable(package="tern_keras")
class TWN(ScaledQuantizer):
    """Ternary weight networks: weights {-α, 0, +α}, α and the threshold recomputed from the latent weights.

    Formulas and reference: `tern_keras.ops.twn`. It has no trainable state, and suits pretrained weights.

    Args:
        factor: threshold as a multiple of mean|w|, in [0, 1).
        per_filter: whether each filter has its own threshold and scale, instead of one for the layer.
        **kwargs: `power_of_two` of `ScaledQuantizer`; `name` and `trainable` of a Keras layer.

    Raises:
        ValueError: `factor` is out of range.

    Example:
        >>> quantizer = TWN()
        >>> w = keras.ops.array([[0.9], [-0.6], [0.1]])
        >>> keras.ops.convert_to_numpy(quantizer(w)).round(4).tolist()
        [[0.75], [-0.75], [0.0]]
    """

    def __init__(self, factor: float = 0.7, per_filter: bool = False, **kwargs: Any) -> None:
        check_factor(factor)
        super().__init__(**kwargs)
        self.factor = factor
        self.per_filter = per_filter

    def build(self, kernel_shape: tuple[int, ...]) -> None:
        """Create no state: everything follows from the latent weights."""

    def _scale_axes(self, rank: int) -> tuple[int, ...] | None:
        return self.filter_axes(rank) if self.per_filter else None

    def call(self, kernel: Tensor) -> Tensor:
        """Return the quantised kernel, float32."""
        return self.rounded(twn(kernel, self.factor, self._scale_axes(len(kernel.shape))))

    def quantized_tensor(self, kernel: Tensor) -> QuantizedTensor:
        """Return the codes and the one scale, or one a filter, of `kernel`."""
        kernel = as_float(kernel)
        return self._quantized_tensor(*twn_codes_and_scale(kernel, self.factor, self._scale_axes(len(kernel.shape))))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "factor": self.factor, "per_filter": self.per_filter}
