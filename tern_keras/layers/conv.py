"""The quantised convolution."""

import keras

from tern_keras.layers.base import QuantizedKernel
from tern_keras.ops.gradients import Tensor


@keras.saving.register_keras_serializable(package="tern_keras")
class QuantConv2D(QuantizedKernel, keras.layers.Conv2D):
    """`keras.layers.Conv2D` whose forward pass uses a quantised kernel.

    Args:
        *args: positional arguments of `keras.layers.Conv2D`.
        kernel_quantizer: what `tern_keras.quantizers.get` accepts; None behaves exactly as the parent.
        **kwargs: keyword arguments of `keras.layers.Conv2D`.

    Input shape:
        (batch, height, width, channels), or (batch, channels, height, width) for "channels_first"

    Output shape:
        (batch, new height, new width, filters), or (batch, filters, new height, new width)

    Example:
        >>> layer = QuantConv2D(6, 5, padding="same", kernel_quantizer="ttq(threshold=0.1)")
        >>> layer(keras.ops.ones((1, 8, 8, 3))).shape == (1, 8, 8, 6)
        True
        >>> layer.quantized_kernel().codes.shape
        (5, 5, 3, 6)
    """

    def convolution_op(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        """Return the convolution with the quantised kernel in place of the latent `kernel`."""
        return super().convolution_op(inputs, self.forward_kernel())
