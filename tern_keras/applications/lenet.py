"""The two networks that ternary papers call LeNet-5, for MNIST."""

from collections.abc import Sequence

import keras
from keras import layers

from tern_keras.applications.inputs import image_input


def lenet5(input_shape: Sequence[int] = (28, 28, 1), classes: int = 10) -> keras.Model:
    """Classic LeNet-5, 6-16-120-84-10, as in the SQ paper: biases and ReLU, no batch normalisation.

    The weights of its layers, 150, 2400, 48000, 10080 and 840, sum up to 61,470. With bits 1-1-2-2-2 they are 16.34
    times smaller than in float32: the 16.3 that the paper prints, which no other LeNet-5 gives. The first convolution
    pads ("same"), the second does not.

    Args:
        input_shape: (height, width, channels), height and width 12 or more.
        classes: number of outputs.

    Input shape:
        (batch, height, width, channels)

    Output shape:
        (batch, classes), logits

    Returns:
        The float model, not compiled, with layers "conv1", "conv2", "fc1", "fc2" and "head".

    Raises:
        ValueError: `input_shape` is no image's or too small.

    Example:
        >>> [tuple(layer.kernel.shape) for layer in lenet5().layers if hasattr(layer, "kernel")]
        [(5, 5, 1, 6), (5, 5, 6, 16), (400, 120), (120, 84), (84, 10)]

    References:
        Razani, Morin, Sari, Partovi Nia, "Adaptive binary-ternary quantization", CVPR workshops 2021
        (arXiv:1909.12205).
        LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", 1998.
    """
    return keras.Sequential(
        [
            image_input("lenet5", input_shape, smallest=12),
            layers.Conv2D(6, 5, padding="same", activation="relu", name="conv1"),
            layers.MaxPooling2D(name="pool1"),
            layers.Conv2D(16, 5, activation="relu", name="conv2"),
            layers.MaxPooling2D(name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(120, activation="relu", name="fc1"),
            layers.Dense(84, activation="relu", name="fc2"),
            layers.Dense(classes, name="head"),
        ],
        name="lenet5",
    )


def lenet5_twn(input_shape: Sequence[int] = (28, 28, 1), classes: int = 10) -> keras.Model:
    """LeNet-5 of the TWN paper, 32-64-512-10, with batch normalisation.

    The weights of its layers, 800, 51200, 524288 and 5120, sum up to 581,408. Both convolutions are unpadded. Layers
    that batch normalisation follows have no bias, which it would cancel.

    Args:
        input_shape: (height, width, channels), height and width 16 or more.
        classes: number of outputs.

    Input shape:
        (batch, height, width, channels)

    Output shape:
        (batch, classes), logits

    Returns:
        The float model, not compiled, with layers "conv1", "conv2", "fc1" and "head", and their normalisations.

    Raises:
        ValueError: `input_shape` is no image's or too small.

    Example:
        >>> [tuple(layer.kernel.shape) for layer in lenet5_twn().layers if hasattr(layer, "kernel")]
        [(5, 5, 1, 32), (5, 5, 32, 64), (1024, 512), (512, 10)]

    References:
        Li, Zhang, Liu, "Ternary weight networks", 2016 (arXiv:1605.04711), and the authors' `lenet_tn.prototxt`.
    """
    return keras.Sequential(
        [
            image_input("lenet5_twn", input_shape, smallest=16),
            layers.Conv2D(32, 5, use_bias=False, name="conv1"),
            layers.BatchNormalization(name="conv1_bn"),
            layers.ReLU(name="conv1_relu"),
            layers.MaxPooling2D(name="pool1"),
            layers.Conv2D(64, 5, use_bias=False, name="conv2"),
            layers.BatchNormalization(name="conv2_bn"),
            layers.ReLU(name="conv2_relu"),
            layers.MaxPooling2D(name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(512, use_bias=False, name="fc1"),
            layers.BatchNormalization(name="fc1_bn"),
            layers.ReLU(name="fc1_relu"),
            layers.Dense(classes, name="head"),
        ],
        name="lenet5_twn",
    )
