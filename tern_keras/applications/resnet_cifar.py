"""The residual networks for CIFAR-10, in the variants of two papers."""

from collections.abc import Sequence

import keras
from keras import layers

from tern_keras.applications.inputs import image_input
from tern_keras.applications.residual import basic_block, batch_norm_relu, conv

STAGES = (16, 32, 64)


def resnet_cifar(
    depth: int = 20, variant: str = "ttq", input_shape: Sequence[int] = (32, 32, 3), classes: int = 10
) -> keras.Model:
    """ResNet-20, -32, -44 or -56 without a weight in its shortcuts.

    Where the channels double, the shortcut halves height and width and fills up with zero channels. The variants:

    - "ttq": batch normalisation and ReLU before the convolutions; the shortcut averages 2x2 pixels and has half of the
      zero channels before and half behind.
    - "he": activation after the sum; the shortcut takes every other pixel and has the zero channels behind (option A).

    ========  ========  ==================================================
    depth     weights   compression of ternary weights, first layer float
    ========  ========  ==================================================
    20        268,336   15.62
    32        461,872   15.78
    44        655,408   15.84
    56        848,944   15.88
    ========  ========  ==================================================

    Args:
        depth: number of layers with weights, 6n + 2.
        variant: "ttq" or "he".
        input_shape: (height, width, channels).
        classes: number of outputs.

    Input shape:
        (batch, height, width, channels)

    Output shape:
        (batch, classes), logits

    Returns:
        The float model, not compiled, with layers "conv0", "stage1_block1_conv1" and so on, and "head".

    Raises:
        ValueError: `depth` is not 6n + 2, `variant` is unknown, or `input_shape` is no image's.

    Example:
        >>> model = resnet_cifar(depth=8)
        >>> model.get_layer("stage3_block1_add").output.shape
        (None, 8, 8, 64)

    References:
        Zhu, Han, Mao, Dally, "Trained ternary quantization", ICLR 2017 (arXiv:1612.01064), and the
        authors' `tw-cifar10-resnet.py`.
        He, Gong, Fan, "Optimize deep convolutional neural network with ternarized weights and high accuracy",
        WACV 2019 (arXiv:1807.07948), and the authors' `tern_resnet_cifar.py`.
        He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016, section 4.2 (arXiv:1512.03385).
    """
    blocks, rest = divmod(depth - 2, 6)
    if rest or blocks < 1:
        raise ValueError(f"resnet_cifar(): depth must be 6n + 2, as 20, 32, 44 and 56 are; received {depth}.")
    if variant not in _BODIES:
        raise ValueError(f"resnet_cifar(): variant must be one of {sorted(_BODIES)}; received {variant!r}.")
    inputs = image_input("resnet_cifar", input_shape)
    x = batch_norm_relu(conv(inputs, STAGES[0], 3, 1, "conv0"), "conv0")
    x = _BODIES[variant](x, blocks)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(classes, name="head")(x), name=f"resnet{depth}_{variant}")


def _ttq_body(x: keras.KerasTensor, blocks: int) -> keras.KerasTensor:
    """Return the three stages of the "ttq" variant, and the normalisation that closes them."""
    for stage, filters in enumerate(STAGES, start=1):
        for block in range(1, blocks + 1):
            name = f"stage{stage}_block{block}"
            widens = x.shape[-1] != filters
            # the stem's activation serves the first block too
            y = x if (stage, block) == (1, 1) else batch_norm_relu(x, f"{name}_in")
            y = conv(y, filters, 3, 2 if widens else 1, f"{name}_conv1")
            y = conv(batch_norm_relu(y, f"{name}_conv1"), filters, 3, 1, f"{name}_conv2")
            if widens:
                missing = filters - x.shape[-1]
                x = layers.AveragePooling2D(2, padding="same", name=f"{name}_shortcut")(x)
                x = _zero_channels(x, before=missing // 2, behind=missing - missing // 2)
            x = layers.Add(name=f"{name}_add")([y, x])
    return batch_norm_relu(x, "last")


def _he_body(x: keras.KerasTensor, blocks: int) -> keras.KerasTensor:
    """Return the three stages of the "he" variant."""
    for stage, filters in enumerate(STAGES, start=1):
        for block in range(1, blocks + 1):
            name = f"stage{stage}_block{block}"
            widens = x.shape[-1] != filters
            shortcut = x
            if widens:
                # a pooling of one pixel only strides
                shortcut = layers.AveragePooling2D(1, strides=2, name=f"{name}_shortcut")(x)
                shortcut = _zero_channels(shortcut, before=0, behind=filters - x.shape[-1])
            x = basic_block(x, shortcut, filters, 2 if widens else 1, name)
    return x


def _zero_channels(x: keras.KerasTensor, before: int, behind: int) -> keras.KerasTensor:
    return keras.ops.pad(x, ((0, 0), (0, 0), (0, 0), (before, behind)))


_BODIES = {"ttq": _ttq_body, "he": _he_body}
