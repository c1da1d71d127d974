"""The quantised fully connected layer."""

import keras

from tern_keras.layers.base import QuantizedKernel, QuantizedLayer
from tern_keras.ops.gradients import Tensor


@keras.saving.register_keras_serializable(package="tern_keras")
class QuantDense(QuantizedKernel, keras.layers.Dense):
    """`keras.layers.Dense` whose forward pass uses a quantised kernel.

    Args:
        *args: positional arguments of `keras.layers.Dense`.
        kernel_quantizer: what `tern_keras.quantizers.get` accepts; None behaves exactly as the parent.
        **kwargs: keyword arguments of `keras.layers.Dense`.

    Input shape:
        (batch, ..., inputs)

    Output shape:
        (batch, ..., units)

    Example:
        >>> layer = QuantDense(4, activation="relu", kernel_quantizer="twn")
        >>> layer(keras.ops.ones((2, 8))).shape == (2, 4)
        True
        >>> layer.quantized_kernel().codes.shape
        (8, 4)
    """

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Return activation(inputs · quantised kernel + bias)."""
        return super(QuantizedLayer, self.quantized_view()).call(inputs, training=training)
