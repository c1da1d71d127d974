"""Keras model to a fully quantised int8 `.tflite`, by TensorFlow's stock converter.

The Quant* layers are finalised first, so the converter sees ordinary layers whose kernels hold exactly three values;
its symmetric per-channel int8 weights keep them exact: {-127, 0, 127}, or {-n, 0, 127} with two scales.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import flatbuffers
import keras
import numpy as np
from ai_edge_litert import schema_py_generated as schema

import tern_keras
from tern_keras.cloning import clone_with
from tern_keras.layers import ActivationQuantizer
from tern_keras.structure import all_layers, is_graph, layer_paths
from tflite_export import level_refinement
from tflite_export.activation_ranges import ActivationRange, Tapped, quantize_with_ranges
from tflite_export.errors import ExportError
from tflite_export.recurrent_layers import check_recurrent, has_fused_lstm, is_recurrent, without_loops
from tflite_export.recurrent_ranges import calibrate_from_zero
from tflite_export.report import expected_arrays


def convert(
    model: keras.Model,
    calibration: np.ndarray | Sequence[np.ndarray],
    refine_levels: bool = False,
    unit_levels: bool = False,
) -> bytes:
    """Convert a Keras model to int8, weights, activations, inputs and outputs.

    Works on every Keras backend: where it is not TensorFlow, a child process with the TensorFlow backend converts.

    A tensor behind an `ActivationQuantizer` takes exactly that layer's range, and so do the tensors that TFLite stores
    with the same scale, such as the input of a pooling behind which the layer stands. The layer itself is not in the
    file. Only where the converter fuses the tensor into an activation function that follows, it has no range to take.

    An LSTM with tanh and sigmoid becomes one operator; other recurrent layers are unrolled, an operator a step each.
    Both take sequences of one length, start every inference from a state of zero, and share their weights over steps.

    Args:
        model: built; with or without Quant* layers. Each input has a fixed shape beside the batch.
        calibration: real samples, scaled as in training, from which the converter takes the activations' ranges:
            a floating-point array of shape (samples, *input shape), or a list of one such array an input.
            100 to 500 samples are usual.
        refine_levels: choose the two integers of TTQ's levels so that their ratio is the trained one as nearly as two
            integers up to 127 can have it; else the larger is 127 and the smaller is rounded, by up to 0.4 %.
        unit_levels: make ternary channels with levels of one magnitude -1, 0, 1 instead of -127, 0, 127, for the
            targets int4 and int2. Biases become coarser by as much.

    Returns:
        The content of a `.tflite` file with a batch of one.

    Raises:
        ExportError: if the model is not built or its weights are not finite, if the calibration does not fit it, or
            if the converter does not support a layer; if an `ActivationQuantizer` has never observed a range, or
            stands where TFLite cannot keep it.

    Example:
        >>> import keras, numpy as np
        >>> from tflite_export import Graph, convert
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        >>> tflite = convert(model, np.random.default_rng(0).normal(size=(100, 4)).astype("float32"))
        >>> [op.name for op in Graph.read(tflite).ops]
        ['FULLY_CONNECTED']
    """
    _check_model(model)
    _check_layers(model)
    try:
        stock = _in_float32(tern_keras.finalize(model))
    except (TypeError, ValueError) as error:
        raise ExportError(str(error)) from error
    check_recurrent(stock)
    _check_interface(stock)
    for quantizer in _activation_quantizers(stock):
        ActivationRange.of(quantizer)
    samples = _check_calibration(stock, calibration)
    here = keras.config.backend() == "tensorflow"
    tflite = _convert_here(stock, samples) if here else _convert_in_child(stock, samples)
    if refine_levels:
        ratios = level_refinement.level_ratios(keras.ops.convert_to_numpy(weight) for weight in stock.weights)
        tflite = level_refinement.refine_levels(tflite, ratios)
    return level_refinement.unit_levels(tflite) if unit_levels else tflite


def _check_model(model: keras.Model) -> None:
    if not isinstance(model, keras.Model):
        kind = type(model)
        raise ExportError(f"expected a Keras 3 model, got {kind.__module__}.{kind.__qualname__}")
    if not model.built:
        raise ExportError(f"the model '{model.name}' is not built: give it a keras.Input, or call it on a sample first")
    if not is_graph(model):
        raise ExportError(
            f"the model '{model.name}' ({type(model).__name__}) is a subclassed model, which does not tell its inputs: "
            "give keras.Model(x, model(x)) with x = keras.Input(shape)"
        )
    for variable in model.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(variable)).all():
            raise ExportError(f"the weight '{variable.path}' holds NaN or infinity: training diverged; train it again")


def _check_interface(model: keras.Model) -> None:
    structures = {} if isinstance(model, keras.Sequential) else {"inputs": model.input, "outputs": model.output}
    for what, structure in structures.items():
        if isinstance(structure, dict):
            raise ExportError(
                f"the model '{model.name}' has a dict of {what}: build it with a list, whose order is fixed"
            )
    for tensor in model.inputs:
        if None in tensor.shape[1:]:
            raise ExportError(
                f"the input '{tensor.name}' has the shape {tensor.shape}: fix every dimension but the batch"
            )


def _check_layers(model: keras.Model) -> None:
    """Refuse what is known to crash the converter, where an exception would be wanted."""
    unnamed = [text for layer, text in _layers(model) if isinstance(layer, keras.layers.Lambda)]
    if unnamed:
        raise ExportError(f"{', '.join(unnamed)}: a Lambda cannot be taken over; use a layer with a class of its own")


def _layers(model: keras.Model) -> Iterator[tuple[keras.layers.Layer, str]]:
    """Every layer, those of nested models and wrappers too, with its name and type, and its place in the model."""
    indices = {id(layer): index for index, layer in enumerate(model.layers)}
    for top, *inner in layer_paths(model):
        layer = inner[-1] if inner else top
        inside = f": '{layer.name}'" if inner else ""
        yield layer, f"layer {indices[id(top)]} '{top.name}'{inside} ({type(layer).__name__})"


def _activation_quantizers(model: keras.Model) -> list[ActivationQuantizer]:
    return [layer for layer in all_layers(model) if isinstance(layer, ActivationQuantizer)]


def _check_calibration(model: keras.Model, calibration: np.ndarray | Sequence[np.ndarray]) -> list[np.ndarray]:
    if calibration is None:
        raise ExportError("there is no calibration data: give 100 to 500 real samples, scaled as in training")
    several = isinstance(calibration, list | tuple)
    arrays = [np.asarray(array) for array in calibration] if several else [np.asarray(calibration)]
    if len(arrays) != len(model.inputs):
        raise ExportError(
            f"the model has {len(model.inputs)} input(s), the calibration data {len(arrays)} array(s): "
            f"{expected_arrays(len(model.inputs))}"
        )
    for tensor, array in zip(model.inputs, arrays, strict=True):
        expected = tuple(tensor.shape[1:])
        if array.dtype.kind != "f":
            raise ExportError(
                f"the calibration data for '{tensor.name}' is {array.dtype}: give floating-point samples, "
                "scaled as the model's training data was"
            )
        if array.shape[1:] != expected or array.ndim == 0:
            raise ExportError(
                f"the calibration data for '{tensor.name}' has the shape {array.shape}, expected (samples, "
                f"{', '.join(map(str, expected))})"
            )
        if len(array) == 0 or len(array) != len(arrays[0]):
            raise ExportError("the calibration data is empty, or its arrays differ in length: give 100 to 500 samples")
        if not np.isfinite(array).all():
            raise ExportError(f"the calibration data for '{tensor.name}' holds NaN or infinity")
        if len(array) > 1 and np.ptp(array) == 0:
            raise ExportError(f"the calibration data for '{tensor.name}' is constant: give 100 to 500 real samples")
    return [array.astype(np.float32) for array in arrays]


def _convert_here(model: keras.Model, samples: Sequence[np.ndarray]) -> bytes:
    import tensorflow as tf

    model = without_loops(model)
    # A fixed batch of one: with a free batch, Flatten becomes SHAPE, STRIDED_SLICE and PACK. TensorFlow orders inputs
    # by name: numbered names keep them in the model's order.
    names = [f"input{i:03}_{tensor.name}" for i, tensor in enumerate(model.inputs)]
    inputs = [
        keras.Input(batch_shape=(1, *tensor.shape[1:]), name=name)
        for name, tensor in zip(names, model.inputs, strict=True)
    ]
    tapped = Tapped(model) if _activation_quantizers(model) else None
    exchange_ranges = tapped is not None or is_recurrent(model)
    outputs = (tapped or model)(inputs if len(inputs) > 1 else inputs[0], training=False)
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(inputs, outputs, name=model.name))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    feeds = [{name: row[None] for name, row in zip(names, rows, strict=True)} for rows in zip(*samples, strict=True)]
    calibrate_again = has_fused_lstm(model)
    converter.representative_dataset = lambda: iter(feeds[:1] if calibrate_again else feeds)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    # private: the file between calibration and quantisation is where ranges can be exchanged
    converter._experimental_calibrate_only = exchange_ranges
    with _quiet() as log:
        try:
            tflite = converter.convert()
            if calibrate_again:
                tflite = calibrate_from_zero(tflite, feeds)
            if exchange_ranges:
                tflite = quantize_with_ranges(tflite, tapped.ranges if tapped else [])
            return _in_the_models_order(tflite)
        except ExportError:
            raise
        except Exception as error:  # the converter raises whatever its passes raise
            raise ExportError(_explain(model, f"{error}\n{log()}")) from error


def _in_the_models_order(tflite: bytes) -> bytes:
    """The file with its inputs and outputs in the Keras model's order, which only its signature knows."""
    packed = schema.ModelT.InitFromPackedBuf(tflite, 0)
    subgraph, signature = packed.subgraphs[0], packed.signatureDefs[0]
    inputs = [entry.tensorIndex for entry in sorted(signature.inputs, key=lambda entry: entry.name)]
    # named output_0, output_1, ...
    outputs = [entry.tensorIndex for entry in sorted(signature.outputs, key=lambda e: int(e.name.rsplit(b"_", 1)[1]))]
    if (inputs, outputs) == (list(subgraph.inputs), list(subgraph.outputs)):
        return tflite
    subgraph.inputs, subgraph.outputs = inputs, outputs
    builder = flatbuffers.Builder(len(tflite))
    builder.Finish(packed.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _in_float32(model: keras.Model) -> keras.Model:
    """The model without mixed precision: the converter has no half-precision kernels, and int8 no need of them."""
    if not any(layer.compute_dtype in ("float16", "bfloat16") for layer in all_layers(model)):
        return model
    return clone_with(
        model,
        lambda layer: type(layer).from_config({**layer.get_config(), "dtype": "float32"}),
        lambda old, new: new.set_weights(old.get_weights()),
    )


def _explain(model: keras.Model, text: str) -> str:
    """The converter's report, in the names of the model's layers.

    A refused operation comes with its place: fused["Erfinv:", "model_1/layer_1/erfinv/Erfinv@..."], where every name
    has got a number because the model is traced a second time.
    """
    places = re.findall(r"""fused\["\w+:", "([^"@]+)@[^"]*"\][^\n]*'(tf\.\w+)' op is neither""", text)
    components = {component for path, _ in places for component in path.split("/")}
    components |= {re.sub(r"_\d+$", "", component) for component in components}
    first = next((line.strip() for line in text.splitlines() if line.strip()), "no reason given")
    named = [what for layer, what in _layers(model) if layer.name in components]
    lines = [f"TensorFlow's converter cannot make the model '{model.name}' int8"]
    if places:
        lines.append(f"operations that TFLite lacks: {', '.join(sorted({name for _, name in places}))}")
        lines.append(f"in {', '.join(named)}")
        lines.append("use other layers there")
    else:
        lines.append(first[:300])
    return "\n  ".join(lines)


@contextlib.contextmanager
def _quiet() -> Iterator[Callable[[], str]]:
    """Keep the converter's chatter, Python's and C++'s, off the terminal; yields a function that returns it."""
    with tempfile.TemporaryFile("w+", errors="replace") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.stdout.flush()
        sys.stderr.flush()
        saved = os.dup(1), os.dup(2)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)

        def said() -> str:
            file.flush()
            file.seek(0)
            return file.read()

        try:
            # not stderr: a logging handler made in here would keep the file, and fail once it is closed
            with contextlib.redirect_stdout(file):
                yield said
        finally:
            for target, copy in zip((1, 2), saved, strict=True):
                os.dup2(copy, target)
                os.close(copy)


