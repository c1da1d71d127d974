"""The quantizer of trained ternary quantisation."""

from typing import Any

import keras
from keras import ops

from tern_keras.ops.codes import ternary_codes
from tern_keras.ops.gradients import Tensor, as_float
from tern_keras.ops.ttq import check_threshold, ttq, ttq_threshold
from tern_keras.quantizers.base import QuantizedTensor, ScaledQuantizer


@keras.saving.register_keras_serializable(package="tern_keras")
class TTQ(ScaledQuantizer):
    """Trained ternary quantisation: weights {-Wn, 0, +Wp}, both scales trained by the model's optimizer.

    Formulas and reference: `tern_keras.ops.ttq`. The scales are free to take any sign, as in the authors' code.

    Args:
        threshold: Δ as a fraction of max|w|, in [0, 1).
        sparsity: share of zeros in [0, 1), held constant; replaces `threshold`.
        init: initial Wp and Wn: "ones" as published, which rescales the layer and wants a batch normalisation
            behind it, or "mean", the mean of |w| on each side, which keeps the layer's magnitude.
        **kwargs: `power_of_two` of `ScaledQuantizer`; `name` and `trainable` of a Keras layer.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> quantizer = TTQ(sparsity=0.5)
        >>> w = keras.ops.array([[0.9], [-0.6], [0.1], [0.0]])
        >>> keras.ops.convert_to_numpy(quantizer(w)).tolist()
        [[1.0], [-1.0], [0.0], [0.0]]
    """

    def __init__(
        self, threshold: float = 0.05, sparsity: float | None = None, init: str = "ones", **kwargs: Any
    ) -> None:
        check_threshold(threshold, sparsity)
        if init not in ("ones", "mean"):
            raise ValueError(f"TTQ: init must be 'ones' or 'mean', received {init!r}.")
        super().__init__(**kwargs)
        self.threshold = threshold
        self.sparsity = sparsity
        self.init = init

    def build(self, kernel_shape: tuple[int, ...]) -> None:
        """Create the scales `wp` and `wn`, scalars."""
        from_mean = self.init == "mean"
        self.wp = self.add_weight(
            name="wp", shape=(), initializer=self.from_kernel(self._mean_above) if from_mean else "ones"
        )
        self.wn = self.add_weight(
            name="wn", shape=(), initializer=self.from_kernel(self._mean_below) if from_mean else "ones"
        )

    def _codes(self, kernel: Tensor) -> Tensor:
        return ternary_codes(kernel, ttq_threshold(kernel, self.threshold, self.sparsity))

    def _mean_above(self, kernel: Tensor) -> Tensor:
        codes = self._codes(kernel)
        # a side without weights takes the mean of the other, for the weights that may cross later
        support = ops.where(ops.any(codes > 0), ops.maximum(codes, 0), ops.abs(codes))
        return ops.sum(ops.abs(kernel) * support) / ops.maximum(ops.sum(support), 1)

    def _mean_below(self, kernel: Tensor) -> Tensor:
        return self._mean_above(-kernel)

    def call(self, kernel: Tensor) -> Tensor:
        """Return the quantised kernel, float32."""
        return ttq(kernel, self.rounded(self.wp), self.rounded(self.wn), self.threshold, self.sparsity)

    def quantized_tensor(self, kernel: Tensor) -> QuantizedTensor:
        """Return the codes and the two scales of `kernel`."""
        return self._quantized_tensor(self._codes(as_float(kernel)), self.wp, self.wn)

    def calibrate(self, kernel: Tensor) -> None:
        """Set Wp and Wn to the means of |w| on each side, so that the layer keeps its magnitude."""
        kernel = as_float(kernel)
        self.wp.assign(self._mean_above(kernel))
        self.wn.assign(self._mean_below(kernel))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        own = {"threshold": self.threshold, "sparsity": self.sparsity, "init": self.init}
        return {**super().get_config(), **own}
