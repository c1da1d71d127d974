"""The networks of the papers and of MLPerf Tiny, as float Keras models to `ternarize`.

Each function builds an untrained channels-last model. The last layer that could be quantised is called "head" in all
of them; it gives logits, except in the MLPerf Tiny networks, which end as their reference does. Weight decay and other
parts of a recipe are left to the training.

Example:
    >>> import tern_keras
    >>> model = tern_keras.ternarize(lenet5(), "twn", skip=("head",))
    >>> round(tern_keras.profile(model).weights_compression, 2)
    13.28
"""

from tern_keras.applications.alexnet import alexnet_bn
from tern_keras.applications.lenet import lenet5, lenet5_twn
from tern_keras.applications.mlperf_tiny import autoencoder, ds_cnn, mobilenet_v1_025, resnet8
from tern_keras.applications.resnet import resnet18
from tern_keras.applications.resnet_cifar import resnet_cifar
from tern_keras.applications.vgg import vgg7, vgg16

__all__ = [
    "alexnet_bn",
    "autoencoder",
    "ds_cnn",
    "lenet5",
    "lenet5_twn",
    "mobilenet_v1_025",
    "resnet8",
    "resnet18",
    "resnet_cifar",
    "vgg7",
    "vgg16",
]
