"""What a weight quantizer is, and what it makes of a kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from tern_keras.ops.gradients import Tensor, as_float
from tern_keras.ops.power_of_two import power_of_two


@dataclass(frozen=True, eq=False)
class QuantizedTensor:
    """A quantised kernel as integers and scales: what a deployment stores.

    Attributes:
        codes: int8 array in {-1, 0, +1} of the kernel's shape.
        scales: float32 array of shape (1, ...) or (2, ...): `scales[0]` multiplies the codes +1 and `scales[-1]`
            the codes -1, each broadcastable to `codes`. One entry serves both signs in the symmetric methods.
        bits: bits that a code takes: 2, or 1 if no code is 0.

    Example:
        >>> q = QuantizedTensor(np.array([1, 0, -1], np.int8), np.array([[0.5], [0.25]], np.float32), bits=2)
        >>> q.dequantize().tolist()
        [0.5, 0.0, -0.25]
    """

    codes: np.ndarray
    scales: np.ndarray
    bits: int

    def dequantize(self) -> np.ndarray:
        """Return the kernel as the layer uses it, float32, of the shape of `codes`."""
        positive = np.where(self.codes > 0, self.scales[0], np.float32(0))
        return np.where(self.codes < 0, -self.scales[-1], positive).astype(np.float32)


@dataclass(frozen=True, eq=False)
class QuantizedSum(QuantizedTensor):
    """A quantised kernel that is a sum of such, e.g. of the branches of a residual expansion.

    Attributes:
        terms: the quantised tensors that add up to the kernel, each of its shape.
        codes: sum of the codes of the terms, int8; their supports are nested, so it is 0 where all of theirs are.
        scales: scales of the terms, one after the other.
        bits: bits of the terms together.
    """

    terms: tuple[QuantizedTensor, ...]

    @classmethod
    def of(cls, terms: Sequence[QuantizedTensor]) -> QuantizedSum:
        """Return the sum of `terms`, which have nested supports and equal signs.

        Example:
            >>> one = QuantizedTensor(np.array([1, 0, -1], np.int8), np.array([[0.5]], np.float32), bits=2)
            >>> two = QuantizedTensor(np.array([1, 0, 0], np.int8), np.array([[0.75]], np.float32), bits=2)
            >>> QuantizedSum.of([one, two]).dequantize().tolist()
            [1.25, 0.0, -0.5]
        """
        return cls(
            codes=np.stack([term.codes for term in terms]).sum(axis=0, dtype=np.int8),
            scales=np.concatenate([term.scales for term in terms]),
            bits=sum(term.bits for term in terms),
            terms=tuple(terms),
        )

    def dequantize(self) -> np.ndarray:
        """Return the kernel as the layer uses it, float32, of the shape of `codes`."""
        return np.sum([term.dequantize() for term in self.terms], axis=0)


class Quantizer(keras.layers.Layer):
    """Base of the weight quantizers: maps a latent kernel to a quantised one of the same shape.

    A quantizer is a sub-layer of the layer that owns the kernel, because Keras saves the weights of sub-layers
    but not those that a subclass adds to `Dense` or `Conv2D`. It computes in float32 whatever the dtype policy
    is, so that a weight falls on the same side of the threshold in training and in deployment.

    A subclass defines `build`, `call`, `quantized_tensor` and, where state depends on the kernel, `calibrate`.

    Attributes:
        axes: axes of the kernel that one filter spans; set by `attach`, all but the last by default.
        regularizer: penalty that the owning layer adds for the kernel, or None.
        constraint: constraint that the owning layer puts on the latent kernel, after its own, or None.
    """

    regularizer: keras.regularizers.Regularizer | None = None
    constraint: keras.constraints.Constraint | None = None

    def __init__(self, **kwargs: Any) -> None:
        kwargs.pop("dtype", None)
        super().__init__(dtype="float32", **kwargs)
        self.axes: tuple[int, ...] | None = None
        self._read_kernel: Callable[[], Tensor] | None = None

    def attach(self, kernel: Tensor, axes: tuple[int, ...] | None = None) -> None:
        """Create the state for `kernel`. The layer that owns the kernel does this once, when it is built.

        Args:
            kernel: latent weights; a Keras variable may still wait for its values.
            axes: axes that one filter spans; None for all but the last.

        Raises:
            ValueError: the quantizer already serves a kernel.
        """
        if self.built:
            raise ValueError(
                f"Quantizer '{self.name}' already serves a kernel and holds its scales. "
                "Give each layer a quantizer of its own, or name it, e.g. kernel_quantizer='ttq'."
            )
        self.axes = axes
        # a closure: assigning the variable itself would track it as a weight of the quantizer too
        self._read_kernel = lambda: as_float(kernel)
        self.build(tuple(kernel.shape))
        self._read_kernel = None

    def add_weight(self, *args: Any, **kwargs: Any) -> keras.Variable:
        """Add a weight as any layer does, marked for `tern_keras.optimizers.SplitOptimizer`."""
        variable = super().add_weight(*args, **kwargs)
        variable.owned_by_quantizer = True
        return variable

    def filter_axes(self, rank: int) -> tuple[int, ...]:
        """Return the axes that one filter of a kernel of `rank` axes spans."""
        return tuple(range(rank - 1)) if self.axes is None else self.axes

    def from_kernel(self, statistic: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
        """Return an initializer that computes `statistic` of the attached kernel.

        It reads the kernel when Keras calls it, which may be later than `build`: a model built by its first
        `fit` defers the initialisation of all variables, in their order of creation.

        Args:
            statistic: function of the float kernel.

        Returns:
            An initializer for `add_weight`.

        Raises:
            ValueError: no kernel is attached.
        """
        read = self._read_kernel
        if read is None:
            raise ValueError(
                f"{type(self).__name__} starts from the values of a kernel. Pass it to a layer as kernel_quantizer, "
                "or call attach(kernel) before using it alone."
            )
        return lambda shape, dtype=None: ops.cast(ops.reshape(statistic(read()), shape), dtype)

    def quantized_tensor(self, kernel: Tensor) -> QuantizedTensor:
        """Return the codes and scales of `kernel`; `dequantize()` of them equals a call of the quantizer.

        Args:
            kernel: latent weights.

        Returns:
            The quantised kernel as NumPy arrays.
        """
        raise NotImplementedError

    def calibrate(self, kernel: Tensor) -> None:
        """Set the state that depends on a kernel's values, e.g. the scales, from `kernel`. Default: no such state.

        Args:
            kernel: latent weights, typically pretrained.
        """

    def compute_output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `input_shape`: quantisation changes values alone."""
        return input_shape

    def get_build_config(self) -> None:
        """Return None: the owning layer attaches the quantizer, also when a model is restored."""
        return

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        config = super().get_config()
        del config["dtype"]  # always float32
        return config


