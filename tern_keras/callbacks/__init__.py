"""Keras callbacks that show what quantisation does in a training, and warn of what is known to go wrong."""

from tern_keras.callbacks.foot_guns import QuantizationWarning
from tern_keras.callbacks.latent_history import LatentHistory, LatentRecord
from tern_keras.callbacks.monitor import QuantizationMonitor
from tern_keras.callbacks.tensorboard import TensorBoard

__all__ = ["LatentHistory", "LatentRecord", "QuantizationMonitor", "QuantizationWarning", "TensorBoard"]
