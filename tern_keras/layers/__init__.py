"""Quantised layers: their Keras parents' signatures plus `kernel_quantizer`."""

from typing import Any

import keras

from tern_keras.layers.conv import QuantConv2D
from tern_keras.layers.dense import QuantDense
from tern_keras.layers.depthwise_conv import QuantDepthwiseConv2D

__all__ = ["QuantConv2D", "QuantDense", "QuantDepthwiseConv2D"]

# stock class -> its quantised sibling, and the way back
QUANTIZED_CLASSES: dict[type, Any] = {
    keras.layers.Conv2D: QuantConv2D,
    keras.layers.Dense: QuantDense,
    keras.layers.DepthwiseConv2D: QuantDepthwiseConv2D,
}
STOCK_CLASSES: dict[type, Any] = {quantized: stock for stock, quantized in QUANTIZED_CLASSES.items()}