class ScaledQuantizer(Quantizer):
    """Base of the quantizers whose levels have scales, which it rounds to powers of two on request.

    Args:
        power_of_two: whether the forward pass and the deployed kernel use each scale rounded to the nearest power
            of two (`tern_keras.ops.power_of_two`); a trained scale itself keeps its precision.
        **kwargs: `name` and `trainable` of a Keras layer.
    """

    def __init__(self, power_of_two: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.power_of_two = power_of_two

    def rounded(self, scale: Tensor) -> Tensor:
        """Return scales, or a kernel whose values are scales, as the forward pass uses them.

        Args:
            scale: tensor of any shape, float32.

        Returns:
            `scale`, or with `power_of_two` its nearest powers of two, differentiable with respect to `scale`.
        """
        return power_of_two(scale) if self.power_of_two else scale

    def _quantized_tensor(self, codes: Tensor, *scales: Tensor, bits: int = 2) -> QuantizedTensor:
        """Return `codes` and the rounded `scales` as NumPy arrays; a scalar scale serves the whole kernel."""
        codes = ops.convert_to_numpy(codes).astype(np.int8)
        arrays = [ops.convert_to_numpy(self.rounded(scale)) for scale in scales]
        return QuantizedTensor(codes, np.stack([a.reshape(a.shape or (1,) * codes.ndim) for a in arrays]), bits)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "power_of_two": self.power_of_two}
