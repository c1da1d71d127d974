"""Recurrent layers in a form that TensorFlow's converter can make int8: it cannot where they loop.

An LSTM with Keras' own activation functions becomes TFLite's fused operator, whose cell state has 16 bits. Every other
recurrent layer is unrolled: the same operators again for every step, with the same weights.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import keras

from tern_keras.cloning import clone_with
from tern_keras.structure import all_layers, layer_paths
from tflite_export.errors import ExportError


def check_recurrent(model: keras.Model) -> None:
    """Refuse recurrent layers that cannot be fused or unrolled.

    Raises:
        ExportError: if a sequence's length is not fixed, or a layer keeps its state from one batch to the next or
            reads a mask.
    """
    recurrent = list(_recurrent(model))
    for layer, name, top in recurrent:
        if layer.stateful:
            raise ExportError(f"{name} is stateful, but every inference starts from zero: build it with stateful=False")
        if isinstance(top.input, keras.KerasTensor) and top.input.shape[1] is None:
            raise ExportError(f"{name} reads a sequence whose length is not fixed: give it in keras.Input")
    names = ", ".join(name for _, name, _ in recurrent)
    for layer in all_layers(model) if recurrent else []:
        if isinstance(layer, keras.layers.Masking) or getattr(layer, "mask_zero", False):
            raise ExportError(
                f"'{layer.name}' ({type(layer).__name__}) hides steps from {names}, "
                "which TFLite cannot: leave the mask out, and train on sequences of one length"
            )


def without_loops(model: keras.Model) -> keras.Model:
    """The model with its recurrent layers fused or unrolled, and the same weights; needs the TensorFlow backend.

    Args:
        model: finalised, and fit for it: see `check_recurrent`.

    Returns:
        A new model, or the same one where no layer is recurrent.

    Raises:
        ExportError: if Keras cannot unroll a layer.
    """
    names = ", ".join(name for _, name, _ in _recurrent(model))
    if not names:
        return model
    numbers = itertools.count()
    try:
        return clone_with(
            model, lambda layer: _replacement(layer, numbers), lambda old, new: new.set_weights(old.get_weights())
        )
    except ValueError as error:
        raise ExportError(f"cannot unroll {names}: {error}") from error


def has_fused_lstm(model: keras.Model) -> bool:
    """Return whether a result of `without_loops` holds an LSTM that becomes one operator."""
    return any(isinstance(layer, _FusedLSTM) for layer in all_layers(model))


def is_recurrent(model: keras.Model) -> bool:
    """Return whether a model holds a recurrent layer, fused, unrolled or neither."""
    return any(isinstance(layer, keras.layers.RNN) for layer in all_layers(model))


def _recurrent(model: keras.Model) -> Iterator[tuple[keras.layers.RNN, str, keras.layers.Layer]]:
    """Every recurrent layer, its name and type, and the layer of the model that it is, or is inside of."""
    for top, *inner in layer_paths(model):
        layer = inner[-1] if inner else top
        if isinstance(layer, keras.layers.RNN):
            yield layer, f"'{layer.name}' ({type(layer).__name__})", top


def _replacement(layer: keras.layers.Layer, numbers: Iterator[int]) -> keras.layers.Layer | None:
    if not isinstance(layer, keras.layers.RNN):
        return None
    config = {**layer.get_config(), "unroll": True}
    if type(layer) is not keras.layers.LSTM or not _is_fusible(layer):
        return type(layer).from_config(config)
    fused = _FusedLSTM.from_config(config)
    fused.number = next(numbers)
    return fused


def _is_fusible(layer: keras.layers.LSTM) -> bool:
    functions = (layer.activation, layer.recurrent_activation)
    return functions == (keras.activations.tanh, keras.activations.sigmoid) and not layer.return_state


class _FusedLSTM(keras.layers.LSTM):
    """An LSTM that the converter recognises, and replaces by UNIDIRECTIONAL_SEQUENCE_LSTM.

    Attributes:
        number: tells it from other layers of the model.
    """

    number = 0

    def call(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> keras.KerasTensor:
        if initial_state is not None or mask is not None:
            return super().call(sequences, initial_state=initial_state, mask=mask, training=training)
        import tensorflow as tf

        cell = self.cell
        kernels = [tf.convert_to_tensor(weight) for weight in (cell.kernel, cell.recurrent_kernel)]
        bias = tf.convert_to_tensor(cell.bias) if cell.use_bias else tf.zeros(4 * self.units)
        # reversed here: the converter would do it with an operator that there is no kernel for
        sequences = sequences[:, ::-1] if self.go_backwards else sequences
        state = tf.zeros((sequences.shape[0], self.units))
        last, outputs, *_ = _marked_lstm(self.number)(sequences, state, state, *kernels, bias)
        return outputs if self.return_sequences else last


def _marked_lstm(number: int) -> Callable[..., Any]:
    """A function of the signature, and with the attributes, by which the converter knows Keras 2's LSTM.

    The converter puts its operator in the place of the function's body. Functions of one mark it takes for
    implementations of the same thing: each layer needs a number of its own.
    """
    import tensorflow as tf

    def lstm(x: Any, hidden: Any, cell: Any, kernel: Any, recurrent_kernel: Any, bias: Any) -> tuple[Any, ...]:
        outputs = []
        for step in tf.unstack(x, axis=1):
            i, f, g, o = tf.split(step @ kernel + hidden @ recurrent_kernel + bias, 4, axis=1)
            cell = tf.sigmoid(f) * cell + tf.sigmoid(i) * tf.tanh(g)
            hidden = tf.sigmoid(o) * tf.tanh(cell)
            outputs.append(hidden)
        return hidden, tf.stack(outputs, axis=1), hidden, cell, tf.constant(1.0)

    attributes = {
        "api_implements": f"lstm_{number}",
        "api_preferred_device": "CPU",
        "time_major": False,
        "go_backwards": False,
    }
    return tf.function(lstm, autograph=False, experimental_attributes=attributes)
