"""The quantised embedding."""

from typing import Any, ClassVar

import keras

from tern_keras import quantizers
from tern_keras.layers.base import QuantizedKernel
from tern_keras.layers.kernels import KernelSpec


@keras.saving.register_keras_serializable(package="tern_keras")
class QuantEmbedding(QuantizedKernel, keras.layers.Embedding):
    """`keras.layers.Embedding` whose forward pass looks up quantised vectors.

    Its kernel is the matrix `embeddings`, (input_dim, output_dim). A filter of it is one column, as in the dense
    layer that computes the same from one-hot inputs, so that scales a filter cost `output_dim` values.

    Args:
        *args: positional arguments of `keras.layers.Embedding`.
        kernel_quantizer: what `tern_keras.quantizers.get` accepts; None behaves exactly as the parent.
        **kwargs: keyword arguments of `keras.layers.Embedding`.

    Raises:
        ValueError: both `weights` and `kernel_quantizer` are given.

    Input shape:
        (batch, ...), integers in [0, input_dim)

    Output shape:
        (batch, ..., output_dim)

    Example:
        >>> layer = QuantEmbedding(100, 8, kernel_quantizer="twn")
        >>> layer(keras.ops.array([[3, 1, 4]])).shape == (1, 3, 8)
        True
        >>> layer.quantized_kernel().codes.shape
        (100, 8)
    """

    kernel_specs: ClassVar[tuple[KernelSpec, ...]] = (KernelSpec(path="embeddings"),)
    kernel_quantizer: quantizers.Quantizer | None = None  # the parent's constructor may build the layer

    def __init__(self, *args: Any, kernel_quantizer: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.built and kernel_quantizer is not None:
            raise ValueError(
                f"Layer '{self.name}': weights and kernel_quantizer exclude each other; "
                "build the layer without weights, then call layer.embeddings.assign(values)."
            )
        self.kernel_quantizer = quantizers.get(kernel_quantizer)

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Create the embeddings and the state of the quantizer, unless this is done."""
        if not self.built:
            super().build(input_shape)

    @property
    def kernel(self) -> keras.Variable:
        """The latent embeddings, by the name that the other layers' weights have."""
        return self.embeddings
