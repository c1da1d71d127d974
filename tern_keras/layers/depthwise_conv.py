"""The quantised depthwise convolution."""

import keras
from keras import ops

from tern_keras.layers.base import QuantizedKernel
from tern_keras.ops.gradients import Tensor


@keras.saving.register_keras_serializable(package="tern_keras")
class QuantDepthwiseConv2D(QuantizedKernel, keras.layers.DepthwiseConv2D):
    """`keras.layers.DepthwiseConv2D` whose forward pass uses a quantised kernel.

    The kernel has shape (height, width, channels, depth_multiplier); a filter of it is one channel and one
    multiple, height x width weights.

    Args:
        *args: positional arguments of `keras.layers.DepthwiseConv2D`.
        kernel_quantizer: what `tern_keras.quantizers.get` accepts; None behaves exactly as the parent.
        **kwargs: keyword arguments of `keras.layers.DepthwiseConv2D`.

    Input shape:
        (batch, height, width, channels), or (batch, channels, height, width) for "channels_first"

    Output shape:
        (batch, new height, new width, channels * depth_multiplier), or with the channels second

    Example:
        >>> layer = QuantDepthwiseConv2D(3, kernel_quantizer="sq")
        >>> layer(keras.ops.ones((1, 8, 8, 4))).shape == (1, 6, 6, 4)
        True
        >>> layer.quantized_kernel().scales.shape
        (1, 1, 1, 4, 1)
    """

    @property
    def filter_axes(self) -> tuple[int, ...]:
        """Axes of the kernel that one filter spans: height and width."""
        return tuple(range(self.rank))

    def call(self, inputs: Tensor) -> Tensor:
        """Return activation(depthwise convolution of inputs with the quantised kernel + bias)."""
        if self.kernel_quantizer is None:
            return super().call(inputs)
        x = ops.depthwise_conv(
            inputs,
            self.forward_kernel(),
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )
        if self.use_bias:
            channels_first = self.data_format == "channels_first"
            x = ops.add(x, ops.reshape(self.bias, (1, -1, 1, 1) if channels_first else (1, 1, 1, -1)))
        return x if self.activation is None else self.activation(x)
