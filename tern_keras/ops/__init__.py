"""The published quantisation functions: pure, with the published gradients, on every Keras backend."""

from tern_keras.ops.sq import adaptive_penalty, sq
from tern_keras.ops.ttq import ttq
from tern_keras.ops.twn import twn

__all__ = ["adaptive_penalty", "sq", "ttq", "twn"]
