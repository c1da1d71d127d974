"""Recurrent layers that are one operator."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tflite_export import requantization as rq
from tflite_export.errors import ExportError
from tflite_export.graph import Op, Tensor
from tflite_export.kernel_call import Constant, Field, KernelCall
from tflite_export.lowering.context import Context, Lowering
from tflite_export.lowering.op_shapes import activation, option, result
from tflite_export.lowering.weight_formats import PackedWeights, pack_weights

# The inputs of UNIDIRECTIONAL_SEQUENCE_LSTM: for each gate its input weights, its recurrent weights and its bias.
_GATES = {
    "input_gate": (1, 5, 12),
    "forget_gate": (2, 6, 13),
    "cell_gate": (3, 7, 14),
    "output_gate": (4, 8, 15),
}
_HIDDEN_STATE, _CELL_STATE = 18, 19
_EXTRAS = {
    "peephole connections": (9, 10, 11),
    "a projection": (16, 17),
    "layer normalisation": (20, 21, 22, 23),
}
# The intermediate tensor that has the hidden state's scale.
_HIDDEN_INTERMEDIATE = 4
# Of the gates before their activation functions.
_GATE_SCALE = 2.0**-12
# The kernel's tanh takes a cell state of up to 6 bits before the binary point.
_CELL_FRACTIONS = range(9, 16)
# The enum tern_weight_format.
_FORMATS = {"int8": 0, "ternary": 1, "base3": 2, "binary": 3}


def _lstm(op: Op, context: Context) -> list[KernelCall]:
    source, target = _input(op), result(op)
    _refuse_extras(op)
    hidden_state, cell_state = _state(op, _HIDDEN_STATE, "int8"), _state(op, _CELL_STATE, "int16")
    steps, inputs, units = source.size // source.shape[-1], source.shape[-1], target.shape[-1] if target.shape else 0
    if target.shape != (*source.shape[:-1], units) or hidden_state.size != units or cell_state.size != units:
        raise ExportError(f"{op}: {hidden_state} and {cell_state} do not fit {source} and {target}")
    hidden_multiplier, hidden_shift = rq.lstm_hidden_multiplier(_hidden(op).scale)
    gates: dict[str, Field] = {}
    packed: list[PackedWeights] = []
    for name, (input_weights, recurrent_weights, bias) in _GATES.items():
        matrices = {
            "input": (input_weights, inputs, source.scale),
            "recurrent": (recurrent_weights, units, hidden_state.scale),
        }
        gate: dict[str, Field] = {}
        for kind, (index, length, scale) in matrices.items():
            weights = _weights(op, index, (units, length))
            packed.append(pack_weights(weights, context, axis=0))
            gate[kind] = _matrix(weights, packed[-1], scale)
        gates[name] = {**gate, "bias": _bias(op, bias, units)}
    formats = sorted({matrix.format for matrix in packed}, key=lambda name: _FORMATS[name])
    return [
        KernelCall(
            op=op,
            function="tern_lstm_ref",
            struct="tern_lstm_params",
            fields={
                "steps": steps,
                "inputs": inputs,
                "units": units,
                "input_zero_point": source.zero_point,
                "state_zero_point": hidden_state.zero_point,
                **gates,
                "cell_fraction": _cell_fraction(op, cell_state),
                "cell_clip": _cell_clip(op, cell_state),
                "hidden_multiplier": hidden_multiplier,
                "hidden_shift": hidden_shift,
                "hidden_zero_point": _hidden(op).zero_point,
            },
            inputs=(source,),
            output=target,
            weight_format=" and ".join(formats),
            scratch_bytes=np.dtype("int16").itemsize * units,
            reason="; ".join(dict.fromkeys(matrix.reason for matrix in packed)),
        )
    ]


def _input(op: Op) -> Tensor:
    source = op.inputs[0] if op.inputs else None
    if source is not None and source.dtype == "float32":
        raise ExportError(f"{op}: {source} is float32: quantise the model to int8, with a representative dataset")
    source = activation(op, 0)
    batch = 1 if option(op, "time_major") else 0
    if len(source.shape) != 3 or source.shape[batch] != 1:
        raise ExportError(f"{op}: {source} should have three dimensions, and a batch of 1")
    return source


def _refuse_extras(op: Op) -> None:
    found = [
        name
        for name, indices in _EXTRAS.items()
        if any(index < len(op.inputs) and op.inputs[index] is not None for index in indices)
    ]
    if found:
        raise ExportError(f"{op} has {', '.join(found)}, for which there is no kernel")


def _state(op: Op, index: int, dtype: str) -> Tensor:
    state = op.inputs[index] if index < len(op.inputs) else None
    if state is None or not state.variable or state.dtype != dtype:
        raise ExportError(f"{op}: its state {state} is not a variable tensor of {dtype}")
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    if not low <= state.zero_point <= high:
        raise ExportError(f"{op}: its state {state} has the zero point {state.zero_point}, outside of {dtype}")
    return state


def _hidden(op: Op) -> Tensor:
    """The quantisation that the hidden state is computed in."""
    if len(op.intermediates) != _HIDDEN_INTERMEDIATE + 1:
        raise ExportError(f"{op} has {len(op.intermediates)} intermediate tensors, not 5: the file is damaged")
    hidden = op.intermediates[_HIDDEN_INTERMEDIATE]
    if not -128 <= hidden.zero_point <= 127:
        raise ExportError(f"{op}: {hidden} has the zero point {hidden.zero_point}, outside of int8")
    return hidden


def _cell_fraction(op: Op, cell_state: Tensor) -> int:
    fraction = rq.lstm_cell_fraction(cell_state.scale)
    if fraction not in _CELL_FRACTIONS or cell_state.zero_point != 0:
        raise ExportError(f"{op}: {cell_state} should have a scale of 2^-15 to 2^-9 and the zero point 0")
    return fraction


def _cell_clip(op: Op, cell_state: Tensor) -> int:
    clip = option(op, "cell_clip")
    if not clip >= 0:
        raise ExportError(f"{op}: its cell_clip is {clip}, not at least 0")
    return rq.lstm_cell_clip(clip, cell_state.scale)


def _weights(op: Op, index: int, shape: tuple[int, int]) -> Tensor:
    tensor = op.inputs[index] if index < len(op.inputs) else None
    if tensor is None:
        raise ExportError(f"{op}: its weights, input {index}, are missing: coupled gates have no kernel")
    if tensor.data is None or tensor.dtype != "int8" or tensor.shape != shape or tensor.zero_point != 0:
        raise ExportError(f"{op}: its weights {tensor} are not an int8 constant of {shape} with the zero point 0")
    return tensor


def _matrix(weights: Tensor, packed: PackedWeights, scale: float) -> Mapping[str, Field]:
    multiplier, shift = rq.product_multiplier(weights.scale, scale, _GATE_SCALE)
    return {
        "format": _FORMATS[packed.format],
        "weights": packed.fields,
        "multiplier": multiplier,
        "shift": shift,
    }


def _bias(op: Op, index: int, units: int) -> Constant:
    bias = op.inputs[index] if index < len(op.inputs) else None
    if bias is None or bias.data is None or bias.dtype != "int32" or bias.size != units:
        raise ExportError(f"{op}: its bias {bias} is not an int32 constant of {units} values")
    return Constant("bias", bias.data.reshape(-1))


LOWERINGS: dict[str, Lowering] = {
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
}
