"""The quantised convolutions."""

import keras

from tern_keras.layers.base import QuantizedKernel


@keras.saving.register_keras_serializable(package="tern_keras")
class QuantConv1D(QuantizedKernel, keras.layers.Conv1D):
    """`keras.layers.Conv1D` whose forward pass uses a quantised kernel.

    Args:
        *args: positional arguments of `keras.layers.Conv1D`.
        kernel_quantizer: what `tern_keras.quantizers.get` accepts; None behaves exactly as the parent.
        **kwargs: keyword arguments of `keras.layers.Conv1D`.

    Input shape:
        (batch, steps, channels), or (batch, channels, steps) for "channels_first"

    Output shape:
        (batch, new steps, filters), or (batch, filters, new steps)

    Example:
        >>> layer = QuantConv1D(6, 5, padding="causal", kernel_quantizer="ttq(threshold=0.1)")
        >>> layer(keras.ops.ones((1, 16, 3))).shape == (1, 16, 6)
        True
        >>> layer.quantized_kernel().codes.shape
        (5, 3, 6)
    """


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


@keras.saving.register_keras_serializable(package="tern_keras")
class QuantConv3D(QuantizedKernel, keras.layers.Conv3D):
    """`keras.layers.Conv3D` whose forward pass uses a quantised kernel.

    Args:
        *args: positional arguments of `keras.layers.Conv3D`.
        kernel_quantizer: what `tern_keras.quantizers.get` accepts; None behaves exactly as the parent.
        **kwargs: keyword arguments of `keras.layers.Conv3D`.

    Input shape:
        (batch, depth, height, width, channels), or with the channels second for "channels_first"

    Output shape:
        (batch, new depth, new height, new width, filters), or with the filters second

    Example:
        >>> layer = QuantConv3D(6, 3, kernel_quantizer="twn(per_filter=True)")
        >>> layer(keras.ops.ones((1, 4, 4, 4, 2))).shape == (1, 2, 2, 2, 6)
        True
        >>> layer.quantized_kernel().scales.shape
        (1, 1, 1, 1, 1, 6)
    """
