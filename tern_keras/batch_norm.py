"""Bring batch normalisation up to date with weights that have changed at one stroke."""

from typing import Any

import keras

from tern_keras.cloning import require_built


def recalibrate_batch_norm(model: keras.Model, x: Any, batch_size: int = 128) -> None:
    """Set the moving statistics of every batch normalisation in `model` to those of the samples `x`.

    After `ternarize` or `finalize` the layers before a batch normalisation compute on another scale than the one that
    its moving mean and variance remember, and the model infers badly until training has replaced them. This replaces
    them at once: the plain average over all batches, with the model in training mode, so that dropout acts too. No
    weight trains.

    Args:
        model: built model with a single input or a list of them; its batch normalisation layers change.
        x: samples as the model was trained on, an array (samples, ...) or a list of one an input.
        batch_size: samples a batch; the batch that training used gives the statistics that training saw. Samples
            left over at the end, fewer than a batch, are not used, unless there are no others.

    Raises:
        TypeError: `model` is no Keras model.
        ValueError: the model is not built or has no batch normalisation, or `x` is empty.

    Example:
        >>> import numpy as np
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.BatchNormalization()])
        >>> recalibrate_batch_norm(model, np.array([[1.0], [3.0]], np.float32))
        >>> layer = model.layers[0]
        >>> float(layer.moving_mean[0]), float(layer.moving_variance[0])
        (2.0, 1.0)

    References:
        Izmailov et al., "Averaging weights leads to wider optima and better generalization", 2018, section 3.2: the
        same for averaged weights.
    """
    require_built(model, "recalibrate_batch_norm")
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    if not layers:
        raise ValueError(f"recalibrate_batch_norm(): '{model.name}' has no BatchNormalization.")
    inputs = list(x) if isinstance(x, (list, tuple)) else [x]
    count = len(inputs[0])
    if count == 0:
        raise ValueError("recalibrate_batch_norm(): x is empty.")
    momentum = [layer.momentum for layer in layers]
    trainable = [layer.trainable for layer in layers]
    try:
        for layer in layers:
            layer.trainable = True  # a frozen one would infer
        for batch in range(max(count // batch_size, 1)):
            for layer in layers:
                # the running average of the batches so far
                layer.momentum = batch / (batch + 1)
            part = [array[batch * batch_size : (batch + 1) * batch_size] for array in inputs]
            model(part if isinstance(x, (list, tuple)) else part[0], training=True)
    finally:
        for layer, old_momentum, old_trainable in zip(layers, momentum, trainable, strict=True):
            layer.momentum, layer.trainable = old_momentum, old_trainable
