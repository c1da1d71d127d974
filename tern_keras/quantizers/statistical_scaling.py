"""The quantizers of statistical weight scaling and residual expansion."""

from typing import Any

import keras

from tern_keras.ops.gradients import Tensor, as_float
from tern_keras.ops.statistical_scaling import (
    check_beta,
    check_expansion,
    expansion_betas,
    statistical_scaling,
    sws_codes_and_scale,
)
from tern_keras.quantizers.base import QuantizedSum, QuantizedTensor, ScaledQuantizer


@keras.saving.register_keras_serializable(package="tern_keras")
class StatisticalScaling(ScaledQuantizer):
    """Statistical weight scaling: weights {-α, 0, +α}, with a threshold at a fraction of the largest weight.

    Formulas and reference: `tern_keras.ops.statistical_scaling`. It has no trainable state. Latent weights that
    reach ±1 get no gradient any more.

    Args:
        beta: threshold as a fraction of max|w|, in [0, 1).
        **kwargs: `power_of_two` of `ScaledQuantizer`; `name` and `trainable` of a Keras layer.

    Raises:
        ValueError: `beta` is out of range.

    Example:
        >>> quantizer = StatisticalScaling()
        >>> w = keras.ops.array([[0.75], [-0.25], [0.02]])
        >>> keras.ops.convert_to_numpy(quantizer(w)).tolist()
        [[0.5], [-0.5], [0.0]]
    """

    def __init__(self, beta: float = 0.05, **kwargs: Any) -> None:
        check_beta(beta)
        super().__init__(**kwargs)
        self.beta = beta

    def build(self, kernel_shape: tuple[int, ...]) -> None:
        """Create no state: everything follows from the latent weights."""

    def call(self, kernel: Tensor) -> Tensor:
        """Return the quantised kernel, float32."""
        return self.rounded(statistical_scaling(kernel, self.beta))

    def quantized_tensor(self, kernel: Tensor) -> QuantizedTensor:
        """Return the codes and the scale of `kernel`."""
        return self._quantized_tensor(*sws_codes_and_scale(as_float(kernel), self.beta))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "beta": self.beta}


@keras.saving.register_keras_serializable(package="tern_keras")
class ResidualExpansion(ScaledQuantizer):
    """Residual expansion: a kernel that is the sum of `t_ex` ternary kernels.

    Formulas and reference: `tern_keras.ops.residual_expansion`. It has no trainable state. The deployed layer is
    `t_ex` ternary layers and a sum, of 2 · t_ex bits a weight; `finalize` leaves their sum in one kernel, which
    is no longer ternary.

    Args:
        t_ex: number of ternary kernels, from 1 to 19.
        **kwargs: `power_of_two` of `ScaledQuantizer`; `name` and `trainable` of a Keras layer.

    Raises:
        ValueError: `t_ex` is out of range.

    Example:
        >>> quantizer = ResidualExpansion(t_ex=2)
        >>> w = keras.ops.array([[1.0], [-0.4375], [0.0625], [0.0]])
        >>> keras.ops.convert_to_numpy(quantizer(w)).tolist()
        [[1.21875], [-1.21875], [0.5], [0.0]]
    """

    def __init__(self, t_ex: int = 2, **kwargs: Any) -> None:
        check_expansion(t_ex)
        super().__init__(**kwargs)
        self.t_ex = t_ex

    def build(self, kernel_shape: tuple[int, ...]) -> None:
        """Create no state: everything follows from the latent weights."""

    def call(self, kernel: Tensor) -> Tensor:
        """Return the sum of the ternary kernels, float32."""
        # each branch has its scale, so each is rounded before the sum
        return sum(self.rounded(statistical_scaling(kernel, beta)) for beta in expansion_betas(self.t_ex))

    def quantized_tensor(self, kernel: Tensor) -> QuantizedTensor:
        """Return the codes and scales of the ternary kernels, and their sum."""
        kernel = as_float(kernel)
        branches = (sws_codes_and_scale(kernel, beta) for beta in expansion_betas(self.t_ex))
        return QuantizedSum.of([self._quantized_tensor(*branch) for branch in branches])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "t_ex": self.t_ex}
