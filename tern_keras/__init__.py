"""Train Keras models to ternary and binary weights, on any Keras backend."""

from tern_keras import (
    applications,
    callbacks,
    layers,
    metrics,
    models,
    ops,
    optimizers,
    plots,
    quantizers,
    regularizers,
)
from tern_keras.batch_norm import recalibrate_batch_norm
from tern_keras.finalize import finalize
from tern_keras.legacy import load_h5
from tern_keras.profile import profile
from tern_keras.summary import summary
from tern_keras.switch import quantization
from tern_keras.ternarize import ternarize

__version__ = "0.1.0"

__all__ = [
    "applications",
    "callbacks",
    "finalize",
    "layers",
    "load_h5",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "plots",
    "profile",
    "quantization",
    "quantizers",
    "recalibrate_batch_norm",
    "regularizers",
    "summary",
    "ternarize",
]
