"""The quantised transposed convolution."""

from typing import ClassVar

import keras

from tern_keras.layers.base import QuantizedKernel
from tern_keras.layers.kernels import KernelSpec


@keras.saving.register_keras_serializable(package="tern_keras")
class QuantConv2DTranspose(QuantizedKernel, keras.layers.Conv2DTranspose):
    """`keras.layers.Conv2DTranspose` whose forward pass uses a quantised kernel.

    The kernel has shape (height, width, filters, channels): its filters lie along the last axis but one.

    Args:
        *args: positional arguments of `keras.layers.Conv2DTranspose`.
        kernel_quantizer: what `tern_keras.quantizers.get` accepts; None behaves exactly as the parent.
        **kwargs: keyword arguments of `keras.layers.Conv2DTranspose`.

    Input shape:
        (batch, height, width, channels), or (batch, channels, height, width) for "channels_first"

    Output shape:
        (batch, new height, new width, filters), or (batch, filters, new height, new width)

    Example:
        >>> layer = QuantConv2DTranspose(6, 3, strides=2, padding="same", kernel_quantizer="sq")
        >>> layer(keras.ops.ones((1, 4, 4, 2))).shape == (1, 8, 8, 6)
        True
        >>> layer.quantized_kernel().scales.shape
        (1, 1, 1, 6, 1)
    """

    kernel_specs: ClassVar[tuple[KernelSpec, ...]] = (KernelSpec(channel_axes=(-2,)),)
