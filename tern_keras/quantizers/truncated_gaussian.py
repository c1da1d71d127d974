"""The quantizer of the truncated Gaussian approximation."""

from typing import Any

import keras
from keras import ops

from tern_keras.ops.gradients import Tensor, as_float
from tern_keras.ops.truncated_gaussian import tga_codes_and_scale, truncated_gaussian
from tern_keras.quantizers.base import QuantizedTensor, ScaledQuantizer

INITIAL_FRACTION = 0.05


@keras.saving.register_keras_serializable(package="tern_keras")
class TruncatedGaussian(ScaledQuantizer):
    """Truncated Gaussian approximation: weights {-S, 0, +S}, the threshold trained, S computed from it.

    Formulas and reference: `tern_keras.ops.truncated_gaussian`. The threshold starts at 0.05 of the largest
    weight and acts up to three standard deviations of the weights. It suits pretrained weights, which are near
    Gaussian.

    The authors train the threshold and the weights in two passes over each batch, the threshold with
    `SGD(nesterov=True, momentum=0.9, clipvalue=1e-3)` at the rate of the weights: `tern_keras.models.TwoPassModel`.
    In any other model one pass moves both.

    Args:
        stats_gradient: whether gradients flow through the weights' mean and standard deviation, as in the
            authors' code.
        **kwargs: `power_of_two` of `ScaledQuantizer`; `name` and `trainable` of a Keras layer.

    Example:
        >>> quantizer = TruncatedGaussian()
        >>> w = keras.ops.array([[0.9], [-0.9], [0.01], [-0.01]])
        >>> quantizer.attach(w)
        >>> [round(float(value), 3) for value in keras.ops.ravel(quantizer(w))]
        [0.615, -0.615, 0.0, 0.0]
    """

    def __init__(self, stats_gradient: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stats_gradient = stats_gradient

    def build(self, kernel_shape: tuple[int, ...]) -> None:
        """Create the threshold `delta`, a scalar."""
        self.delta = self.add_weight(name="delta", shape=(), initializer=self.from_kernel(_initial_threshold))

    def call(self, kernel: Tensor) -> Tensor:
        """Return the quantised kernel, float32."""
        return self.rounded(truncated_gaussian(kernel, self.delta, self.stats_gradient))

    def quantized_tensor(self, kernel: Tensor) -> QuantizedTensor:
        """Return the codes and the scale of `kernel`."""
        return self._quantized_tensor(*tga_codes_and_scale(as_float(kernel), as_float(self.delta)))

    def calibrate(self, kernel: Tensor) -> None:
        """Set the threshold to 0.05 of the largest magnitude in `kernel`."""
        self.delta.assign(_initial_threshold(as_float(kernel)))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "stats_gradient": self.stats_gradient}


def _initial_threshold(kernel: Tensor) -> Tensor:
    return INITIAL_FRACTION * ops.max(ops.abs(kernel))
