"""The quantizer of adaptive binary-ternary quantisation."""

import math
from typing import Any

import keras
from keras import ops

from tern_keras.ops.codes import binary_codes, ternary_codes
from tern_keras.ops.gradients import Tensor, as_float
from tern_keras.ops.sq import BETA_MAX, BETA_MIN, sq
from tern_keras.quantizers.base import QuantizedTensor, ScaledQuantizer
from tern_keras.quantizers.constraints import Clip


@keras.saving.register_keras_serializable(package="tern_keras")
class SQ(ScaledQuantizer):
    """Adaptive binary-ternary quantisation: weights {-|μ|, 0, +|μ|}, or ±|μ| in layers that turn binary.

    The forward pass is ternary throughout training, with a threshold of `width` standard deviations of the
    initial weights (formulas and reference: `tern_keras.ops.sq`). Two quantities train: μ, and β, which decides
    the depth: a layer whose β reaches `depth_threshold` is binary when it is finalised. Only the penalty moves
    β, so switch it on: `SQ(regularizer=AdaptiveRegularizer(0.1, 1e-2))`.

    Weights drawn from a normal distribution suit it best: 16 % of them start as zeros. Keep weight decay off `mu`
    and `beta`, and give β a rate of its own: Adam moves it by about the learning rate a step whatever the penalty's
    strength, across its whole range in 80 steps at 0.01. `tern_keras.optimizers.SplitOptimizer` does both.

    Args:
        regularizer: `AdaptiveRegularizer` of the kernel, or None for no penalty.
        per_filter: whether each filter has its own μ, instead of one for the layer.
        width: threshold in standard deviations of the initial weights.
        beta: initial β in [π/4, 1.5707], in radians.
        depth_threshold: β from which a layer is finalised as binary. 1.565 is the one value that agrees with
            the depths that the paper prints.
        **kwargs: `power_of_two` of `ScaledQuantizer`; `name` and `trainable` of a Keras layer.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> quantizer = SQ()
        >>> w = keras.ops.array([[0.75], [-0.5], [0.25], [0.0]])
        >>> quantizer.attach(w)
        >>> keras.ops.convert_to_numpy(quantizer(w)).tolist()
        [[0.375], [-0.375], [0.375], [0.0]]
    """

    def __init__(
        self,
        regularizer: keras.regularizers.Regularizer | None = None,
        per_filter: bool = True,
        width: float = 0.2,
        beta: float = 3 * math.pi / 8,
        depth_threshold: float = 1.565,
        **kwargs: Any,
    ) -> None:
        if width < 0:
            raise ValueError(f"SQ: width must be >= 0, received {width}.")
        if not BETA_MIN <= beta <= BETA_MAX:
            raise ValueError(f"SQ: beta must be in [pi/4, {BETA_MAX}], received {beta}.")
        super().__init__(**kwargs)
        self.regularizer = keras.regularizers.get(regularizer)
        self.per_filter = per_filter
        self.width = width
        self.initial_beta = beta
        self.depth_threshold = depth_threshold

    def build(self, kernel_shape: tuple[int, ...]) -> None:
        """Create `mu` (the kernel's shape with 1 for the axes that share it), and the scalars `beta`, `sigma`."""
        shared = self._scale_axes(len(kernel_shape))
        mu_shape = tuple(1 if axis in shared else size for axis, size in enumerate(kernel_shape))
        self.mu = self.add_weight(name="mu", shape=mu_shape, initializer=self.from_kernel(self._mean_magnitude))
        self.beta = self.add_weight(
            name="beta",
            shape=(),
            initializer=keras.initializers.Constant(self.initial_beta),
            constraint=Clip(BETA_MIN, BETA_MAX),
        )
        self.sigma = self.add_weight(name="sigma", shape=(), initializer=self.from_kernel(ops.std), trainable=False)

    def _scale_axes(self, rank: int) -> tuple[int, ...]:
        return self.filter_axes(rank) if self.per_filter else tuple(range(rank))

    def _mean_magnitude(self, kernel: Tensor) -> Tensor:
        # the least-squares scale of a binary kernel
        return ops.mean(ops.abs(kernel), axis=self._scale_axes(len(kernel.shape)), keepdims=True)

    @property
    def delta(self) -> Tensor:
        """The threshold Δ in the units of the weights."""
        return self.width * ops.convert_to_tensor(self.sigma)

    @property
    def binary(self) -> bool:
        """Whether β has reached the depth threshold: the layer is binary when finalised."""
        return float(ops.convert_to_numpy(self.beta)) >= self.depth_threshold

    def call(self, kernel: Tensor) -> Tensor:
        """Return the ternary kernel, float32."""
        return sq(kernel, self.rounded(self.mu), self.delta)

    def quantized_tensor(self, kernel: Tensor) -> QuantizedTensor:
        """Return the codes and scales of `kernel` at the depth that β decides.

        A ternary result equals the layer's forward pass; a binary one turns the zeros into ±|μ|.
        """
        kernel = as_float(kernel)
        codes = binary_codes(kernel) if self.binary else ternary_codes(kernel, self.delta)
        return self._quantized_tensor(codes, ops.abs(self.mu), bits=1 if self.binary else 2)

    def calibrate(self, kernel: Tensor) -> None:
        """Set μ to the means of |w| and the threshold to `width` standard deviations of `kernel`; β stays."""
        kernel = as_float(kernel)
        self.mu.assign(self._mean_magnitude(kernel))
        self.sigma.assign(ops.std(kernel))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        own = {
            "regularizer": keras.regularizers.serialize(self.regularizer),
            "per_filter": self.per_filter,
            "width": self.width,
            "beta": self.initial_beta,
            "depth_threshold": self.depth_threshold,
        }
        return {**super().get_config(), **own}
