"""The published quantisation functions: pure, with the published gradients, on every Keras backend."""

from tern_keras.ops.binary_connect import binary_connect
from tern_keras.ops.bwn import bwn, dorefa
from tern_keras.ops.fake_quantize import fake_quantize, int8_grid
from tern_keras.ops.power_of_two import power_of_two
from tern_keras.ops.sq import adaptive_penalty, sq
from tern_keras.ops.statistical_scaling import residual_expansion, statistical_scaling
from tern_keras.ops.truncated_gaussian import truncated_gaussian
from tern_keras.ops.ttq import ttq
from tern_keras.ops.twn import twn

__all__ = [
    "adaptive_penalty",
    "binary_connect",
    "bwn",
    "dorefa",
    "fake_quantize",
    "int8_grid",
    "power_of_two",
    "residual_expansion",
    "sq",
    "statistical_scaling",
    "truncated_gaussian",
    "ttq",
    "twn",
]
