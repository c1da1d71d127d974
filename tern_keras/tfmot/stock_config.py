"""Where the configurations of tf_keras layers and of Keras 3 layers differ."""

from typing import Any

import tf_keras

from tern_keras.legacy import repair_config


def stock_config(layer: tf_keras.layers.Layer) -> dict[str, Any]:
    """Return the constructor's arguments of the Keras 3 layer that computes what `layer` does.

    An activation loses what TFMOT wraps around it.

    Args:
        layer: a tf_keras layer whose class Keras 3 has too.

    Example:
        >>> stock_config(tf_keras.layers.Dense(4, activation="relu"))["activation"]
        'relu'
    """
    config = repair_config({"class_name": type(layer).__name__, "config": layer.get_config()})["config"]
    config.pop("batch_input_shape", None)
    if isinstance(layer, tf_keras.layers.BatchNormalization):
        (config["axis"],) = layer.axis
    if "activation" in config:
        config["activation"] = _plain_activation(config["activation"])
    return config


def _plain_activation(config: Any) -> Any:
    class_name = config.get("class_name") if isinstance(config, dict) else None
    if class_name == "QuantizeAwareActivation":
        return _plain_activation(config["config"]["activation"])
    return "linear" if class_name == "NoOpActivation" else config
