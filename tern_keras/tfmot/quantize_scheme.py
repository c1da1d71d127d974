"""How TFMOT quantises a whole model in which some layers have ternary kernels."""

from typing import Any

import tf_keras
from tensorflow_model_optimization.quantization.keras import QuantizeLayoutTransform, default_8bit

from tern_keras.tfmot.quantize_config import TernaryQuantizeConfig, kernel_attribute


class TernaryQuantizeScheme(default_8bit.Default8BitQuantizeScheme):
    """TFMOT's default 8-bit scheme, which fuses layers with a `TernaryQuantizeConfig` as it fuses any other.

    A layer is followed by a batch normalisation, a ReLU or both more often than not, and the three become one operator
    when they are deployed: only its output is quantised. The default scheme leaves layers with a `QuantizeConfig` of
    their own out of that. It quantises between them and a batch normalisation, which then cannot be folded; and where
    a ReLU layer follows it drops their config, and with it the ternary kernel, without a word. With this scheme the
    rest of the model can be annotated too, by `quantize_annotate_model`.

    Example:
        >>> import tf_keras
        >>> from tensorflow_model_optimization.quantization import keras as tfmot
        >>> conv = tf_keras.layers.Conv2D(4, 3, use_bias=False)
        >>> model = tf_keras.Sequential([
        ...     tf_keras.Input((8, 8, 1)),
        ...     tfmot.quantize_annotate_layer(conv, TernaryQuantizeConfig("twn")),
        ...     tf_keras.layers.BatchNormalization(),
        ...     tf_keras.layers.ReLU(),
        ... ])
        >>> model = tfmot.quantize_apply(tfmot.quantize_annotate_model(model), TernaryQuantizeScheme())
        >>> model.layers[1].quantize_config.quantizer.__class__.__name__
        'TWN'
    """

    def get_layout_transformer(self) -> QuantizeLayoutTransform:
        """Return the transformation of the model that precedes its quantisation."""
        return _LayoutTransform()


class _LayoutTransform(default_8bit.Default8BitQuantizeLayoutTransform):
    """The default transformation, applied as if no layer had a `TernaryQuantizeConfig`."""

    def apply(
        self, model: tf_keras.Model, layer_quantize_map: dict[str, dict[str, Any]]
    ) -> tuple[tf_keras.Model, dict[str, dict[str, Any]]]:
        """Return the transformed model and the `QuantizeConfig` of each of its layers."""
        ternary = {
            name: entry["quantize_config"]
            for name, entry in layer_quantize_map.items()
            if isinstance(entry.get("quantize_config"), TernaryQuantizeConfig)
        }
        for name in ternary:
            kernel_attribute(model.get_layer(name))  # those that fit are not split or renamed by the transformation
        hidden = layer_quantize_map | {name: {"quantize_config": None} for name in ternary}
        model, layer_quantize_map = super().apply(model, hidden)
        for name, config in ternary.items():
            # set to do nothing where a ReLU follows, whose output is quantised instead
            fused = layer_quantize_map[name]["quantize_config"] is not None
            layer_quantize_map[name]["quantize_config"] = (
                TernaryQuantizeConfig(config.quantizer, quantize_activation=False) if fused else config
            )
        return model, layer_quantize_map
