"""How TFMOT quantises one layer: a ternary kernel, 8-bit activations."""

from collections.abc import Mapping
from typing import Any

import keras
import tf_keras
from tensorflow_model_optimization.quantization.keras import QuantizeConfig, quantizers

from tern_keras.layers import QUANTIZED_CLASSES
from tern_keras.ops.gradients import Tensor
from tern_keras.quantizers import SQ, Quantizer, get, serialize

# tf_keras class -> its attribute that holds the kernel
KERNEL_ATTRIBUTES: dict[type, str] = {
    tf_keras.layers.Conv1D: "kernel",
    tf_keras.layers.Conv2D: "kernel",
    tf_keras.layers.Conv2DTranspose: "kernel",
    tf_keras.layers.Conv3D: "kernel",
    tf_keras.layers.Dense: "kernel",
    tf_keras.layers.DepthwiseConv1D: "depthwise_kernel",
    tf_keras.layers.DepthwiseConv2D: "depthwise_kernel",
}


@tf_keras.saving.register_keras_serializable(package="tern_keras")
class TernaryQuantizeConfig(QuantizeConfig):
    """TFMOT `QuantizeConfig` that trains a layer's kernel by one of the methods of `tern_keras.quantizers`.

    The forward pass sees the quantised kernel and the gradient is the method's own; what the quantizer trains, such as
    Wp and Wn of TTQ, trains with the model and is saved with it. Scales start calibrated to the weights, as
    `tern_keras.ternarize` does. The layer's output is quantised to 8 bits as by TFMOT's own scheme: an exponential
    moving average of the extremes of the batches, asymmetric, one range a tensor.

    Annotate Dense, Conv1D, Conv2D, Conv3D, Conv2DTranspose, DepthwiseConv1D and DepthwiseConv2D layers with it, one
    kernel each. In place of a SeparableConv2D use a DepthwiseConv2D and a Conv2D, into which TFMOT splits it itself.
    Pass a `TernaryQuantizeScheme` to `quantize_apply` if a ReLU layer or a batch normalisation follows such a layer.

    TFMOT models save and load as HDF5 files and SavedModels, inside `quantize_scope()`; TFMOT 0.8 cannot load any of
    its models from a `.keras` file.

    Args:
        quantizer: what `tern_keras.quantizers.get` accepts, without the regularizer and the constraint that only the
            layers of `tern_keras` apply: "bc(clip=True)" in place of "bc".
        quantize_activation: whether the output of the layer's activation is quantised to 8 bits.

    Raises:
        TypeError: `quantizer` is none.
        ValueError: `quantizer` has a regularizer or a constraint.

    Example:
        >>> import tf_keras
        >>> from tensorflow_model_optimization.quantization.keras import quantize_annotate_layer, quantize_apply
        >>> dense = quantize_annotate_layer(tf_keras.layers.Dense(4), TernaryQuantizeConfig("ttq"))
        >>> model = quantize_apply(tf_keras.Sequential([tf_keras.Input((8,)), dense]))
        >>> model.predict([[1.0] * 8], verbose=0).shape
        (1, 4)
    """

    def __init__(self, quantizer: Any = "twn", quantize_activation: bool = True) -> None:
        self.quantizer = _checked(get(quantizer))
        self.quantize_activation = quantize_activation

    def get_weights_and_quantizers(self, layer: tf_keras.layers.Layer) -> list[tuple[Tensor, quantizers.Quantizer]]:
        """Return the kernel of a built layer and a quantizer for it alone."""
        kernel = getattr(layer, kernel_attribute(layer))
        (spec,) = QUANTIZED_CLASSES[getattr(keras.layers, type(layer).__name__)].kernel_specs
        axes = spec.filter_axes(len(kernel.shape))
        return [(kernel, KernelQuantizer(self.quantizer, kernel, axes))]

    def set_quantize_weights(self, layer: tf_keras.layers.Layer, quantize_weights: list[Tensor]) -> None:
        """Let the layer compute with the quantised kernel."""
        (kernel,) = quantize_weights
        setattr(layer, kernel_attribute(layer), kernel)

    def get_activations_and_quantizers(self, layer: tf_keras.layers.Layer) -> list[tuple[Any, quantizers.Quantizer]]:
        """Return the activation and TFMOT's default quantizer for it, unless `quantize_activation` is off."""
        if not self.quantize_activation:
            return []
        moving_average = quantizers.MovingAverageQuantizer(
            num_bits=8, per_axis=False, symmetric=False, narrow_range=False
        )
        return [(layer.activation, moving_average)]

    def set_quantize_activations(self, layer: tf_keras.layers.Layer, quantize_activations: list[Any]) -> None:
        """Let the layer compute with the quantised activation."""
        for activation in quantize_activations:
            layer.activation = activation

    def get_output_quantizers(self, layer: tf_keras.layers.Layer) -> list[quantizers.Quantizer]:
        """Return none: the activation's quantizer is the output's."""
        return []

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"quantizer": serialize(self.quantizer), "quantize_activation": self.quantize_activation}


