"""What the tests of callbacks share: a small quantised model, its training, and the warnings to expect."""

import re
import warnings
from contextlib import contextmanager

import keras
import numpy as np
from sample_models import JIT

from tern_keras.callbacks import QuantizationWarning
from tern_keras.layers import QuantDense
from tern_keras.regularizers import AdaptiveRegularizer

X = np.random.default_rng(0).normal(size=(32, 4)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(32, 2)).astype(np.float32)
PENALTY = AdaptiveRegularizer(0.1, 0.01)


def make_model(first="ttq", second="twn", norm=True, optimizer="sgd", momentum=0.5):
    """Two quantised layers, the first with a normalisation behind it."""
    model = keras.Sequential(
        [
            keras.Input((4,)),
            QuantDense(8, kernel_quantizer=first, name="hidden"),
            keras.layers.ReLU(),
            keras.layers.BatchNormalization(momentum=momentum, name="norm") if norm else keras.layers.Dropout(0.1),
            QuantDense(2, kernel_quantizer=second, name="head"),
        ]
    )
    model.compile(optimizer, "mse", jit_compile=JIT)
    return model


def fit(model, *callbacks, epochs=1, **more):
    return model.fit(
        X, Y, epochs=epochs, batch_size=16, shuffle=False, verbose=0, callbacks=list(callbacks), **more
    ).history


def codes(layer):
    return layer.quantized_kernel().codes


def diverging_model():
    """One whose weights are NaN or infinite after the first epoch."""
    return make_model(optimizer=keras.optimizers.SGD(1e30))


@contextmanager
def warned(*patterns):
    """Expect one QuantizationWarning a pattern, and no more."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", QuantizationWarning)
        yield
    messages = [str(w.message) for w in caught if w.category is QuantizationWarning]
    assert len(messages) == len(patterns), messages
    for pattern, message in zip(patterns, messages, strict=True):
        assert re.search(pattern, message), message
