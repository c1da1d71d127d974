"""Training that is interrupted and taken up by `keras.callbacks.BackupAndRestore` ends as if nothing had happened.

Without dropout: Keras leaves the state of its random generators out of the backup.
"""

import keras
import numpy as np
import pytest
from autodiff import numpy
from sample_models import JIT

from tern_keras.layers import QuantDense
from tern_keras.models import TwoPassModel
from tern_keras.optimizers import SplitOptimizer
from tern_keras.quantizers import SQ
from tern_keras.regularizers import AdaptiveRegularizer

EPOCHS, INTERRUPTED_AFTER = 4, 2
X = np.random.default_rng(0).normal(size=(24, 6)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(24, 3)).astype(np.float32)


class Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == INTERRUPTED_AFTER:
            raise KeyboardInterrupt


def make_model(seed, cls):
    """A model with all kinds of state: what optimizers, quantizers, constraints and normalisation keep."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((6,))
    x = QuantDense(8, kernel_quantizer="ttq")(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = QuantDense(8, kernel_quantizer="tga", activation="relu")(x)
    x = QuantDense(8, kernel_quantizer=SQ(AdaptiveRegularizer(0.1, 0.01)))(x)
    model = cls(inputs, QuantDense(3, kernel_quantizer="bc")(x))
    decay = keras.optimizers.schedules.CosineDecay(0.05, decay_steps=20)
    optimizer = keras.optimizers.Adam(decay, weight_decay=1e-3)
    thresholds = keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True, clipvalue=0.1)
    model.compile(SplitOptimizer(optimizer, thresholds), "mse", jit_compile=JIT)
    return model


def fit(model, *callbacks):
    return model.fit(X, Y, batch_size=8, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=list(callbacks)).history


@pytest.mark.parametrize("cls", [keras.Model, TwoPassModel])
def test_resumed_run_equals_an_uninterrupted_one(cls, tmp_path):
    whole = make_model(1, cls)
    history = fit(whole)

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup")

    with pytest.raises(KeyboardInterrupt):
        fit(make_model(1, cls), backup(), Interrupt())
    # other initial values: all that counts must come from the backup
    resumed = make_model(2, cls)
    rest = fit(resumed, backup())

    assert rest["loss"] == history["loss"][INTERRUPTED_AFTER:]
    for ours, theirs in zip(resumed.variables, whole.variables, strict=True):
        np.testing.assert_array_equal(numpy(ours), numpy(theirs), err_msg=ours.path)
    for ours, theirs in zip(resumed.optimizer.variables, whole.optimizer.variables, strict=True):
        np.testing.assert_array_equal(numpy(ours), numpy(theirs), err_msg=ours.path)
    assert int(resumed.optimizer.iterations) == EPOCHS * 3
