"""ResNet-18 for ImageNet, and its wider sibling."""

from collections.abc import Sequence

import keras
from keras import layers

from tern_keras.applications.inputs import image_input
from tern_keras.applications.residual import basic_block, batch_norm, batch_norm_relu, centered_conv

STAGES = (64, 128, 256, 512)
BLOCKS = 2


def resnet18(width: float = 1.0, input_shape: Sequence[int] = (224, 224, 3), classes: int = 1000) -> keras.Model:
    """ResNet-18 at `width=1.0`, ResNet-18B at `width=1.5`.

    ResNet-18 has 11,678,912 weights on ImageNet and, with biases and normalisation, torchvision's 11,689,512 trainable
    parameters. ResNet-18B, every layer 1.5 times as wide, the first included, has 25,886,496 weights. Strided
    convolutions pad alike on all sides, as in PyTorch; shortcuts that change shape are 1x1 convolutions with batch
    normalisation.

    Args:
        width: factor on the number of filters.
        input_shape: (height, width, channels).
        classes: number of outputs.

    Input shape:
        (batch, height, width, channels)

    Output shape:
        (batch, classes), logits

    Returns:
        The float model, not compiled, with layers "conv1", "stage1_block1_conv1" and so on, and "head".

    Raises:
        ValueError: `width` leaves no filter, or `input_shape` is no image's.

    Example:
        >>> model = resnet18(width=0.25, classes=10)
        >>> model.get_layer("stage4_block2_add").output.shape
        (None, 7, 7, 128)

    References:
        He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016, table 1 (arXiv:1512.03385).
        Li, Zhang, Liu, "Ternary weight networks", 2016 (arXiv:1605.04711), for ResNet-18B.
    """
    stages = [int(filters * width) for filters in STAGES]
    if min(stages) < 1:
        raise ValueError(f"resnet18(): width must be at least 1/{STAGES[0]}, and is usually 1.0 or 1.5; got {width}.")
    inputs = image_input("resnet18", input_shape)
    x = batch_norm_relu(centered_conv(inputs, stages[0], 7, 2, "conv1"), "conv1")
    # after ReLU, zeros are as good a padding for a maximum as minus infinity
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(layers.ZeroPadding2D(1, name="pool1_pad")(x))
    for stage, filters in enumerate(stages, start=1):
        for block in range(1, BLOCKS + 1):
            name = f"stage{stage}_block{block}"
            strides = 2 if stage > 1 and block == 1 else 1
            shortcut = x
            if strides == 2:
                shortcut = centered_conv(x, filters, 1, strides, f"{name}_shortcut")
                shortcut = batch_norm(shortcut, f"{name}_shortcut_bn")
            x = basic_block(x, shortcut, filters, strides, name)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(classes, name="head")(x), name="resnet18")
