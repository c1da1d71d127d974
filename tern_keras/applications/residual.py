"""What the residual networks share: convolutions, normalisation and the block with activation after the sum."""

import keras
from keras import layers


def conv(x: keras.KerasTensor, filters: int, kernel_size: int, strides: int, name: str) -> keras.KerasTensor:
    """Return a "same" convolution without bias, its weights drawn from N(0, 2 / (kernel_size² · filters)).

    Args:
        x: (batch, height, width, channels).
        filters: number of output channels.
        kernel_size: height and width of the kernel.
        strides: step along height and width.
        name: the layer's name.

    Returns:
        (batch, ⌈height / strides⌉, ⌈width / strides⌉, filters)
    """
    return _conv(x, filters, kernel_size, strides, "same", name)


def centered_conv(x: keras.KerasTensor, filters: int, kernel_size: int, strides: int, name: str) -> keras.KerasTensor:
    """Return the convolution of `conv`, padded alike on all sides, as the PyTorch originals are.

    With strides, "same" pads more at the bottom and at the right: its outputs lie a pixel off those of a shortcut
    that takes every other pixel, and weights trained in PyTorch do not fit it.
    """
    if strides == 1:
        return conv(x, filters, kernel_size, strides, name)
    if kernel_size > 1:
        x = layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)
    return _conv(x, filters, kernel_size, strides, "valid", name)


def _conv(
    x: keras.KerasTensor, filters: int, kernel_size: int, strides: int, padding: str, name: str
) -> keras.KerasTensor:
    initializer = keras.initializers.VarianceScaling(2.0, mode="fan_out", distribution="untruncated_normal")
    options = {"strides": strides, "padding": padding, "use_bias": False, "kernel_initializer": initializer}
    return layers.Conv2D(filters, kernel_size, name=name, **options)(x)


def batch_norm(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Return `x` normalised, with the momentum and ε of PyTorch and tensorpack."""
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)


def batch_norm_relu(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Return `x` normalised and rectified; the layers' names are `name` with "_bn" and "_relu"."""
    return layers.ReLU(name=f"{name}_relu")(batch_norm(x, f"{name}_bn"))


def basic_block(
    x: keras.KerasTensor, shortcut: keras.KerasTensor, filters: int, strides: int, name: str
) -> keras.KerasTensor:
    """Return relu(shortcut + BN(conv(relu(BN(conv(x)))))), both convolutions 3x3, the first with the strides.

    References:
        He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016, fig. 2 (arXiv:1512.03385).
    """
    y = batch_norm_relu(centered_conv(x, filters, 3, strides, f"{name}_conv1"), f"{name}_conv1")
    y = batch_norm(centered_conv(y, filters, 3, 1, f"{name}_conv2"), f"{name}_conv2_bn")
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([y, shortcut]))
