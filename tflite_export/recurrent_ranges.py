"""What a calibrated file with recurrent layers needs before the stock quantiser can do well by it.

Ranges that hold for all steps, states within what the LSTM's kernel can compute, and no result without a reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

# The scope of a Keras cell in a tensor's name, such as gru_cell_3.
_CELL = re.compile(r"(_cells?)(?:_\d+)?(?=/)")
# Begins the names of outputs that are none in the end.
_UNUSED = b"unused_"
_LSTM = schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM
# An operator's name, the activations that it reads, those that it writes.
Operator = tuple[str, list[int], list[int]]
_HIDDEN_STATE, _CELL_STATE = 18, 19
# The intermediate tensor that has the hidden state's range.
_HIDDEN_INTERMEDIATE = 4
# The kernel's tanh knows int16 cell states of scales from 2^-15 to 2^-9, and computes nothing for any other.
_CELL_BOUNDS = (1.0, 64.0)


def calibrate_from_zero(model: bytes, samples: Iterable[Mapping[str, np.ndarray]]) -> bytes:
    """Calibrate a float model with fused LSTMs, each sample from a state of zero.

    The converter's own calibration goes on from the state that the sample before has left.

    Args:
        model: the content of a float `.tflite`.
        samples: the inputs of each, by their names in the signature.

    Returns:
        The file with the ranges over all samples.
    """
    # private: the only way to calibrate a file
    from tensorflow.lite.python.optimize.calibrator import Calibrator

    ranges: dict[int, tuple[float, float]] = {}
    calibrated = schema.ModelT()
    for sample in samples:
        content = Calibrator(model).calibrate(lambda sample=sample: iter([sample]))
        calibrated = schema.ModelT.InitFromPackedBuf(content, 0)
        for index, tensor in enumerate(calibrated.subgraphs[0].tensors):
            if tensor.quantization is not None and tensor.quantization.min is not None:
                low, high = float(tensor.quantization.min[0]), float(tensor.quantization.max[0])
                before = ranges.get(index, (low, high))
                ranges[index] = min(low, before[0]), max(high, before[1])
    for index, (low, high) in ranges.items():
        quantization = calibrated.subgraphs[0].tensors[index].quantization
        quantization.min, quantization.max = [low], [high]
    builder = flatbuffers.Builder(len(model))
    builder.Finish(calibrated.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def step_ranges(tensors: Sequence[schema.TensorT]) -> dict[int, tuple[float, float]]:
    """Ranges that hold for all steps of an unrolled layer: its multipliers need to be stored but once then.

    Args:
        tensors: of the calibrated float model. Of one step to the next the names differ by the number of the cell.

    Returns:
        (minimum, maximum), calibrated over all steps, for each tensor of a cell.
    """
    groups: dict[str, list[int]] = {}
    for index, tensor in enumerate(tensors):
        name = tensor.name.decode("utf-8", "replace")
        if _CELL.search(name) and tensor.quantization is not None and tensor.quantization.min is not None:
            groups.setdefault(_CELL.sub(r"\1", name), []).append(index)
    ranges: dict[int, tuple[float, float]] = {}
    for group in groups.values():
        ranges.update(dict.fromkeys(group, _calibrated(tensors, group)))
    return ranges


def _calibrated(tensors: Sequence[schema.TensorT], group: Iterable[int]) -> tuple[float, float]:
    calibrated = [tensors[index].quantization for index in group]
    return min(float(found.min[0]) for found in calibrated), max(float(found.max[0]) for found in calibrated)


def joint_ranges(
    tensors: Sequence[schema.TensorT], tied: Iterable[Sequence[int]], operators: Iterable[Operator]
) -> dict[int, tuple[float, float]]:
    """The ranges of LSTMs' outputs that TFLite stores with one scale together with other tensors.

    The stock quantiser gives those tensors one scale, but leaves the hidden state, which is the output, at its own.

    Args:
        tensors: of the calibrated float model.
        tied: tensors that an operator has with one scale, an operator each.
        operators: all of the model's.

    Returns:
        (minimum, maximum), calibrated over all tensors that are tied to each other, for each of them.
    """
    groups = [{outputs[0]} for name, _, outputs in operators if name == "UNIDIRECTIONAL_SEQUENCE_LSTM"]
    ties = list(map(set, tied))
    ranges: dict[int, tuple[float, float]] = {}
    for group in groups:
        size = 0
        while size != len(group):
            size = len(group)
            group.update(*(tie for tie in ties if tie & group))
        ranges.update(dict.fromkeys(group, _calibrated(tensors, group)))
    return ranges


def fit_lstm_states(model: schema.ModelT, fixed: Mapping[int, tuple[float, float]]) -> None:
    """Give cell states a range that the kernel can compute, and no clip; hidden states get that of their output.

    The quantiser's own choice for a cell state below 0.5 is a scale for which the kernel leaves its results out.

    Args:
        model: the calibrated float model, changed in place.
        fixed: (minimum, maximum) of tensors that keep them, by index.
    """
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    tensors = model.subgraphs[0].tensors
    for op in model.subgraphs[0].operators:
        if codes[op.opcodeIndex] != _LSTM:
            continue
        cell = tensors[op.inputs[_CELL_STATE]].quantization
        low, high = _CELL_BOUNDS
        bound = max(-float(cell.min[0]), float(cell.max[0]))
        # the converter puts Keras 2's clip into the operator, which Keras 3 has not
        clip, op.builtinOptions.cellClip = op.builtinOptions.cellClip, 0.0
        bound = high if 0 < clip <= bound else min(max(bound, low), high)
        cell.min, cell.max = [-bound], [bound]
        if op.outputs[0] in fixed:
            for index in (op.inputs[_HIDDEN_STATE], op.intermediates[_HIDDEN_INTERMEDIATE]):
                quantization = tensors[index].quantization
                quantization.min, quantization.max = ([value] for value in fixed[op.outputs[0]])


def expose_unused(model: schema.ModelT) -> None:
    """Make results that nothing reads, such as the reset gate of the first step, outputs of the model.

    The quantiser leaves an operator in float, now and then, where it has such a result.

    Args:
        model: the calibrated float model, changed in place.
    """
    subgraph, signature = model.subgraphs[0], model.signatureDefs[0]
    used = {int(index) for op in subgraph.operators for index in op.inputs} | set(map(int, subgraph.outputs))
    for op in subgraph.operators:
        for index in map(int, op.outputs):
            if index not in used:
                entry = schema.TensorMapT()
                entry.name, entry.tensorIndex = _UNUSED + str(index).encode(), index
                signature.outputs.append(entry)
                subgraph.outputs = [*subgraph.outputs, index]


def hide_unused(model: schema.ModelT) -> None:
    """Take what `expose_unused` has added from the outputs of the quantised model.

    Args:
        model: changed in place.
    """
    subgraph, signature = model.subgraphs[0], model.signatureDefs[0]
    added = {entry.tensorIndex for entry in signature.outputs if entry.name.startswith(_UNUSED)}
    signature.outputs = [entry for entry in signature.outputs if entry.tensorIndex not in added]
    subgraph.outputs = [index for index in subgraph.outputs if index not in added]
