"""The quantizer of BinaryConnect."""

from typing import Any

import keras
import numpy as np
from keras import ops

from tern_keras.ops.binary_connect import binary_connect
from tern_keras.ops.codes import binary_codes
from tern_keras.ops.gradients import Tensor, as_float
from tern_keras.quantizers.base import QuantizedTensor, Quantizer
from tern_keras.quantizers.constraints import Clip


@keras.saving.register_keras_serializable(package="tern_keras")
class BinaryConnect(Quantizer):
    """BinaryConnect: weights ±1, and latent weights that stay in [-1, 1].

    Formulas and reference: `tern_keras.ops.binary_connect`. Without a scale a layer's outputs grow with its
    inputs: put a batch normalisation behind it. The authors also multiply the learning rate of a layer by
    sqrt((fan_in + fan_out) / 1.5), which is left to the optimizer here.

    Args:
        clip: False: the gradient passes unchanged and a constraint clips the latent weights to [-1, 1] after
            each update, as in the authors' code. True: weights outside [-1, 1] get no gradient instead.
        **kwargs: `name` and `trainable` of a Keras layer.

    Example:
        >>> quantizer = BinaryConnect()
        >>> w = keras.ops.array([[0.9], [-0.6], [0.0]])
        >>> keras.ops.convert_to_numpy(quantizer(w)).tolist()
        [[1.0], [-1.0], [1.0]]
    """

    def __init__(self, clip: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.clip = clip
        self.constraint = None if clip else Clip(-1, 1)

    def build(self, kernel_shape: tuple[int, ...]) -> None:
        """Create no state: everything follows from the latent weights."""

    def call(self, kernel: Tensor) -> Tensor:
        """Return the quantised kernel, float32."""
        return binary_connect(kernel, self.clip)

    def quantized_tensor(self, kernel: Tensor) -> QuantizedTensor:
        """Return the codes of `kernel`, and a scale of 1."""
        codes = ops.convert_to_numpy(binary_codes(as_float(kernel))).astype(np.int8)
        return QuantizedTensor(codes, np.ones((1,) * (1 + codes.ndim), np.float32), bits=1)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "clip": self.clip}
