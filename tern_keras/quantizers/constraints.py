"""Bounds that hold after every update of an optimizer."""

from typing import Any

import keras
from keras import ops

from tern_keras.ops.gradients import Tensor


@keras.saving.register_keras_serializable(package="tern_keras")
class Clip(keras.constraints.Constraint):
    """Clips a variable to an interval.

    Args:
        minimum: lower end.
        maximum: upper end.

    Example:
        >>> [float(value) for value in Clip(-1, 1)(keras.ops.array([-2.0, 0.5, 3.0]))]
        [-1.0, 0.5, 1.0]
    """

    def __init__(self, minimum: float, maximum: float) -> None:
        self.minimum = minimum
        self.maximum = maximum

    def __call__(self, w: Tensor) -> Tensor:
        """Return `w` clipped, of its shape and dtype."""
        return ops.clip(w, self.minimum, self.maximum)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"minimum": self.minimum, "maximum": self.maximum}
