"""Ranges of the states of fused LSTMs in a calibrated file, within what TFLite's kernel can compute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ai_edge_litert import schema_py_generated as schema

_LSTM = schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM
# An operator's name, the activations that it reads, those that it writes.
Operator = tuple[str, list[int], list[int]]
_HIDDEN_STATE, _CELL_STATE = 18, 19
# The intermediate tensor that has the hidden state's range.
_HIDDEN_INTERMEDIATE = 4
# The kernel's tanh knows int16 cell states of scales from 2^-15 to 2^-9, and computes nothing for any other.
_CELL_BOUNDS = (1.0, 64.0)


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
        calibrated = [tensors[index].quantization for index in group]
        low = min(float(quantization.min[0]) for quantization in calibrated)
        high = max(float(quantization.max[0]) for quantization in calibrated)
        ranges.update(dict.fromkeys(group, (low, high)))
    return ranges


def fit_lstm_states(model: schema.ModelT, fixed: Mapping[int, tuple[float, float]]) -> None:
    """Give cell states a range that the kernel can compute, and hidden states that of the output, where it is fixed.

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
        bound = min(max(-float(cell.min[0]), float(cell.max[0]), low), high)
        cell.min, cell.max = [-bound], [bound]
        if op.outputs[0] in fixed:
            for index in (op.inputs[_HIDDEN_STATE], op.intermediates[_HIDDEN_INTERMEDIATE]):
                quantization = tensors[index].quantization
                quantization.min, quantization.max = ([value] for value in fixed[op.outputs[0]])
