"""Files that are wrong on purpose: refused by name, soon, and before memory is asked for."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from random_networks import random_network
from test_graph_contents import edited
from tflite_builder import OpSpec, TensorSpec, build_model, run_reference

from tflite_export import ExportError, Graph, generate_c
from tflite_export.lowering import lower


def _tensor(**values: Any) -> Callable[[Any], None]:
    def edit(model: Any) -> None:
        for name, value in values.items():
            setattr(model.subgraphs[0].tensors[1], name, value)

    return edit


def _quantization(**values: Any) -> Callable[[Any], None]:
    def edit(model: Any) -> None:
        for name, value in values.items():
            setattr(model.subgraphs[0].tensors[0].quantization, name, value)

    return edit


def _op(**values: Any) -> Callable[[Any], None]:
    def edit(model: Any) -> None:
        for name, value in values.items():
            setattr(model.subgraphs[0].operators[0], name, value)

    return edit


def _graph(**values: Any) -> Callable[[Any], None]:
    def edit(model: Any) -> None:
        for name, value in values.items():
            setattr(model.subgraphs[0], name, value)

    return edit


def _softmax_options(model: Any) -> None:
    model.subgraphs[0].operators[0].builtinOptionsType = schema.BuiltinOptions.SoftmaxOptions
    model.subgraphs[0].operators[0].builtinOptions = schema.SoftmaxOptionsT()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_tensor(shape=[2**31 - 1, 2**31 - 1]), "more than 2,147,483,647 bytes"),
        (_tensor(shape=[2**31 - 1], type=schema.TensorType.FLOAT32), "more than 2,147,483,647 bytes"),
        (_tensor(shape=[1] * 100), "has 100 dimensions"),
        (_tensor(shape=[-1, 4]), "fixed input shape"),
        (_tensor(shape=[2, 5]), "holds 8 bytes"),
        (_tensor(buffer=99), "is in buffer 99"),
        (_tensor(isVariable=True), "a constant and a variable"),
        (_tensor(externalBuffer=1), "in another file"),
        (_tensor(sparsity=schema.SparsityParametersT()), "stored sparse"),
        (_tensor(quantization=None, name=b"\xff\xfe", shape=[3]), "tensor 1 '\ufffd\ufffd' holds"),
        (_quantization(scale=[1e-45]), "not a positive finite number"),
        (_quantization(scale=[np.inf]), "not a positive finite number"),
        (_quantization(scale=[-0.5]), "not a positive finite number"),
        (_quantization(zeroPoint=[200]), "zero point outside of int8"),
        (_quantization(zeroPoint=[-(2**63)]), "zero point outside of int8"),
        (_quantization(zeroPoint=[0, 0]), "1 scales but 2 zero points"),
        (_op(inputs=[0, 7, 2]), "is tensor 7, but there are 4"),
        (_op(inputs=[0, -2, 2]), "is tensor -2"),
        (_op(outputs=[-1]), "an output of op 0 FULLY_CONNECTED is left out"),
        (_op(outputs=[0]), "computed already"),
        (_op(outputs=[3, 3]), "computed already"),
        (_op(outputs=[1]), "is a constant"),
        (_op(opcodeIndex=9), "the code 9"),
        (_softmax_options, "SoftmaxOptions where FullyConnectedOptions should be"),
        (_graph(inputs=[0, 0]), "computed already"),
        (_graph(inputs=[1]), "is a constant"),
        (_graph(outputs=[1]), "computed by no operator"),
        (_graph(operators=[]), "nothing to run"),
        (lambda model: setattr(model, "version", 4), "the version 4"),
        (lambda model: setattr(model, "subgraphs", []), "no subgraph"),
        (lambda model: setattr(model, "buffers", []), "but there are 0"),
    ],
)
def test_refused_by_name(edit: Callable[[Any], None], message: str) -> None:
    with pytest.raises(ExportError, match=message):
        Graph.read(edited(edit))


def test_more_tables_than_a_file_has_reason_for() -> None:
    def edit(model: Any) -> None:
        model.subgraphs[0].operators *= 20_000

    with pytest.raises(ExportError, match="20,000 operators"):
        Graph.read(edited(edit))


def test_lists_that_lie_over_each_other() -> None:
    """Every operator's inputs are the whole file: small, but endless to whoever believes it."""
    content = bytearray(
        edited(lambda model: setattr(model.subgraphs[0], "operators", model.subgraphs[0].operators * 999))
    )
    model = schema.Model.GetRootAs(bytes(content), 0)
    start = len(content)
    content += (20_000).to_bytes(4, "little") + bytes(80_000)
    for i in range(999):
        table = model.Subgraphs(0).Operators(i)._tab
        place = table.Pos + table.Offset(6)
        content[place : place + 4] = (start - place).to_bytes(4, "little")
    began = time.monotonic()
    with pytest.raises(ExportError, match="larger than the file"):
        Graph.read(bytes(content))
    assert time.monotonic() - began < 5


