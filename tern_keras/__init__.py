"""Train Keras models to ternary and binary weights, on any Keras backend."""

from tern_keras import applications, layers, ops, optimizers, quantizers, regularizers
from tern_keras.finalize import finalize
from tern_keras.profile import profile
from tern_keras.summary import summary
from tern_keras.ternarize import ternarize

__version__ = "0.1.0"

__all__ = [
    "applications",
    "finalize",
    "layers",
    "ops",
    "optimizers",
    "profile",
    "quantizers",
    "regularizers",
    "summary",
    "ternarize",
]
