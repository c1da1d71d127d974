"""Bring batch normalisation up to date with weights that have changed at one stroke."""

from typing import Any

import keras
from keras import ops

from tern_keras.structure import all_layers, require_built


def recalibrate_batch_norm(model: keras.Model, x: Any, batch_size: int = 128) -> None:
    """Set the moving statistics of every batch normalisation in `model` to those of the samples `x`.

    After `ternarize` or `finalize` the layers before a batch normalisation compute on another scale than the one that
    its moving mean and variance remember, and the model infers badly until training has replaced them. This replaces
    them at once: the plain average over all batches, with the model in training mode, so that dropout acts too. (A
    normalisation that a model calls several times counts the last call of a batch the most.) Nothing else changes:
    neither weights nor the ranges of activations.

    Args:
        model: built model; its batch normalisation layers change.
        x: samples as the model was trained on: an array (samples, ...), or a list or dictionary of arrays as the model
            takes them.
        batch_size: samples a batch; the batch that training used gives the statistics that training saw. Samples
            left over at the end, fewer than a batch, are not used, unless there are no others.

    Raises:
        TypeError: `model` is no Keras model, or `x` is no array or structure of arrays.
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
    norms = [layer for layer in all_layers(model) if isinstance(layer, keras.layers.BatchNormalization)]
    if not norms:
        raise ValueError(f"recalibrate_batch_norm(): '{model.name}' has no BatchNormalization.")
    count = _samples(x)
    statistics = {id(v) for norm in norms for v in norm.weights}
    others = [(v, ops.convert_to_numpy(v)) for v in model.variables if id(v) not in statistics]
    settings = [(norm, norm.momentum, norm.trainable) for norm in norms]
    try:
        for norm in norms:
            norm.trainable = True  # a frozen one would infer
        for batch in range(max(count // batch_size, 1)):
            for norm in norms:
                # the running average of the batches so far
                norm.momentum = batch / (batch + 1)
            part = slice(batch * batch_size, (batch + 1) * batch_size)
            model(keras.tree.map_structure(lambda array, part=part: array[part], x), training=True)
    finally:
        for norm, momentum, trainable in settings:
            norm.momentum, norm.trainable = momentum, trainable
        for variable, value in others:
            variable.assign(value)


def _samples(x: Any) -> int:
    arrays = keras.tree.flatten(x)
    if not arrays or not all(getattr(array, "shape", ()) for array in arrays):
        raise TypeError(
            "recalibrate_batch_norm(): x must be an array of samples, or a list or dictionary of arrays, received "
            f"{type(x).__name__}."
        )
    count = int(arrays[0].shape[0])
    if count == 0:
        raise ValueError("recalibrate_batch_norm(): x is empty.")
    return count