def test_one_buffer_for_too_many_tensors() -> None:
    def edit(model: Any) -> None:
        graph = model.subgraphs[0]
        model.buffers[graph.tensors[1].buffer].data = np.zeros(2**18, np.uint8)
        graph.tensors[1].shape = [2, 2**17]
        graph.tensors[1].quantization = None
        graph.tensors += [graph.tensors[1]] * 300

    with pytest.raises(ExportError, match="many times as large as the file"):
        Graph.read(edited(edit))


def test_absurd_activations_cost_nothing(tmp_path) -> None:
    """Shapes that are valid but huge make a plan, no more."""

    def edit(model: Any) -> None:
        graph = model.subgraphs[0]
        graph.tensors[0].shape, graph.tensors[3].shape = [1, 2**28, 4], [2**28, 2]

    began = time.monotonic()
    header = next(path for path in generate_c(edited(edit), tmp_path) if path.name == "model.h").read_text()
    assert f"MODEL_INPUT_BYTES {2**30}" in header
    assert f"MODEL_OUTPUT_BYTES {2**29}" in header
    assert time.monotonic() - began < 5


def test_memory_that_runs_out_is_not_called_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(schema.Model, "GetRootAs", fail)
    with pytest.raises(MemoryError):
        Graph.read(random_network(0))


@pytest.mark.parametrize("op", ["FULLY_CONNECTED", "MEAN", "RESHAPE"])
def test_a_shape_that_tflite_would_not_compute(op: str) -> None:
    """TFLite computes shapes anew: believing the file's, the softmax would be over rows of one."""
    weights = np.eye(4, dtype=np.int8)
    extra = {
        "FULLY_CONNECTED": TensorSpec("e", (4, 4), 0.5, 0, weights),
        "MEAN": TensorSpec("e", (1,), None, 0, np.array([1]), dtype="int32"),
        "RESHAPE": TensorSpec("e", (2,), None, 0, np.array([1, 4]), dtype="int32"),
    }[op]
    source = (1, 3, 4) if op == "MEAN" else (1, 4)

    def model(shape: tuple[int, ...]) -> bytes:
        tensors = [TensorSpec("x", source, 0.5, 0), extra, TensorSpec("y", shape, 0.5, 0)]
        tensors.append(TensorSpec("z", shape, 1 / 256, -128))
        return build_model(tensors, [OpSpec(op, ["x", "e"], ["y"]), OpSpec("SOFTMAX", ["y"], ["z"])], ["x"], ["z"])

    x = np.resize(np.array([1, 2, 3, 4], np.int8), source)
    expected = run_reference(model((1, 4)), x)[0]
    np.testing.assert_array_equal(run_reference(model((4, 1)), x)[0], expected)
    assert len(lower(Graph.read(model((1, 4))))) == 2
    with pytest.raises(ExportError, match=rf"{op} .* should have the shape \(1, 4\)"):
        lower(Graph.read(model((4, 1))))


def test_a_softmax_with_a_beta_that_is_no_number() -> None:
    tensors = [TensorSpec("x", (1, 4), 0.5, 0), TensorSpec("y", (1, 4), 1 / 256, -128)]
    model = build_model(tensors, [OpSpec("SOFTMAX", ["x"], ["y"], {"beta": np.nan})], ["x"], ["y"])
    with pytest.raises(ExportError, match="too small to tell inputs apart"):
        lower(Graph.read(model))


def test_sums_beyond_int32() -> None:
    def edit(model: Any) -> None:
        bias = model.subgraphs[0].tensors[2]
        model.buffers[bias.buffer].data = np.frombuffer(np.array([0, -(2**31)], np.int32).tobytes(), np.uint8)

    with pytest.raises(ExportError, match="may not fit 32 bits"):
        lower(Graph.read(edited(edit)))


def test_a_shape_operand_that_is_no_integer() -> None:
    shape = TensorSpec("s", (2,), None, 0, np.array([np.nan, 4], np.float32), dtype="float32")
    tensors = [TensorSpec("x", (1, 4), 0.5, 0), shape, TensorSpec("y", (1, 4), 0.5, 0)]
    model = build_model(tensors, [OpSpec("RESHAPE", ["x", "s"], ["y"])], ["x"], ["y"])
    with pytest.raises(ExportError, match="its shape, input 1, is not a constant of integers"):
        lower(Graph.read(model))
