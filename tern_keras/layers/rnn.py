"""The quantised recurrent layers: a kernel for the inputs, and one for the state."""

from typing import Any, ClassVar

import keras

from tern_keras import quantizers
from tern_keras.layers.base import QuantizedLayer, view
from tern_keras.layers.kernels import KernelSpec
from tern_keras.ops.gradients import Tensor

Shape = tuple[int | None, ...]


class QuantizedRNN(QuantizedLayer):
    """Mixin for a recurrent layer: adds `kernel_quantizer` and `recurrent_quantizer`.

    The kernels are quantised once a sequence, before the loop over its steps.
    """

    kernel_specs: ClassVar[tuple[KernelSpec, ...]] = (
        KernelSpec("kernel", "cell.kernel"),
        KernelSpec("recurrent", "cell.recurrent_kernel"),
    )

    def __init__(
        self, *args: Any, kernel_quantizer: Any = None, recurrent_quantizer: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.kernel_quantizer = quantizers.get(kernel_quantizer)
        self.recurrent_quantizer = quantizers.get(recurrent_quantizer)

    def build(self, sequences_shape: Shape | None, initial_state_shape: Any = None) -> None:
        """Create the weights of the parent and the state of the quantizers."""
        # past the mixin's build: Keras tells the two shapes apart by the names of the arguments
        super(QuantizedLayer, self).build(sequences_shape, initial_state_shape)
        self.attach_quantizers()

    def call(
        self, sequences: Tensor, initial_state: Any = None, mask: Tensor | None = None, training: bool = False
    ) -> Any:
        """Return what the parent computes with the quantised kernels."""
        parent: Any = super(QuantizedLayer, self.quantized_view())
        return parent.call(sequences, initial_state=initial_state, mask=mask, training=training)

    def _replacements(self) -> dict[int, Any]:
        kernels = super()._replacements()
        return {id(self.cell): view(self.cell, kernels)} if kernels else {}


@keras.saving.register_keras_serializable(package="tern_keras")
class QuantSimpleRNN(QuantizedRNN, keras.layers.SimpleRNN):
    """`keras.layers.SimpleRNN` whose forward pass uses quantised kernels.

    Args:
        *args: positional arguments of `keras.layers.SimpleRNN`.
        kernel_quantizer: of the kernel (inputs, units); what `tern_keras.quantizers.get` accepts. None leaves it
            float; both None behave exactly as the parent.
        recurrent_quantizer: the same for the recurrent kernel (units, units).
        **kwargs: keyword arguments of `keras.layers.SimpleRNN`.

    Input shape:
        (batch, steps, inputs)

    Output shape:
        (batch, units), or (batch, steps, units) with `return_sequences=True`

    Example:
        >>> layer = QuantSimpleRNN(4, kernel_quantizer="twn", recurrent_quantizer="ttq(init='mean')")
        >>> layer(keras.ops.ones((2, 5, 3))).shape == (2, 4)
        True
        >>> {role: kernel.codes.shape for role, kernel in layer.quantized_kernels().items()}
        {'kernel': (3, 4), 'recurrent': (4, 4)}
    """


@keras.saving.register_keras_serializable(package="tern_keras")
class QuantLSTM(QuantizedRNN, keras.layers.LSTM):
    """`keras.layers.LSTM` whose forward pass uses quantised kernels.

    Each kernel holds the four gates side by side. A quantizer with one scale a layer shares it among them, one with
    a scale a filter has a scale for each unit of each gate.

    Args:
        *args: positional arguments of `keras.layers.LSTM`.
        kernel_quantizer: of the kernel (inputs, 4 * units); what `tern_keras.quantizers.get` accepts. None leaves
            it float; both None behave exactly as the parent.
        recurrent_quantizer: the same for the recurrent kernel (units, 4 * units).
        **kwargs: keyword arguments of `keras.layers.LSTM`.

    Input shape:
        (batch, steps, inputs)

    Output shape:
        (batch, units), or (batch, steps, units) with `return_sequences=True`

    Example:
        >>> layer = QuantLSTM(4, kernel_quantizer="twn", recurrent_quantizer="twn")
        >>> layer(keras.ops.ones((2, 5, 3))).shape == (2, 4)
        True
        >>> {role: kernel.codes.shape for role, kernel in layer.quantized_kernels().items()}
        {'kernel': (3, 16), 'recurrent': (4, 16)}
    """


@keras.saving.register_keras_serializable(package="tern_keras")
class QuantGRU(QuantizedRNN, keras.layers.GRU):
    """`keras.layers.GRU` whose forward pass uses quantised kernels.

    Each kernel holds the three gates side by side. A quantizer with one scale a layer shares it among them, one with
    a scale a filter has a scale for each unit of each gate.

    Args:
        *args: positional arguments of `keras.layers.GRU`.
        kernel_quantizer: of the kernel (inputs, 3 * units); what `tern_keras.quantizers.get` accepts. None leaves
            it float; both None behave exactly as the parent.
        recurrent_quantizer: the same for the recurrent kernel (units, 3 * units).
        **kwargs: keyword arguments of `keras.layers.GRU`.

    Input shape:
        (batch, steps, inputs)

    Output shape:
        (batch, units), or (batch, steps, units) with `return_sequences=True`

    Example:
        >>> layer = QuantGRU(4, kernel_quantizer="sq", recurrent_quantizer="sq")
        >>> layer(keras.ops.ones((2, 5, 3))).shape == (2, 4)
        True
        >>> {role: kernel.codes.shape for role, kernel in layer.quantized_kernels().items()}
        {'kernel': (3, 12), 'recurrent': (4, 12)}
    """
