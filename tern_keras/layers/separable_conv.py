"""The quantised separable convolutions: a depthwise kernel, then a pointwise one."""

from typing import Any, ClassVar

import keras

from tern_keras import quantizers
from tern_keras.layers.base import QuantizedLayer
from tern_keras.layers.kernels import KernelSpec


class QuantizedSeparable(QuantizedLayer):
    """Mixin for a separable convolution: adds `depthwise_quantizer` and `pointwise_quantizer`."""

    kernel_specs: ClassVar[tuple[KernelSpec, ...]] = (
        KernelSpec("depthwise", "depthwise_kernel", channel_axes=(-2, -1)),
        KernelSpec("pointwise", "pointwise_kernel"),
    )

    def __init__(
        self, *args: Any, depthwise_quantizer: Any = None, pointwise_quantizer: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.depthwise_quantizer = quantizers.get(depthwise_quantizer)
        self.pointwise_quantizer = quantizers.get(pointwise_quantizer)


@keras.saving.register_keras_serializable(package="tern_keras")
class QuantSeparableConv1D(QuantizedSeparable, keras.layers.SeparableConv1D):
    """`keras.layers.SeparableConv1D` whose forward pass uses quantised kernels.

    Args:
        *args: positional arguments of `keras.layers.SeparableConv1D`.
        depthwise_quantizer: of the kernel (steps, channels, depth_multiplier); what `tern_keras.quantizers.get`
            accepts. None leaves it float; both None behave exactly as the parent.
        pointwise_quantizer: the same for the kernel (1, channels * depth_multiplier, filters).
        **kwargs: keyword arguments of `keras.layers.SeparableConv1D`.

    Input shape:
        (batch, steps, channels), or (batch, channels, steps) for "channels_first"

    Output shape:
        (batch, new steps, filters), or (batch, filters, new steps)

    Example:
        >>> layer = QuantSeparableConv1D(6, 3, depthwise_quantizer="sq", pointwise_quantizer="ttq")
        >>> layer(keras.ops.ones((1, 8, 4))).shape == (1, 6, 6)
        True
        >>> {role: kernel.codes.shape for role, kernel in layer.quantized_kernels().items()}
        {'depthwise': (3, 4, 1), 'pointwise': (1, 4, 6)}
    """


@keras.saving.register_keras_serializable(package="tern_keras")
class QuantSeparableConv2D(QuantizedSeparable, keras.layers.SeparableConv2D):
    """`keras.layers.SeparableConv2D` whose forward pass uses quantised kernels.

    Args:
        *args: positional arguments of `keras.layers.SeparableConv2D`.
        depthwise_quantizer: of the kernel (height, width, channels, depth_multiplier); what
            `tern_keras.quantizers.get` accepts. None leaves it float; both None behave exactly as the parent.
        pointwise_quantizer: the same for the kernel (1, 1, channels * depth_multiplier, filters).
        **kwargs: keyword arguments of `keras.layers.SeparableConv2D`.

    Input shape:
        (batch, height, width, channels), or (batch, channels, height, width) for "channels_first"

    Output shape:
        (batch, new height, new width, filters), or (batch, filters, new height, new width)

    Example:
        >>> layer = QuantSeparableConv2D(6, 3, pointwise_quantizer="twn")
        >>> layer(keras.ops.ones((1, 8, 8, 4))).shape == (1, 6, 6, 6)
        True
        >>> list(layer.quantized_kernels())
        ['pointwise']
    """
