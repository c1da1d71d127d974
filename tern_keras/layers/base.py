"""What the quantised layers share: latent kernels, and the quantizers that the forward pass sends them through."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from tern_keras import quantizers
from tern_keras.layers.kernels import KernelSpec
from tern_keras.ops.gradients import Tensor
from tern_keras.quantizers import SQ, QuantizedTensor, Quantizer
from tern_keras.regularizers import AdaptiveRegularizer
from tern_keras.switch import quantization_enabled


class QuantizedLayer(keras.layers.Layer):
    """Mixin for a Keras layer: sends each of its kernels through a quantizer, and keeps the kernels latent.

    A kernel's variable stays the float weights that train, because that is what Keras saves; only the forward
    pass sees the quantised ones. The class that mixes it in takes one quantizer a kernel as an argument.

    Attributes:
        kernel_specs: the kernels of the class, in the order of their creation.
    """

    kernel_specs: ClassVar[tuple[KernelSpec, ...]]

    def build(self, input_shape: tuple[int | None, ...] | None) -> None:
        """Create the weights of the parent and the state of the quantizers."""
        super().build(input_shape)
        self.attach_quantizers()

    def call(self, inputs: Tensor) -> Tensor:
        """Return what the parent computes with the quantised kernels."""
        return super(QuantizedLayer, self.quantized_view()).call(inputs)

    def attach_quantizers(self) -> None:
        """Create the state of the quantizers, once the kernels exist, and bind the penalties to it."""
        for spec, kernel, quantizer in self._quantized():
            # what add_weight(autocast=False) would set, if the parent's build took it: half precision would move
            # weights across the threshold
            kernel._autocast = False
            quantizer.attach(kernel, spec.filter_axes(len(kernel.shape)))
            kernel.regularizer = _bound_penalty(kernel.regularizer, quantizer)
            kernel.constraint = _joint_constraint(kernel.constraint, quantizer)

    def enable_lora(self, *args: Any, **kwargs: Any) -> None:
        """Raise ValueError if the layer has a quantizer; else do as the parent."""
        if any(True for _ in self._quantized()):
            raise ValueError(f"Layer '{self.name}': lora_rank and kernel_quantizer exclude each other; drop one.")
        super().enable_lora(*args, **kwargs)

    def _quantized(self) -> Iterator[tuple[KernelSpec, keras.Variable, Quantizer]]:
        """Yield each kernel that has a quantizer, and the quantizer."""
        for spec in self.kernel_specs:
            quantizer = getattr(self, spec.argument)
            if quantizer is not None:
                yield spec, spec.variable(self), quantizer

    def forward_kernels(self) -> dict[str, Tensor]:
        """Return the quantised kernels of the forward pass by role, in the compute dtype."""
        return {spec.role: ops.cast(q(kernel), self.compute_dtype) for spec, kernel, q in self._quantized()}

    def quantized_view(self) -> keras.layers.Layer:
        """Return a layer that shares all with this one, but holds quantised kernels where this one holds the latent.

        The parent's `call` runs on the view: it need not be written again here, and no other thread ever sees this
        layer with its kernels exchanged. Without a quantizer, or where quantisation is switched off, the view is
        the layer itself.
        """
        replacements = self._replacements() if quantization_enabled() else None
        return view(self, replacements) if replacements else self

    def _replacements(self) -> dict[int, Any]:
        """Return, by the identity of what they replace, the values that the view holds instead."""
        forward = self.forward_kernels()
        return {id(kernel): forward[spec.role] for spec, kernel, _ in self._quantized()}

    def quantized_kernels(self) -> dict[str, QuantizedTensor]:
        """Return the kernels as they are deployed: int8 codes, float32 scales, bits a weight.

        Returns:
            The quantised kernels by role, each of its latent kernel's shape; those without a quantizer are missing.

        Raises:
            ValueError: the layer is not built, or has NaN or infinite weights.
        """
        if not self.built:
            raise ValueError(f"Layer '{self.name}' is not built: call it, or its build(input_shape), first.")
        require_finite(self)
        return {spec.role: quantizer.quantized_tensor(kernel) for spec, kernel, quantizer in self._quantized()}

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        own = {spec.argument: quantizers.serialize(getattr(self, spec.argument)) for spec in self.kernel_specs}
        return {**super().get_config(), **own}


class QuantizedKernel(QuantizedLayer):
    """Mixin for a Keras layer with one kernel: adds `kernel_quantizer`."""

    kernel_specs: ClassVar[tuple[KernelSpec, ...]] = (KernelSpec(),)

    def __init__(self, *args: Any, kernel_quantizer: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kernel_quantizer = quantizers.get(kernel_quantizer)

    def forward_kernel(self) -> Tensor:
        """Return the kernel of the forward pass, quantised, in the compute dtype."""
        return self.kernel if self.kernel_quantizer is None else self.forward_kernels()["kernel"]

    def quantized_kernel(self) -> QuantizedTensor:
        """Return the kernel as it is deployed: int8 codes, float32 scales, bits a weight.

        Returns:
            The quantised kernel, of the latent kernel's shape.

        Raises:
            ValueError: the layer has no quantizer, is not built, or has NaN or infinite weights.
        """
        if self.kernel_quantizer is None:
            raise ValueError(f"Layer '{self.name}' has no kernel_quantizer: its kernel is not quantised.")
        return self.quantized_kernels()["kernel"]


def view(layer: keras.layers.Layer, replacements: Mapping[int, Any]) -> keras.layers.Layer:
    """Return a stand-in for `layer` with the same attributes, except those that hold an object to be replaced.

    Args:
        layer: built layer; not changed.
        replacements: the new objects by the `id` of the old.
    """
    # not copy.copy: Keras layers copy themselves by serialisation
    stand_in = object.__new__(type(layer))
    vars(stand_in).update({name: replacements.get(id(value), value) for name, value in vars(layer).items()})
    return stand_in


def _bound_penalty(regularizer: keras.regularizers.Regularizer | None, quantizer: Quantizer) -> Any:
    """Return a kernel's and its quantizer's penalties as one, those of SQ bound to the quantizer."""
    penalties = [p for p in (regularizer, quantizer.regularizer) if p is not None]
    if isinstance(quantizer, SQ):
        # nothing else moves beta, and an optimizer complains of a variable without a gradient
        quantizer.beta.trainable = any(isinstance(p, AdaptiveRegularizer) for p in penalties)
        penalties = [p.bind(quantizer) if isinstance(p, AdaptiveRegularizer) else p for p in penalties]
    return _Sum(penalties) if penalties else None


def _joint_constraint(constraint: keras.constraints.Constraint | None, quantizer: Quantizer) -> Any:
    """Return a kernel's constraint followed by its quantizer's, as one."""
    constraints = [c for c in (constraint, quantizer.constraint) if c is not None]
    return _Chain(constraints) if constraints else None


class _Sum(keras.regularizers.Regularizer):
    """The sum of several penalties."""

    def __init__(self, penalties: Sequence[keras.regularizers.Regularizer]) -> None:
        self.penalties = penalties

    def __call__(self, kernel: Tensor) -> Tensor:
        return sum(penalty(kernel) for penalty in self.penalties)


class _Chain(keras.constraints.Constraint):
    """One constraint after the other."""

    def __init__(self, constraints: Sequence[keras.constraints.Constraint]) -> None:
        self.constraints = constraints

    def __call__(self, kernel: Tensor) -> Tensor:
        for constraint in self.constraints:
            kernel = constraint(kernel)
        return kernel


def stock_weights(layer: keras.layers.Layer) -> list[keras.Variable]:
    """Return the weights that the stock sibling of `layer` has too, in its order: all but the quantizers' state."""
    state = {id(v) for sub in layer._flatten_layers() if isinstance(sub, Quantizer) for v in sub.weights}
    return [weight for weight in layer.weights if id(weight) not in state]


class NotFiniteError(ValueError):
    """Weights are NaN or infinite: there are no codes for them."""


def require_finite(layer: keras.layers.Layer) -> None:
    """Raise NotFiniteError, naming the layer and the weight, if a weight of `layer` is NaN or infinite."""
    for weight in layer.weights:
        values = ops.convert_to_numpy(weight).astype(np.float32)
        if not np.isfinite(values).all():
            count = values.size - np.isfinite(values).sum()
            raise NotFiniteError(
                f"Layer '{layer.name}': {count} of {values.size} values of its weight '{weight.name}' are NaN or "
                "infinite. Training diverged: go back to an earlier checkpoint and lower the learning rate."
            )
