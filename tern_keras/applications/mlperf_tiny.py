"""The four networks of the MLPerf Tiny benchmark, layer by layer as its reference code builds them.

They end in what the reference ends in, softmax except for the autoencoder, and the order of their weights is the
reference's: `model.load_weights("pretrainedResnet.h5")` reads its trained models. Its weight decay, L2 of 1e-4 on most
kernels, is left to the optimizer.

References:
    Banbury et al., "MLPerf Tiny benchmark", NeurIPS 2021 (arXiv:2106.07597), and its reference code,
    github.com/mlcommons/tiny, folder benchmark/training.
"""

from collections.abc import Sequence

import keras
from keras import layers

from tern_keras.applications.inputs import image_input

DS_CNN_FILTERS = 64
DS_CNN_BLOCKS = 4
# filters and strides of the separable convolutions of MobileNetV1, at a quarter of its width
MOBILENET_STEM = 8
MOBILENET_BLOCKS = ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *((128, 1),) * 5, (256, 2), (256, 1))
RESNET8_STAGES = (16, 32, 64)
AUTOENCODER_UNITS = (128, 128, 128, 128, 8, 128, 128, 128, 128)


def ds_cnn(input_shape: Sequence[int] = (49, 10, 1), classes: int = 12) -> keras.Model:
    """Keyword spotting: one convolution, four depthwise separable ones of 64 filters.

    22,016 weights, 24,908 parameters with biases and normalisation. The pooling covers the whole map but its last row:
    24 of 25, as in the reference.

    Args:
        input_shape: (frames, coefficients, 1) of the MFCC features, frames and coefficients 2 or more.
        classes: number of outputs.

    Input shape:
        (batch, frames, coefficients, 1)

    Output shape:
        (batch, classes), probabilities

    Returns:
        The float model, not compiled, with layers "conv", "block1_depthwise", "block1_pointwise" and so on, and "head".

    Raises:
        ValueError: `input_shape` is no image's or too small.

    Example:
        >>> ds_cnn().count_params()
        24908

    References:
        `keyword_spotting/keras_model.py` of MLPerf Tiny.
        Zhang, Suda, Lai, Chandra, "Hello edge: keyword spotting on microcontrollers", 2017 (arXiv:1711.07128).
    """
    inputs = image_input("ds_cnn", input_shape, smallest=2)
    x = layers.Conv2D(DS_CNN_FILTERS, (10, 4), strides=2, padding="same", name="conv")(inputs)
    x = layers.Dropout(0.2, name="conv_dropout")(_batch_norm_relu(x, "conv"))
    for block in range(1, DS_CNN_BLOCKS + 1):
        x = _separable_conv(x, DS_CNN_FILTERS, 1, "glorot_uniform", f"block{block}")
    x = layers.Dropout(0.4, name="dropout")(x)
    height, width, _ = inputs.shape[1:]
    x = layers.AveragePooling2D((height // 2, width // 2), name="pool")(x)
    return _classifier(inputs, x, classes, "ds_cnn")


def mobilenet_v1_025(input_shape: Sequence[int] = (96, 96, 3), classes: int = 2) -> keras.Model:
    """Visual wake words: MobileNetV1 at a quarter of its width, 8 to 256 filters.

    208,112 weights, 221,794 parameters with biases and normalisation.

    Args:
        input_shape: (height, width, channels).
        classes: number of outputs.

    Input shape:
        (batch, height, width, channels)

    Output shape:
        (batch, classes), probabilities

    Returns:
        The float model, not compiled, with layers "conv", "block1_depthwise", "block1_pointwise" and so on, and "head".

    Raises:
        ValueError: `input_shape` is no image's.

    Example:
        >>> mobilenet_v1_025().count_params()
        221794

    References:
        `visual_wake_words/vww_model.py` of MLPerf Tiny.
        Howard et al., "MobileNets: efficient convolutional neural networks for mobile vision applications", 2017,
        table 1 (arXiv:1704.04861).
    """
    inputs = image_input("mobilenet_v1_025", input_shape)
    x = _batch_norm_relu(_he_conv(inputs, MOBILENET_STEM, 3, 2, "conv"), "conv")
    for block, (filters, strides) in enumerate(MOBILENET_BLOCKS, start=1):
        x = _separable_conv(x, filters, strides, "he_normal", f"block{block}")
    x = layers.AveragePooling2D(x.shape[1:3], name="pool")(x)
    return _classifier(inputs, x, classes, "mobilenet_v1_025")


def resnet8(input_shape: Sequence[int] = (32, 32, 3), classes: int = 10) -> keras.Model:
    """Image classification: a residual network of three blocks with 16, 32 and 64 filters.

    77,360 weights, 78,666 parameters with biases and normalisation. Pixels come in as 0 to 255, not scaled. The 1x1
    convolutions of the shortcuts have no normalisation.

    Args:
        input_shape: (height, width, channels).
        classes: number of outputs.

    Input shape:
        (batch, height, width, channels)

    Output shape:
        (batch, classes), probabilities

    Returns:
        The float model, not compiled, with layers "conv", "block1_conv1" and so on, and "head".

    Raises:
        ValueError: `input_shape` is no image's.

    Example:
        >>> resnet8().count_params()
        78666

    References:
        `image_classification/keras_model.py` of MLPerf Tiny.
        He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016 (arXiv:1512.03385).
    """
    inputs = image_input("resnet8", input_shape)
    x = _batch_norm_relu(_he_conv(inputs, RESNET8_STAGES[0], 3, 1, "conv"), "conv")
    for block, filters in enumerate(RESNET8_STAGES, start=1):
        name = f"block{block}"
        strides = 1 if block == 1 else 2
        y = _batch_norm_relu(_he_conv(x, filters, 3, strides, f"{name}_conv1"), f"{name}_conv1")
        y = _he_conv(y, filters, 3, 1, f"{name}_conv2")
        if strides > 1:
            x = _he_conv(x, filters, 1, strides, f"{name}_shortcut")
        y = layers.BatchNormalization(name=f"{name}_conv2_bn")(y)
        x = layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))
    x = layers.AveragePooling2D(x.shape[1:3], name="pool")(x)
    return _classifier(inputs, x, classes, "resnet8", kernel_initializer="he_normal")


