"""Metrics of quantised training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tern_keras.ops.gradients import Tensor


@keras.saving.register_keras_serializable(package="tern_keras")
class FlipRatio(keras.metrics.Metric):
    """The share of the weights that change their code from one update to the next, averaged over the updates.

        flip ratio = mean over the updates k = 2, 3, ... of  #{i : code_k[i] ≠ code_(k-1)[i]} / #i

    A high ratio late in training says that weights jump across the threshold to and fro: lower the learning rate. A
    ratio of zero says that training has come to rest, or is stuck. It is 0 before the second update; `reset_state`
    forgets the codes too.

    Args:
        shape: shape of the codes, that is of the kernel.
        name: name of the metric.
        dtype: dtype of the result, float32 by default.

    Raises:
        TypeError: `shape` is no sequence, or the metric is given to `compile`, whose metrics compare predictions.
        ValueError: codes of another shape are passed to `update_state`.

    Example:
        >>> flips = FlipRatio(shape=(4,))
        >>> flips.update_state([1, 0, -1, 1])
        >>> flips.update_state([1, 0, -1, -1])
        >>> flips.update_state([1, 0, 0, 0])
        >>> float(flips.result())  # 1/4, then 2/4
        0.375

    References:
        Helwegen et al., "Latent weights do not exist", NeurIPS 2019 (arXiv:1906.02107), and `larq.metrics.FlipRatio`.
    """

    def __init__(self, shape: Sequence[int], name: str = "flip_ratio", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        try:
            self.shape = tuple(shape)
        except TypeError as error:
            expected = "the shape of the kernel, e.g. (3, 3, 16, 32)"
            raise TypeError(f"FlipRatio: expected {expected}, received {shape!r}.") from error
        # replicas hold equal kernels: one of them is enough, and a sum of codes is no code
        once: dict[str, Any] = {"initializer": "zeros", "aggregation": "only_first_replica"}
        self.previous = self.add_variable(self.shape, dtype="int8", name="previous", **once)
        self.total = self.add_variable((), dtype="float32", name="total", **once)
        self.updates = self.add_variable((), dtype="int32", name="updates", **once)

    def update_state(self, codes: Tensor, *predictions: Any, **weights: Any) -> None:
        """Compare codes with those of the update before.

        Args:
            codes: tensor of the metric's shape, of any dtype. Only signs count, so a quantised kernel serves as well.
            *predictions: none.
            **weights: none.
        """
        if predictions or weights:
            raise TypeError(
                "FlipRatio compares the codes of a kernel, not predictions: leave it out of compile(). For the flip "
                "ratios of fit() take tern_keras.callbacks.QuantizationMonitor; in a loop of your own call "
                "update_state(layer.quantized_kernel().codes)."
            )
        codes = ops.convert_to_tensor(codes)
        if tuple(codes.shape) != self.shape:
            raise ValueError(f"FlipRatio: expected codes of shape {self.shape}, received {tuple(codes.shape)}.")
        codes = ops.cast(ops.sign(codes), "int8")
        changed = ops.sum(ops.cast(ops.not_equal(codes, self.previous), "float32"))
        compared = ops.cast(ops.convert_to_tensor(self.updates) > 0, "float32")
        self.total.assign_add(compared * changed / math.prod(self.shape))
        self.updates.assign_add(1)
        self.previous.assign(codes)

    def result(self) -> Tensor:
        """Return the mean share, a scalar from 0 to 1."""
        comparisons = ops.maximum(ops.convert_to_tensor(self.updates) - 1, 1)
        return ops.cast(self.total / ops.cast(comparisons, "float32"), self.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "shape": self.shape}
