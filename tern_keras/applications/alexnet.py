"""AlexNet with batch normalisation, for ImageNet."""

from collections.abc import Sequence

import keras
from keras import layers

from tern_keras.applications.inputs import image_input


def alexnet_bn(input_shape: Sequence[int] = (224, 224, 3), classes: int = 1000) -> keras.Model:
    """AlexNet as TTQ and DoReFa train it: batch normalisation instead of dropout, a first kernel of 12x12.

    On ImageNet its layers have 41472, 307200, 884736, 663552, 442368, 37748736, 16777216 and 4096000 weights,
    60,961,280 in all. With the first and the last layer float, as published, ternary weights make it 7.93 times
    smaller, not 16: the last layer alone keeps 6.7 % of the weights. Pooling comes before ReLU, and three of the
    convolutions have two groups.

    Args:
        input_shape: (height, width, channels), height and width 44 or more.
        classes: number of outputs.

    Input shape:
        (batch, height, width, channels)

    Output shape:
        (batch, classes), logits

    Returns:
        The float model, not compiled, with layers "conv0" to "conv4", "fc0", "fc1" and "head".

    Raises:
        ValueError: `input_shape` is no image's or too small.

    Example:
        >>> alexnet_bn(input_shape=(44, 44, 3)).get_layer("pool4").output.shape
        (None, 1, 1, 256)

    References:
        Zhu, Han, Mao, Dally, "Trained ternary quantization", ICLR 2017 (arXiv:1612.01064), and the
        authors' `tw-imagenet-alexnet.py`.
        Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks", NIPS 2012.
    """
    return keras.Sequential(
        [
            image_input("alexnet_bn", input_shape, smallest=44),
            layers.Conv2D(96, 12, strides=4, use_bias=False, name="conv0"),
            layers.ReLU(name="conv0_relu"),
            _conv(256, 5, groups=2, name="conv1"),
            _batch_norm("conv1_bn"),
            layers.MaxPooling2D(3, strides=2, padding="same", name="pool1"),
            layers.ReLU(name="conv1_relu"),
            _conv(384, 3, groups=1, name="conv2"),
            _batch_norm("conv2_bn"),
            layers.MaxPooling2D(3, strides=2, padding="same", name="pool2"),
            layers.ReLU(name="conv2_relu"),
            _conv(384, 3, groups=2, name="conv3"),
            _batch_norm("conv3_bn"),
            layers.ReLU(name="conv3_relu"),
            _conv(256, 3, groups=2, name="conv4"),
            _batch_norm("conv4_bn"),
            layers.MaxPooling2D(3, strides=2, name="pool4"),
            layers.ReLU(name="conv4_relu"),
            layers.Flatten(name="flatten"),
            layers.Dense(4096, use_bias=False, name="fc0"),
            _batch_norm("fc0_bn"),
            layers.ReLU(name="fc0_relu"),
            layers.Dense(4096, use_bias=False, name="fc1"),
            _batch_norm("fc1_bn"),
            layers.ReLU(name="fc1_relu"),
            layers.Dense(classes, name="head"),
        ],
        name="alexnet_bn",
    )


def _conv(filters: int, kernel_size: int, groups: int, name: str) -> keras.layers.Layer:
    return layers.Conv2D(filters, kernel_size, padding="same", groups=groups, use_bias=False, name=name)


def _batch_norm(name: str) -> keras.layers.Layer:
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-4, name=name)