def autoencoder(features: int = 640) -> keras.Model:
    """Anomaly detection: a dense autoencoder, 128-128-128-128-8-128-128-128-128.

    264,192 weights at 640 features, 269,992 parameters with biases and normalisation. Trained to reproduce sounds of
    working machines; the mean squared error is the anomaly score.

    Args:
        features: number of inputs and outputs: 5 frames of 128 log-mel energies.

    Input shape:
        (batch, features)

    Output shape:
        (batch, features)

    Returns:
        The float model, not compiled, with layers "fc1" to "fc9", and "head".

    Raises:
        ValueError: `features` is no positive whole number.

    Example:
        >>> autoencoder().count_params()
        269992

    References:
        `anomaly_detection/keras_model.py` of MLPerf Tiny.
        Koizumi et al., "Description and discussion on DCASE2020 challenge task 2", 2020 (arXiv:2006.05822).
    """
    if not isinstance(features, int) or features < 1:
        raise ValueError(f"autoencoder(): features must be a positive whole number; received {features!r}.")
    inputs = x = keras.Input((features,))
    for position, units in enumerate(AUTOENCODER_UNITS, start=1):
        x = _batch_norm_relu(layers.Dense(units, name=f"fc{position}")(x), f"fc{position}")
    return keras.Model(inputs, layers.Dense(features, name="head")(x), name="autoencoder")


def _he_conv(x: keras.KerasTensor, filters: int, kernel_size: int, strides: int, name: str) -> keras.KerasTensor:
    options = {"strides": strides, "padding": "same", "kernel_initializer": "he_normal"}
    return layers.Conv2D(filters, kernel_size, name=name, **options)(x)


def _batch_norm_relu(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_bn")(x))


def _separable_conv(x: keras.KerasTensor, filters: int, strides: int, initializer: str, name: str) -> keras.KerasTensor:
    """Return a 3x3 depthwise and a 1x1 convolution of `x`, each normalised and rectified."""
    depthwise = layers.DepthwiseConv2D(3, strides=strides, padding="same", name=f"{name}_depthwise")
    x = _batch_norm_relu(depthwise(x), f"{name}_depthwise")
    pointwise = layers.Conv2D(filters, 1, kernel_initializer=initializer, name=f"{name}_pointwise")
    return _batch_norm_relu(pointwise(x), f"{name}_pointwise")


def _classifier(
    inputs: keras.KerasTensor, x: keras.KerasTensor, classes: int, name: str, kernel_initializer: str = "glorot_uniform"
) -> keras.Model:
    head = layers.Dense(classes, activation="softmax", kernel_initializer=kernel_initializer, name="head")
    return keras.Model(inputs, head(layers.Flatten(name="flatten")(x)), name=name)
