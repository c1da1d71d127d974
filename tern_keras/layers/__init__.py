"""Quantised layers: their Keras parents' signatures plus `kernel_quantizer`, or one quantizer for each kernel.

`ActivationQuantizer` quantises what flows between them.
"""

from typing import Any

import keras

from tern_keras.layers.activation_quantizer import ActivationQuantizer
from tern_keras.layers.conv import QuantConv1D, QuantConv2D, QuantConv3D
from tern_keras.layers.conv_transpose import QuantConv2DTranspose
from tern_keras.layers.dense import QuantDense
from tern_keras.layers.depthwise_conv import QuantDepthwiseConv1D, QuantDepthwiseConv2D
from tern_keras.layers.embedding import QuantEmbedding
from tern_keras.layers.kernels import KernelSpec
from tern_keras.layers.rnn import QuantGRU, QuantLSTM, QuantSimpleRNN
from tern_keras.layers.separable_conv import QuantSeparableConv1D, QuantSeparableConv2D

__all__ = [
    "ActivationQuantizer",
    "QuantConv1D",
    "QuantConv2D",
    "QuantConv2DTranspose",
    "QuantConv3D",
    "QuantDense",
    "QuantDepthwiseConv1D",
    "QuantDepthwiseConv2D",
    "QuantEmbedding",
    "QuantGRU",
    "QuantLSTM",
    "QuantSeparableConv1D",
    "QuantSeparableConv2D",
    "QuantSimpleRNN",
]

# stock class -> its quantised sibling, and the way back
QUANTIZED_CLASSES: dict[type, Any] = {
    keras.layers.Conv1D: QuantConv1D,
    keras.layers.Conv2D: QuantConv2D,
    keras.layers.Conv2DTranspose: QuantConv2DTranspose,
    keras.layers.Conv3D: QuantConv3D,
    keras.layers.Dense: QuantDense,
    keras.layers.DepthwiseConv1D: QuantDepthwiseConv1D,
    keras.layers.DepthwiseConv2D: QuantDepthwiseConv2D,
    keras.layers.Embedding: QuantEmbedding,
    keras.layers.GRU: QuantGRU,
    keras.layers.LSTM: QuantLSTM,
    keras.layers.SeparableConv1D: QuantSeparableConv1D,
    keras.layers.SeparableConv2D: QuantSeparableConv2D,
    keras.layers.SimpleRNN: QuantSimpleRNN,
}
STOCK_CLASSES: dict[type, Any] = {quantized: stock for stock, quantized in QUANTIZED_CLASSES.items()}


def kernel_specs(layer: keras.layers.Layer) -> tuple[KernelSpec, ...]:
    """Return the kernels of a stock or quantised layer, or of a subclass of one; none for other layers."""
    quantized = next((QUANTIZED_CLASSES[cls] for cls in type(layer).__mro__ if cls in QUANTIZED_CLASSES), None)
    return () if quantized is None else quantized.kernel_specs
