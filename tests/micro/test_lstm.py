"""The LSTM kernel, and the parameters that its lowering derives, equal LiteRT's reference kernel."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from ctypes import Structure, c_void_p
from typing import Any

import numpy as np
import pytest
import tern_c
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from lstm_specs import lstm_specs
from tern_c import LstmParams
from tflite_builder import TensorSpec, build_model, run_reference

from tflite_export import ExportError, Graph
from tflite_export.kernel_call import Constant, KernelCall
from tflite_export.levels import find_planes
from tflite_export.lowering.context import Context
from tflite_export.lowering.recurrent import LOWERINGS

# steps, inputs, units
SIZES = [(1, 1, 1), (7, 3, 5), (28, 28, 20), (3, 40, 9), (60, 2, 33)]


def _structure(kind: type[Structure], fields: Mapping[str, Any]) -> Any:
    """The C structure of a kernel call's fields."""
    values = {}
    for name, ctype, *_ in kind._fields_:
        value = fields[name]
        if isinstance(value, Constant):
            value = tern_c.pointer(value.data, value.data.dtype)
        elif isinstance(value, Mapping):
            value = _structure(ctype, value)
        elif value is None:
            assert ctype is c_void_p
        values[name] = value
    assert list(fields) == [name for name, *_ in kind._fields_]
    return tern_c.make(kind, **values)


def _model(rng: np.random.Generator, steps: int, inputs: int, units: int, **options: Any) -> bytes:
    shape = (steps, 1, inputs) if options.get("time_major") else (1, steps, inputs)
    x = TensorSpec("x", shape, float(np.float32(rng.uniform(0.002, 0.05))), int(rng.integers(-128, 128)))
    tensors, op = lstm_specs(rng, x, "y", units, **options)
    return build_model([x, *tensors], [op], ["x"], ["y"])


def _call(model: bytes, optimize: str = "speed") -> KernelCall:
    graph = Graph.read(model)
    (call,) = LOWERINGS["UNIDIRECTIONAL_SEQUENCE_LSTM"](graph.ops[0], Context(find_planes(graph), optimize))
    return call


def _check(model: bytes, rng: np.random.Generator, samples: int = 3, optimize: str = "speed") -> None:
    call = _call(model, optimize)
    params = _structure(LstmParams, call.fields)
    assert tern_c.scratch_bytes("tern_lstm_ref", params) == call.scratch_bytes
    for _ in range(samples):
        x = rng.integers(-128, 128, call.inputs[0].shape).astype(np.int8)
        got = tern_c.call("tern_lstm_ref", params, x, output=call.output.shape)
        np.testing.assert_array_equal(got, run_reference(model, x)[0])


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("time_major", [False, True])
def test_equals_litert(sizes: tuple[int, int, int], time_major: bool) -> None:
    rng = np.random.default_rng(sum(sizes))
    for optimize in ("speed", "size"):
        _check(_model(rng, *sizes, time_major=time_major), rng, optimize=optimize)


@pytest.mark.parametrize("cell_fraction", range(9, 16))
@pytest.mark.parametrize("cell_clip", [0.0, 0.7, 1e6])
def test_equals_litert_for_every_format_of_the_cell_state(cell_fraction: int, cell_clip: float) -> None:
    rng = np.random.default_rng(cell_fraction)
    _check(_model(rng, 12, 6, 11, cell_clip=cell_clip, cell_fraction=cell_fraction), rng)


