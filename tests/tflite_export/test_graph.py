import numpy as np
import pytest
from random_networks import random_network
from tflite_builder import OpSpec, TensorSpec, build_model

from tflite_export import ExportError, Graph


@pytest.fixture
def dense() -> bytes:
    return build_model(
        [
            TensorSpec("x", (1, 4), 0.5, 3),
            TensorSpec("w", (2, 4), (0.25, 0.125), (0, 0), np.arange(8, dtype=np.int8).reshape(2, 4)),
            TensorSpec("y", (1, 2), 0.75, -5),
        ],
        [OpSpec("FULLY_CONNECTED", ["x", "w", ""], ["y"], {"fusedActivationFunction": "RELU"})],
        ["x"],
        ["y"],
    )


def test_reads_tensors_ops_and_options(dense: bytes) -> None:
    graph = Graph.read(dense)
    (op,) = graph.ops
    assert (op.name, op.index) == ("FULLY_CONNECTED", 0)
    assert op.options["fused_activation_function"] == "RELU"
    assert op.options["keep_num_dims"] is False
    x, weights, bias = op.inputs
    assert bias is None
    assert (x.name, x.shape, x.dtype, x.scale, x.zero_point, x.data) == ("x", (1, 4), "int8", 0.5, 3, None)
    assert weights.data.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert weights.quantization.scales.tolist() == [0.25, 0.125]
    assert (graph.inputs, graph.outputs) == ((x,), op.outputs)


def test_reads_from_a_path(dense: bytes, tmp_path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(dense)
    assert [op.name for op in Graph.read(path).ops] == ["FULLY_CONNECTED"]


def test_per_channel_tensor_has_no_single_scale(dense: bytes) -> None:
    weights = Graph.read(dense).ops[0].inputs[1]
    with pytest.raises(ExportError, match=r"tensor 1 'w' .* one scale"):
        _ = weights.scale


def test_missing_file(tmp_path) -> None:
    with pytest.raises(ExportError, match="No such file"):
        Graph.read(tmp_path / "absent.tflite")


@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"PK\x03\x04 a zip file", b"\x1c\0\0\0TFL4" + b"\0" * 50])
def test_not_a_tflite_file(content: bytes) -> None:
    with pytest.raises(ExportError, match=r"not a \.tflite file"):
        Graph.read(content)


def test_every_truncation_is_refused(dense: bytes) -> None:
    for length in range(8, len(dense) - 8, 4):
        with pytest.raises(ExportError):
            Graph.read(dense[:length])


def test_damage_is_an_export_error_or_a_graph() -> None:
    rng = np.random.default_rng(0)
    content = random_network(3)
    refused = 0
    for _ in range(300):
        damaged = bytearray(content)
        for position in rng.integers(8, len(content), 3):
            damaged[position] = rng.integers(256)
        try:
            Graph.read(bytes(damaged))
        except ExportError:
            refused += 1
    assert refused > 0


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (TensorSpec("x", (1, 4), float("nan")), "not a positive finite"),
        (TensorSpec("x", (1, 4), 0.0), "not a positive finite"),
        (TensorSpec("x", (1, 0), 0.5), "fixed input shape"),
        (TensorSpec("x", (1, 4), (0.5, 0.5), (0, 0)), "2 scales along dimension 0"),
    ],
)
def test_absurd_tensors_are_named(tensor: TensorSpec, message: str) -> None:
    model = build_model(
        [tensor, TensorSpec("y", (1, 4), 1 / 256, -128)], [OpSpec("SOFTMAX", ["x"], ["y"])], ["x"], ["y"]
    )
    with pytest.raises(ExportError, match=f"tensor 0 'x'.*{message}"):
        Graph.read(model)


def test_tensor_that_nothing_computes() -> None:
    specs = [TensorSpec(name, (1, 4), 1 / 256, -128) for name in "xyz"]
    model = build_model(specs, [OpSpec("SOFTMAX", ["z"], ["y"])], ["x"], ["y"])
    with pytest.raises(ExportError, match=r"op 0 SOFTMAX 'y' reads tensor 2 'z'"):
        Graph.read(model)
