"""The layer that fake-quantises activations, so that the range it trained with is the range that is deployed."""

import math
from typing import Any

import keras
from keras import ops

from tern_keras.ops.fake_quantize import fake_quantize
from tern_keras.ops.gradients import Tensor, as_float
from tern_keras.switch import quantization_enabled


@keras.saving.register_keras_serializable(package="tern_keras")
class ActivationQuantizer(keras.layers.Layer):
    """Rounds activations to int8 per tensor, exactly on TFLite's grid, in training and in inference.

    Formulas and gradients: `tern_keras.ops.fake_quantize`. `tflite_export` gives the tensor this layer's range instead
    of a calibrated one, and the layer vanishes from the deployed graph. Put it where a tensor is stored: on the input,
    behind an activation function rather than before it, behind an addition, before a pooling rather than behind it
    (TFLite stores a pooling's input with the range of its output), not behind a softmax or sigmoid, whose range is
    prescribed.

    The range comes from the training batches:

    - "ema": a moving average of each batch's smallest and largest value, r ← momentum · r + (1 - momentum) · batch.
    - "learned": the first batch's, then trained by the model's optimizer through the base-2 logarithm of each end, as
      in TQT: max = max₀ · 2^θ and the same for min. So a step of the optimizer changes ranges of any size alike, and
      an end that starts at 0, as behind a ReLU, stays there.

    The range always includes 0. At inference, and with `trainable=False`, it is frozen, and a batch with NaN or
    infinite values leaves it as it is. Until the first training batch (of other values than 0) the layer passes its
    input on. The `call` of a subclassed model has to take `training` and
    to hand it on, as it has to for batch normalisation.

    Replicas of a `tf.distribute` strategy take the mean of their ranges.

    Args:
        range: "ema" or "learned".
        momentum: share of the moving average that a batch leaves, in [0, 1); for "ema" alone.
        initial_range: (min, max) to start from, with min <= 0 <= max and min < max, or None for the first batch's.
        **kwargs: `name`, `trainable` and `dtype` of a Keras layer; computes in float32 whatever the dtype.

    Input shape:
        any

    Output shape:
        that of the input

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> layer = ActivationQuantizer(initial_range=(0.0, 2.55))
        >>> [round(float(value), 4) for value in layer(keras.ops.array([-1.0, 1.004, 9.0]))]
        [0.0, 1.0, 2.55]

    References:
        Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference",
        CVPR 2018, section 3.1 (arXiv:1712.05877), for "ema"; Jain et al., "Trained quantization thresholds for
        accurate and efficient fixed-point inference of deep neural networks", MLSys 2020 (arXiv:1903.08066), for the
        logarithm.
    """

    def __init__(
        self,
        range: str = "ema",
        momentum: float = 0.99,
        initial_range: tuple[float, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if range not in ("ema", "learned"):
            raise ValueError(f"ActivationQuantizer: range must be 'ema' or 'learned', received {range!r}.")
        super().__init__(**kwargs)
        self.range = range
        self.momentum = _checked_momentum(momentum)
        self.initial_range = None if initial_range is None else _checked_range(initial_range)
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Create `minimum` and `maximum`, scalars; both 0 mean that no batch was seen. Learned: also θ of both."""
        self.minimum, self.maximum = (
            # the optimizer does not move these, and on JAX a call can only assign what is not trainable
            self._add_scalar(name, start, trainable=False)
            for name, start in zip(("minimum", "maximum"), self.initial_range or (0.0, 0.0), strict=True)
        )
        if self.range == "learned":
            self.log_minimum = self._add_scalar("log_minimum", 0.0, trainable=True)
            self.log_maximum = self._add_scalar("log_maximum", 0.0, trainable=True)

    def _add_scalar(self, name: str, start: float, trainable: bool) -> keras.Variable:
        variable = self.add_weight(
            name=name,
            shape=(),
            initializer=keras.initializers.Constant(start),
            dtype="float32",
            trainable=trainable,
            autocast=False,
            aggregation="mean",
        )
        variable.owned_by_quantizer = True
        return variable

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Return `inputs` rounded to the grid of the range, which a training batch moves first."""
        if not quantization_enabled():
            return inputs
        if training and self.trainable:
            self._observe(as_float(inputs))
        observed = self.maximum > self.minimum
        minimum, maximum = self._ends()
        # any range that is not empty will do for the branch that is not taken
        quantized = fake_quantize(inputs, minimum, ops.where(observed, maximum, 1.0))
        return ops.where(observed, quantized, inputs)

    def _observe(self, x: Tensor) -> None:
        """Move the range towards that of the batch `x`; a first batch sets it.

        One infinite value would stay in a moving average for ever: such a batch is passed over, and so is NaN.
        """
        x = ops.stop_gradient(x)
        finite = ops.all(ops.isfinite(x))
        observed = self.maximum > self.minimum
        for variable, end in (
            (self.minimum, ops.minimum(ops.min(x), 0.0)),
            (self.maximum, ops.maximum(ops.max(x), 0.0)),
        ):
            before = ops.convert_to_tensor(variable)
            after = before + (1 - self.momentum) * (end - before) if self.range == "ema" else before
            variable.assign(ops.where(finite, ops.where(observed, after, end), before))

    def _ends(self) -> tuple[Tensor, Tensor]:
        """Return both ends of the range, scalars, differentiable with respect to what is learned."""
        minimum, maximum = ops.convert_to_tensor(self.minimum), ops.convert_to_tensor(self.maximum)
        if self.range == "learned":
            minimum, maximum = minimum * ops.exp2(self.log_minimum), maximum * ops.exp2(self.log_maximum)
        return minimum, maximum

    def fixed_range(self) -> tuple[float, float]:
        """Return the range as it is deployed.

        Returns:
            (min, max) with min <= 0 <= max, float32 values.

        Raises:
            ValueError: the layer is not built, has seen no training batch and got no `initial_range`, or training
                made the range NaN or infinite.
        """
        if not self.built:
            raise ValueError(f"Layer '{self.name}' is not built: call it, or its build(), first.")
        minimum, maximum = (float(ops.convert_to_numpy(end)) for end in self._ends())
        if not math.isfinite(maximum - minimum):
            raise ValueError(
                f"Layer '{self.name}' (ActivationQuantizer) has the range ({minimum}, {maximum}), which is NaN or "
                "infinite: training diverged; train the model again, at a lower learning rate."
            )
        if not minimum < maximum:
            raise ValueError(
                f"Layer '{self.name}' (ActivationQuantizer) has never observed a range: train the model for at least "
                "one batch in which its input is finite and not all zeros (a subclassed model hands `training` on), "
                "or pass initial_range=(min, max)."
            )
        return minimum, maximum

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return `input_shape`: quantisation changes values alone."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        own = {"range": self.range, "momentum": self.momentum, "initial_range": self.initial_range}
        return {**super().get_config(), **own}


def _checked_momentum(momentum: Any) -> float:
    try:
        valid = 0 <= momentum < 1
    except TypeError:
        valid = False
    if not valid:
        raise ValueError(f"ActivationQuantizer: momentum must be a number in [0, 1), received {momentum!r}.")
    return float(momentum)


def _checked_range(initial_range: Any) -> tuple[float, float]:
    try:
        minimum, maximum = map(float, initial_range)
    except (TypeError, ValueError):
        minimum = maximum = math.nan
    if not (-math.inf < minimum <= 0 <= maximum < math.inf and minimum < maximum):
        raise ValueError(
            "ActivationQuantizer: initial_range must be a finite (min, max) with min <= 0 <= max and min < max, "
            f"received {initial_range!r}."
        )
    return minimum, maximum
