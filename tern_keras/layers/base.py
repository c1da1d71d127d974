"""What the quantised layers share: a latent kernel, and the quantizer that the forward pass sends it through."""

from typing import Any

import keras
import numpy as np
from keras import ops

from tern_keras import quantizers
from tern_keras.ops.gradients import Tensor
from tern_keras.quantizers import SQ, QuantizedTensor, Quantizer
from tern_keras.regularizers import AdaptiveRegularizer


class QuantizedKernel(keras.layers.Layer):
    """Mixin for a Keras layer with one kernel: adds `kernel_quantizer`, keeps `kernel` latent.

    `kernel` stays the float weights that train, because that is what Keras saves; only the forward pass
    sees the quantised ones.
    """

    def __init__(self, *args: Any, kernel_quantizer: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kernel_quantizer = quantizers.get(kernel_quantizer)

    @property
    def filter_axes(self) -> tuple[int, ...]:
        """Axes of the kernel that one filter spans: all but the last."""
        return tuple(range(len(self.kernel.shape) - 1))

    def add_weight(self, *args: Any, name: str | None = None, **kwargs: Any) -> Any:
        """Add a weight as the parent does, but never show the quantizer a kernel rounded to half precision."""
        if name == "kernel" and self.kernel_quantizer is not None:
            kwargs["autocast"] = False
        return super().add_weight(*args, name=name, **kwargs)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights of the parent and the state of the quantizer."""
        super().build(input_shape)
        if self.kernel_quantizer is None:
            return
        if getattr(self, "lora_enabled", False):
            raise ValueError(f"Layer '{self.name}': lora_rank and kernel_quantizer exclude each other; drop one.")
        self.kernel_quantizer.attach(self.kernel, self.filter_axes)
        self.kernel.regularizer = self._bound_penalty(self.kernel_quantizer)

    def _bound_penalty(self, quantizer: Quantizer) -> Any:
        """Return the layer's and the quantizer's penalties as one, those of SQ bound to the quantizer."""
        penalties = [p for p in (self.kernel.regularizer, quantizer.regularizer) if p is not None]
        if isinstance(quantizer, SQ):
            # nothing else moves beta, and an optimizer complains of a variable without a gradient
            quantizer.beta.trainable = any(isinstance(p, AdaptiveRegularizer) for p in penalties)
            penalties = [p.bind(quantizer) if isinstance(p, AdaptiveRegularizer) else p for p in penalties]
        return (lambda kernel: sum(penalty(kernel) for penalty in penalties)) if penalties else None

    def forward_kernel(self) -> Tensor:
        """Return the kernel of the forward pass, quantised, in the compute dtype."""
        if self.kernel_quantizer is None:
            return self.kernel
        return ops.cast(self.kernel_quantizer(self.kernel), self.compute_dtype)

    def quantized_kernel(self) -> QuantizedTensor:
        """Return the kernel as it is deployed: int8 codes, float32 scales, bits a weight.

        Returns:
            The quantised kernel, of the latent kernel's shape.

        Raises:
            ValueError: the layer has no quantizer, is not built, or has NaN or infinite weights.
        """
        if self.kernel_quantizer is None:
            raise ValueError(f"Layer '{self.name}' has no kernel_quantizer: its kernel is not quantised.")
        if not self.built:
            raise ValueError(f"Layer '{self.name}' is not built: call it, or its build(input_shape), first.")
        require_finite(self)
        return self.kernel_quantizer.quantized_tensor(self.kernel)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "kernel_quantizer": quantizers.serialize(self.kernel_quantizer)}


def require_finite(layer: keras.layers.Layer) -> None:
    """Raise ValueError, naming the layer and the weight, if a weight of `layer` is NaN or infinite."""
    for weight in layer.weights:
        values = ops.convert_to_numpy(weight).astype(np.float32)
        if not np.isfinite(values).all():
            count = values.size - np.isfinite(values).sum()
            raise ValueError(
                f"Layer '{layer.name}': {count} of {values.size} values of its weight '{weight.name}' are NaN or "
                "infinite. Training diverged: go back to an earlier checkpoint and lower the learning rate."
            )
