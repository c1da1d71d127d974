"""The quantised depthwise convolutions."""

from typing import ClassVar

import keras

from tern_keras.layers.base import QuantizedKernel
from tern_keras.layers.kernels import KernelSpec


@keras.saving.register_keras_serializable(package="tern_keras")
class QuantDepthwiseConv1D(QuantizedKernel, keras.layers.DepthwiseConv1D):
    """`keras.layers.DepthwiseConv1D` whose forward pass uses a quantised kernel.

    The kernel has shape (steps, channels, depth_multiplier); a filter of it is one channel and one multiple.

    Args:
        *args: positional arguments of `keras.layers.DepthwiseConv1D`.
        kernel_quantizer: what `tern_keras.quantizers.get` accepts; None behaves exactly as the parent.
        **kwargs: keyword arguments of `keras.layers.DepthwiseConv1D`.

    Input shape:
        (batch, steps, channels), or (batch, channels, steps) for "channels_first"

    Output shape:
        (batch, new steps, channels * depth_multiplier), or with the channels second

    Example:
        >>> layer = QuantDepthwiseConv1D(3, kernel_quantizer="sq")
        >>> layer(keras.ops.ones((1, 8, 4))).shape == (1, 6, 4)
        True
        >>> layer.quantized_kernel().scales.shape
        (1, 1, 4, 1)
    """

    kernel_specs: ClassVar[tuple[KernelSpec, ...]] = (KernelSpec(channel_axes=(-2, -1)),)


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

    kernel_specs: ClassVar[tuple[KernelSpec, ...]] = (KernelSpec(channel_axes=(-2, -1)),)
