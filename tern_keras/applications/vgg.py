"""The VGG networks for CIFAR-10."""

from collections.abc import Sequence

import keras
from keras import layers

from tern_keras.applications.inputs import image_input

VGG7_STAGES = ((128, 128), (256, 256), (512, 512))
VGG16_STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def vgg7(input_shape: Sequence[int] = (32, 32, 3), classes: int = 10) -> keras.Model:
    """VGG-7 of the TWN paper: 2×128C3-MP2-2×256C3-MP2-2×512C3-MP2-1024FC and a classifier.

    On CIFAR-10 its eight layers have 3456, 147456, 294912, 589824, 1179648, 2359296, 8388608 and 10240 weights,
    12,973,440 in all. With the SQ paper's bits, 2-1-1-1-2-2-2, and 2 for the head, it is 16.66 times smaller than in
    float32; the 18.3 printed there does not follow from this network. Batch normalisation and ReLU follow all layers
    but the last.

    Args:
        input_shape: (height, width, channels), height and width 8 or more.
        classes: number of outputs.

    Input shape:
        (batch, height, width, channels)

    Output shape:
        (batch, classes), logits

    Returns:
        The float model, not compiled, with layers "conv1_1" to "conv3_2", "fc1" and "head", and their normalisations.

    Raises:
        ValueError: `input_shape` is no image's or too small.

    Example:
        >>> vgg7(input_shape=(8, 8, 3)).get_layer("pool3").output.shape
        (None, 1, 1, 512)

    References:
        Li, Zhang, Liu, "Ternary weight networks", 2016 (arXiv:1605.04711).
    """
    return keras.Sequential(
        [
            image_input("vgg7", input_shape, smallest=2 ** len(VGG7_STAGES)),
            *_convolutions(VGG7_STAGES),
            layers.Flatten(name="flatten"),
            layers.Dense(1024, use_bias=False, name="fc1"),
            layers.BatchNormalization(name="fc1_bn"),
            layers.ReLU(name="fc1_relu"),
            layers.Dense(classes, name="head"),
        ],
        name="vgg7",
    )


def vgg16(input_shape: Sequence[int] = (32, 32, 3), classes: int = 10) -> keras.Model:
    """VGG-16 of the SQ paper: thirteen convolutions with batch normalisation, and one dense layer.

    On CIFAR-10 it has 14,715,584 weights. With the first and the last layer float, ternary weights make it 15.89 times
    smaller and binary ones 31.5 times.

    Args:
        input_shape: (height, width, channels), height and width 32 or more.
        classes: number of outputs.

    Input shape:
        (batch, height, width, channels)

    Output shape:
        (batch, classes), logits

    Returns:
        The float model, not compiled, with layers "conv1_1" to "conv5_3" and "head", and their normalisations.

    Raises:
        ValueError: `input_shape` is no image's or too small.

    Example:
        >>> vgg16().get_layer("pool5").output.shape
        (None, 1, 1, 512)

    References:
        Razani, Morin, Sari, Partovi Nia, "Adaptive binary-ternary quantization", CVPR workshops 2021
        (arXiv:1909.12205).
        Simonyan, Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015,
        configuration D (arXiv:1409.1556).
    """
    return keras.Sequential(
        [
            image_input("vgg16", input_shape, smallest=2 ** len(VGG16_STAGES)),
            *_convolutions(VGG16_STAGES),
            layers.Flatten(name="flatten"),
            layers.Dense(classes, name="head"),
        ],
        name="vgg16",
    )


def _convolutions(stages: Sequence[Sequence[int]]) -> list[keras.layers.Layer]:
    """Return the 3x3 convolutions of the given filters, each stage closed by a pooling."""
    result: list[keras.layers.Layer] = []
    for stage, widths in enumerate(stages, start=1):
        for position, filters in enumerate(widths, start=1):
            name = f"conv{stage}_{position}"
            result += [
                layers.Conv2D(filters, 3, padding="same", use_bias=False, name=name),
                layers.BatchNormalization(name=f"{name}_bn"),
                layers.ReLU(name=f"{name}_relu"),
            ]
        result.append(layers.MaxPooling2D(name=f"pool{stage}"))
    return result