def _convert_in_child(model: keras.Model, samples: Sequence[np.ndarray]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        saved, data, result = (Path(folder) / name for name in ("model.keras", "samples.npz", "model.tflite"))
        model.save(saved)
        np.savez(data, *samples)
        child = subprocess.run(
            [sys.executable, "-m", __name__, str(saved), str(data), str(result)],
            env={**os.environ, "KERAS_BACKEND": "tensorflow"},
            capture_output=True,
            text=True,
        )
        if child.returncode == 0:
            return result.read_bytes()
        failure = result.with_suffix(".txt")
        said = failure.read_text() if failure.exists() else "\n".join(child.stderr.splitlines()[-5:])
        raise ExportError(said or f"the TensorFlow process that converts ended with status {child.returncode}")


def _main(saved: str, data: str, result: str) -> int:
    """What the child process does: convert, or leave the reason why not."""
    with np.load(data) as arrays:
        samples = [arrays[name] for name in arrays.files]
    try:
        model = keras.models.load_model(saved)
    except (TypeError, ValueError) as error:
        unknown = re.search(r"Could not locate (class|function) '\w+'", str(error))
        reason = unknown[0] if unknown else str(error).splitlines()[0][:200]
        text = f"the model cannot be loaded for conversion: {reason}; layers of your own need the TensorFlow backend"
        Path(result).with_suffix(".txt").write_text(text)
        return 1
    try:
        Path(result).write_bytes(_convert_here(model, samples))
    except ExportError as error:
        Path(result).with_suffix(".txt").write_text(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
