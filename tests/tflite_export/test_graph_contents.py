"""What a `.tflite` may hold besides int8 tensors: state, packed types, other data, subgraphs."""

from collections.abc import Callable
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from tflite_builder import OpSpec, TensorSpec, build_model

from tflite_export import ExportError, Graph
from tflite_export.lowering import lower

TYPE = schema.TensorType


def small_model() -> bytes:
    weights = np.arange(-4, 4, dtype=np.int8).reshape(2, 4)
    tensors = [
        TensorSpec("x", (1, 4), 0.5, 3),
        TensorSpec("w", (2, 4), (0.25, 0.125), (0, 0), weights),
        TensorSpec("b", (2,), (0.125, 0.0625), (0, 0), np.array([7, -7], np.int32), dtype="int32"),
        TensorSpec("y", (1, 2), 0.75, -5),
    ]
    return build_model(tensors, [OpSpec("FULLY_CONNECTED", ["x", "w", "b"], ["y"])], ["x"], ["y"])


def edited(edit: Callable[[Any], None], model: bytes | None = None) -> bytes:
    """A model, taken apart by the schema, changed, and put together again."""
    unpacked = schema.ModelT.InitFromPackedBuf(model or small_model(), 0)
    edit(unpacked)
    builder = flatbuffers.Builder(1024)
    builder.Finish(unpacked.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _with_constant(code: int, data: np.ndarray, shape: list[int]) -> Graph:
    def edit(model: Any) -> None:
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.shape, tensor.buffer = "c", code, shape, len(model.buffers)
        model.buffers.append(schema.BufferT())
        model.buffers[-1].data = np.frombuffer(data.tobytes(), np.uint8)
        model.subgraphs[0].tensors.append(tensor)

    return Graph.read(edited(edit))


@pytest.mark.parametrize(
    ("code", "name", "stored", "values", "nbytes"),
    [
        (TYPE.INT4, "INT4", np.array([0x87, 0xF1, 0x0E], np.uint8), [7, -8, 1, -1, -2], 3),
        (TYPE.INT2, "INT2", np.array([0b11_10_01_00, 0b01], np.uint8), [0, 1, -2, -1, 1], 2),
        (TYPE.UINT4, "UINT4", np.array([0x87, 0xF1, 0x0E], np.uint8), [7, 8, 1, 15, 14], 3),
        (TYPE.BFLOAT16, "BFLOAT16", np.array([0x3F80, 0xC040, 0, 0x0001, 0x4049], np.uint16), None, 10),
        (TYPE.FLOAT16, "float16", np.array([1, -2, 0.5, 0, 3], np.float16), [1, -2, 0.5, 0, 3], 10),
        (TYPE.FLOAT64, "float64", np.array([1, -2, 0.1, 0, 3]), [1, -2, 0.1, 0, 3], 40),
        (TYPE.UINT32, "uint32", np.array([0, 1, 2, 3, 2**32 - 1], np.uint32), [0, 1, 2, 3, 2**32 - 1], 20),
        (TYPE.BOOL, "bool", np.array([1, 0, 1, 1, 0], bool), [True, False, True, True, False], 5),
    ],
)
def test_constants_of_every_type(code: int, name: str, stored: np.ndarray, values: list | None, nbytes: int) -> None:
    tensor = _with_constant(code, stored, [5]).tensors[-1]
    assert (tensor.dtype, tensor.shape, tensor.nbytes) == (name, (5,), nbytes)
    if values is None:
        values = [1.0, -3.0, 0.0, 2.0**-133, 3.140625]
    assert tensor.data.tolist() == values


def test_sub_byte_constants_have_their_shape() -> None:
    tensor = _with_constant(TYPE.INT4, np.arange(3, dtype=np.uint8), [2, 3]).tensors[-1]
    assert (tensor.data.shape, tensor.data.dtype, tensor.size) == ((2, 3), np.int8, 6)


def test_what_has_no_numbers_stays_bytes() -> None:
    tensor = _with_constant(TYPE.STRING, np.frombuffer(b"abc", np.uint8), [1]).tensors[-1]
    assert (tensor.dtype, tensor.data.tobytes(), tensor.nbytes) == ("STRING", b"abc", 3)


def test_state_and_intermediates() -> None:
    def edit(model: Any) -> None:
        graph = model.subgraphs[0]
        state, inner = schema.TensorT(), schema.TensorT()
        state.name, state.type, state.shape, state.isVariable = "state", TYPE.INT8, [1, 4], True
        inner.name, inner.type, inner.shape = "gate", TYPE.FLOAT32, [0]
        inner.quantization = schema.QuantizationParametersT()
        inner.quantization.scale, inner.quantization.zeroPoint = [0.5], [0]
        graph.tensors += [state, inner]
        graph.operators[0].inputs = [0, 1, 2, 4]
        graph.operators[0].intermediates = [5]

    graph = Graph.read(edited(edit))
    (op,) = graph.ops
    assert op.inputs[3].variable
    assert not op.inputs[0].variable
    assert op.inputs[3].data is None
    assert [(tensor.name, tensor.scale, tensor.size) for tensor in op.intermediates] == [("gate", 0.5, 0)]


def test_state_is_refused_where_an_activation_is_read() -> None:
    def edit(model: Any) -> None:
        state = schema.TensorT()
        state.name, state.type, state.shape, state.isVariable = "state", TYPE.INT8, [1, 4], True
        state.quantization = model.subgraphs[0].tensors[0].quantization
        model.subgraphs[0].tensors.append(state)
        model.subgraphs[0].operators[0].inputs = [4, 1, 2]

    with pytest.raises(ExportError, match=r"'state' .* is state that lasts"):
        lower(Graph.read(edited(edit)))


def test_a_bias_with_the_dimension_of_its_weights() -> None:
    def edit(model: Any) -> None:
        model.subgraphs[0].tensors[2].quantization.quantizedDimension = 3

    quantization = Graph.read(edited(edit)).ops[0].inputs[2].quantization
    assert (quantization.axis, quantization.scales.tolist()) == (0, [0.125, 0.0625])


def test_a_dimension_that_is_open_in_the_signature_alone() -> None:
    def edit(model: Any) -> None:
        model.subgraphs[0].tensors[0].shapeSignature = [-1, 4]

    assert Graph.read(edited(edit)).inputs[0].shape == (1, 4)


def test_data_behind_the_flatbuffer() -> None:
    content = edited(lambda model: None)
    values = np.arange(8, dtype=np.int8)

    def edit(model: Any, offset: int) -> None:
        buffer = model.buffers[model.subgraphs[0].tensors[1].buffer]
        buffer.data, buffer.offset, buffer.size = None, offset, 8

    length = len(edited(lambda model: edit(model, 2**20)))
    moved = edited(lambda model: edit(model, length)) + values.tobytes()
    assert len(moved) == length + 8
    assert Graph.read(moved).tensors[1].data.tolist() == values.reshape(2, 4).tolist()
    assert Graph.read(content).tensors[1].data.tolist() != values.reshape(2, 4).tolist()
    with pytest.raises(ExportError, match="beyond the end of the file"):
        Graph.read(moved[:-1])


def test_subgraphs_beside_the_main_one() -> None:
    def edit(model: Any) -> None:
        model.subgraphs.append(model.subgraphs[0])

    graph = Graph.read(edited(edit))
    assert (graph.subgraphs, len(graph.ops)) == (2, 1)


def test_options_of_the_second_union() -> None:
    def edit(model: Any) -> None:
        code = model.operatorCodes[0]
        code.builtinCode, code.deprecatedBuiltinCode = schema.BuiltinOperator.STABLEHLO_IOTA, 127
        op = model.subgraphs[0].operators[0]
        op.builtinOptionsType, op.builtinOptions = 0, None
        op.builtinOptions2Type = schema.BuiltinOptions2.StablehloIotaOptions
        op.builtinOptions2 = schema.StablehloIotaOptionsT()
        op.builtinOptions2.iotaDimension = 5

    (op,) = Graph.read(edited(edit)).ops
    assert (op.name, op.options) == ("STABLEHLO_IOTA", {"iota_dimension": 5})


def test_custom_operators_keep_their_options() -> None:
    def edit(model: Any) -> None:
        code, op = model.operatorCodes[0], model.subgraphs[0].operators[0]
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.customCode = b"mine\xff"
        op.builtinOptionsType, op.builtinOptions, op.customOptions = 0, None, [1, 2, 3]

    (op,) = Graph.read(edited(edit)).ops
    assert (op.name, op.options) == ("CUSTOM mine\ufffd", {"custom_options": b"\1\2\3"})


@pytest.mark.shared
def test_every_shared_model_is_read(shared_dir) -> None:
    models = sorted((shared_dir / "models").glob("*/*.tflite"))
    assert models
    for path in models:
        assert Graph.read(path).ops
