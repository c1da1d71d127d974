"""Shapes that a file computes while it runs: what is folded, what stays, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from tflite_builder import OpSpec, TensorSpec, build_model

from tflite_export import ExportError, Graph, export
from tflite_export.host import HostModel
from tflite_export.lowering import lower
from tflite_export.reference import Reference

_SLICE = {"shrinkAxisMask": 1}


def _flatten(begin: int = 0, axis: int = 0, joined: tuple[str, ...] = ("batch", "rest"), length: int = 2) -> bytes:
    """What Keras' Flatten converts to where the batch is open."""

    def constant(name: str, *values: int) -> TensorSpec:
        return TensorSpec(name, (len(values),), dtype="int32", data=np.array(values, np.int32))

    tensors = [
        TensorSpec("x", (1, 2, 3, 2), 0.5, 3),
        TensorSpec("y", (1, 12), 0.5, 3),
        TensorSpec("shape", (4,), dtype="int32"),
        TensorSpec("batch", (), dtype="int32"),
        TensorSpec("rest", (), dtype="int32", data=np.array(-1, np.int32)),
        TensorSpec("wanted", (length,), dtype="int32"),
        *(constant("begin", begin), constant("end", begin + 1), constant("strides", 1)),
    ]
    ops = [
        OpSpec("SHAPE", ["x"], ["shape"]),
        OpSpec("STRIDED_SLICE", ["shape", "begin", "end", "strides"], ["batch"], _SLICE),
        OpSpec("PACK", list(joined), ["wanted"], {"valuesCount": len(joined), "axis": axis}),
        OpSpec("RESHAPE", ["x", "wanted"], ["y"]),
    ]
    return build_model(tensors, ops, ["x"], ["y"])


def test_a_flatten_of_an_open_batch_is_a_copy(tmp_path: Path) -> None:
    model = _flatten()
    assert [call.op.name for call in lower(Graph.read(model))] == ["RESHAPE"]
    samples = np.random.default_rng(0).integers(-128, 128, (4, 12)).astype(np.int8)
    outputs = HostModel(export(model, tmp_path, cores=()))(samples)
    np.testing.assert_array_equal(outputs, Reference(model)(samples))
    np.testing.assert_array_equal(outputs, samples)


def test_another_batch_than_one_is_refused() -> None:
    with pytest.raises(ExportError) as caught:
        lower(Graph.read(_flatten(begin=1)))
    assert "op 3 RESHAPE 'y': tensor 1 'y' (int8 1x12) should have the shape (2, 6)" in str(caught.value)
    assert "the file's batch is open, which may be why: tflite_export.convert fixes it at 1" in str(caught.value)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (_flatten(begin=4), "op 1 STRIDED_SLICE 'batch'.* has no such slice"),
        (_flatten(axis=2), "op 2 PACK 'wanted'.* cannot be joined along dimension 2"),
        (_flatten(length=3), "op 2 PACK 'wanted'.* should have 2 elements"),
    ],
)
def test_what_does_not_fit_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        lower(Graph.read(model))