def test_gates_equal_litert_at_every_input() -> None:
    """Input and cell gate sweep the int16 one after the other; the other one is saturated, and the cell state shows
    their product."""
    ones, zeros = np.ones(256), np.zeros((256, 256))
    digits = np.arange(256)
    rng = np.random.default_rng(0)
    x = TensorSpec("x", (1, 1, 3), 2.0**-6, 0)
    tensors, op = lstm_specs(rng, x, "y", 256, cell_fraction=15)
    swept = {"weights": np.outer(ones, [127, 127, 2]), "bias": digits}  # 256 * x + the unit's number
    saturated = {"weights": np.outer(ones, [0, 0, 0]), "bias": 32767 * ones}
    for sweep in ("input", "cell"):
        gates = {gate: swept if gate == sweep else saturated for gate in ("input", "forget", "cell", "output")}
        constants = {f"lstm_recurrent_{gate}": zeros for gate in gates}
        constants |= {f"lstm_input_{gate}": values["weights"] for gate, values in gates.items()}
        constants |= {f"lstm_bias_{gate}": values["bias"] for gate, values in gates.items()}
        scaled = [
            dataclasses.replace(spec, scale=2.0**-6, data=constants[spec.name].astype(spec.dtype))
            if spec.name in constants
            else spec
            for spec in tensors
        ]
        model = build_model([x, *scaled], [op], ["x"], ["y"])
        params = _structure(LstmParams, _call(model).fields)
        interpreter = Interpreter(
            model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF, num_threads=1
        )
        interpreter.allocate_tensors()
        seen = set()
        for value in range(-128, 128):
            sample = np.full((1, 1, 3), value, np.int8)
            interpreter.reset_all_variables()
            interpreter.set_tensor(0, sample)
            interpreter.invoke()
            cells, output = np.zeros(256, np.int16), np.zeros(256, np.int8)
            assert tern_c.status_of("tern_lstm_ref", params, sample, output, cells) == tern_c.OK
            np.testing.assert_array_equal(cells, interpreter.get_tensor(_index(scaled, "lstm_cell_state") + 1)[0])
            seen |= set(cells.tolist())
        assert len(seen) > 5000


def _index(tensors: list[TensorSpec], name: str) -> int:
    return [spec.name for spec in tensors].index(name)


# what is changed in the operator's tensors or inputs, and what the message says
REFUSED: dict[str, tuple[Callable[[dict[str, TensorSpec], list[str]], None], str]] = {
    "peephole": (lambda specs, names: names.__setitem__(9, "lstm_input_input"), "peephole connections"),
    "projection": (lambda specs, names: names.__setitem__(16, "lstm_input_input"), "a projection"),
    "layer normalisation": (lambda specs, names: names.__setitem__(20, "lstm_input_input"), "layer normalisation"),
    "coupled gates": (lambda specs, names: names.__setitem__(1, ""), "coupled gates"),
    "no bias": (lambda specs, names: names.__setitem__(12, ""), "its bias None"),
    "a state that does not last": (lambda specs, names: names.__setitem__(18, "x"), "not a variable tensor of int8"),
    "a cell state of no power of two": (
        lambda specs, names: _change(specs, "lstm_cell_state", scale=0.0007),
        "not a power of two",
    ),
    "a cell state that is too coarse": (
        lambda specs, names: _change(specs, "lstm_cell_state", scale=2.0**-8),
        "a scale of 2",
    ),
    "weights with a zero point": (
        lambda specs, names: _change(specs, "lstm_input_cell", zero_point=1),
        "with the zero point 0",
    ),
    "a batch of two": (lambda specs, names: _change(specs, "x", shape=(2, 7, 3)), "a batch of 1"),
    "float": (lambda specs, names: _change(specs, "x", dtype="float32"), "quantise the model to int8"),
}


def _change(specs: dict[str, TensorSpec], name: str, **changes: Any) -> None:
    specs[name] = dataclasses.replace(specs[name], **changes)


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_kernel_is_refused(case: str) -> None:
    x = TensorSpec("x", (1, 7, 3), 0.02, 3)
    tensors, op = lstm_specs(np.random.default_rng(0), x, "y", 5)
    change, message = REFUSED[case]
    specs, names = {spec.name: spec for spec in (x, *tensors)}, list(op.inputs)
    change(specs, names)
    model = build_model(list(specs.values()), [dataclasses.replace(op, inputs=names)], ["x"], ["y"])
    with pytest.raises(ExportError, match=message):
        _call(model)