class KernelQuantizer(quantizers.Quantizer):
    """TFMOT `Quantizer` that computes what a quantizer of `tern_keras` computes; TFMOT holds the state.

    Args:
        quantizer: settings to copy.
        kernel: variable with the latent weights.
        axes: axes of the kernel that one filter spans.
    """

    def __init__(self, quantizer: Quantizer, kernel: Tensor, axes: tuple[int, ...]) -> None:
        self.quantizer = type(quantizer).from_config(quantizer.get_config())
        self._kernel = kernel
        self._axes = axes

    def build(self, tensor_shape: Any, name: str, layer: tf_keras.layers.Layer) -> dict[str, Tensor]:
        """Return the state by name, as weights of the wrapper `layer`, calibrated to the kernel."""
        self.quantizer.attach(self._kernel, self._axes)
        self.quantizer.calibrate(self._kernel)
        if isinstance(self.quantizer, SQ):
            # without its penalty nothing moves beta, and tf_keras warns of a variable without a gradient
            self.quantizer.beta.trainable = False
        # TFMOT lists the weights of a layer that was built before first, of one that is being loaded last: files hold
        # weights by their order
        layer._trainable_weights.extend(layer.layer.trainable_weights)
        return {
            variable.name: layer.add_weight(
                name=f"{name}_{variable.name}",
                shape=variable.shape,
                initializer=tf_keras.initializers.Constant(variable.numpy()),
                trainable=variable.trainable,
            )
            for variable in self.quantizer.weights
        }

    def __call__(self, inputs: Tensor, training: bool, weights: Mapping[str, Tensor], **kwargs: Any) -> Tensor:
        """Return the quantised kernel, of the shape of `inputs`."""
        trainable = [weights[variable.name] for variable in self.quantizer.trainable_variables]
        frozen = [weights[variable.name] for variable in self.quantizer.non_trainable_variables]
        kernel, _ = self.quantizer.stateless_call(trainable, frozen, inputs)
        return kernel

    def get_config(self) -> dict[str, Any]:
        """Return the settings; a layer's `TernaryQuantizeConfig` makes it, never a file."""
        return {"quantizer": serialize(self.quantizer)}


def kernel_attribute(layer: tf_keras.layers.Layer) -> str:
    """Return the name of the attribute of `layer` that holds its kernel.

    Raises:
        TypeError: there is no ternary kernel for layers of this class.
    """
    attribute = KERNEL_ATTRIBUTES.get(type(layer))
    if attribute is None:
        known = ", ".join(sorted(cls.__name__ for cls in KERNEL_ATTRIBUTES))
        raise TypeError(
            f"TernaryQuantizeConfig does not fit layer '{layer.name}' ({type(layer).__name__}); it fits {known}. "
            "Annotate other layers without a quantize_config, or not at all."
        )
    return attribute


def _checked(quantizer: Quantizer | None) -> Quantizer:
    if quantizer is None:
        raise TypeError("TernaryQuantizeConfig needs a quantizer, such as 'twn' or 'ttq', and received None.")
    unsupported = [what for what in ("regularizer", "constraint") if getattr(quantizer, what) is not None]
    if unsupported:
        raise ValueError(
            f"TernaryQuantizeConfig cannot apply the {' and the '.join(unsupported)} of {type(quantizer).__name__}: "
            "TFMOT trains the kernel without them. Give SQ no regularizer, and BinaryConnect clip=True."
        )
    return quantizer
