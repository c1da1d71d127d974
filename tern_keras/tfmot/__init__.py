"""Ternary weights for tf_keras models, through the TensorFlow Model Optimization Toolkit, TFMOT; and on to Keras 3.

No other part of the package imports this one. Importing it imports TensorFlow and sets TF_USE_LEGACY_KERAS=1, which
makes `tf.keras` tf_keras for the rest of the process, if nothing used it before; `keras` stays Keras 3.

Raises:
    ImportError: TFMOT or tf_keras is not installed, or Keras runs on another backend than TensorFlow.
"""

import keras

if keras.config.backend() != "tensorflow":
    raise ImportError(
        f"tern_keras.tfmot needs the TensorFlow backend of Keras, and '{keras.config.backend()}' is active. "
        "Set the environment variable KERAS_BACKEND=tensorflow before Python starts; "
        "a model that from_tfmot has returned runs on every backend once it is saved and loaded there."
    )
try:
    import tensorflow_model_optimization  # noqa: F401
    import tf_keras  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"tern_keras.tfmot needs packages that are not installed ({error}): pip install 'tern-keras[tfmot]'"
    ) from error

from tern_keras.tfmot.conversion import from_tfmot
from tern_keras.tfmot.quantize_config import TernaryQuantizeConfig
from tern_keras.tfmot.quantize_scheme import TernaryQuantizeScheme

__all__ = ["TernaryQuantizeConfig", "TernaryQuantizeScheme", "from_tfmot"]
