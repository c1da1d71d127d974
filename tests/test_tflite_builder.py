"""The reference interpreter accepts and runs a model of every operator that the builder knows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tflite_builder import OpSpec, TensorSpec, build_model, run_reference

IMAGE = np.arange(-32, 32, dtype=np.int8).reshape(1, 4, 4, 4)


def tensor(name: str, shape: tuple[int, ...], data: Any = None, dtype: str = "int8") -> TensorSpec:
    return TensorSpec(name, shape, 1.0, 0, None if data is None else np.broadcast_to(data, shape), dtype=dtype)


def axes(*values: int) -> TensorSpec:
    return TensorSpec("axes", (len(values),), data=np.array(values), dtype="int32")


# name: constants, shape of the output, options, expected output of IMAGE
CASES: dict[str, Any] = {
    "CONV_2D": ([tensor("w", (1, 1, 1, 4), 1), tensor("b", (1,), 5, "int32")], (1, 4, 4, 1), {},
                np.clip(IMAGE.sum(-1, keepdims=True, dtype=int) + 5, -128, 127)),
    "DEPTHWISE_CONV_2D": ([tensor("w", (1, 1, 1, 4), 2), tensor("b", (4,), 1, "int32")], (1, 4, 4, 4), {},
                          2 * IMAGE.astype(int) + 1),
    "FULLY_CONNECTED": ([tensor("w", (2, 4), 1), tensor("b", (2,), 0, "int32")], (1, 4, 4, 2),
                        {"keepNumDims": True},
                        np.clip(IMAGE.sum(-1, keepdims=True, dtype=int).repeat(2, -1), -128, 127)),
    "MAX_POOL_2D": ([], (1, 1, 1, 4), {"filterHeight": 4, "filterWidth": 4}, IMAGE.max((1, 2), keepdims=True)),
    "AVERAGE_POOL_2D": ([], (1, 1, 1, 4), {"filterHeight": 4, "filterWidth": 4}, [[[[-2, -1, 0, 1]]]]),
    "MEAN": ([axes(1, 2)], (1, 4), {}, [[-2, -1, 0, 1]]),
    "ADD": ([tensor("w", (4,), [1, 2, 3, 4])], (1, 4, 4, 4), {"fusedActivationFunction": "RELU"},
            np.maximum(IMAGE.astype(int) + np.arange(1, 5), 0)),
    "RESHAPE": ([TensorSpec("s", (2,), data=np.array([1, 64]), dtype="int32")], (1, 64), {}, IMAGE.reshape(1, 64)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_reference_runs_it(name: str) -> None:
    constants, shape, options, expected = CASES[name]
    op = OpSpec(name, ["x", *(c.name for c in constants)], ["y"], options)
    model = build_model([tensor("x", IMAGE.shape), *constants, tensor("y", shape)], [op], ["x"], ["y"])
    (output,) = run_reference(model, IMAGE)
    np.testing.assert_array_equal(output, expected)


def test_softmax() -> None:
    tensors = [TensorSpec("x", (1, 4), 0.1, 3), TensorSpec("y", (1, 4), 1 / 256, -128)]
    model = build_model(tensors, [OpSpec("SOFTMAX", ["x"], ["y"])], ["x"], ["y"])
    assert run_reference(model, np.full((1, 4), 3, np.int8))[0].tolist() == [[-64] * 4]


def test_chain_with_per_channel_scales() -> None:
    weights = TensorSpec("w", (2, 1, 1, 1), [0.5, 0.25], [0, 0], np.full((2, 1, 1, 1), 4), dtype="int8")
    bias = TensorSpec("b", (2,), [0.5, 0.25], [0, 0], np.zeros(2), dtype="int32")
    ops = [OpSpec("CONV_2D", ["x", "w", "b"], ["y"]), OpSpec("RESHAPE", ["y", "s"], ["z"])]
    shape = TensorSpec("s", (2,), data=np.array([1, 2]), dtype="int32")
    tensors = [tensor("x", (1, 1, 1, 1)), weights, bias, shape, tensor("y", (1, 1, 1, 2)), tensor("z", (1, 2))]
    model = build_model(tensors, ops, ["x"], ["z"])
    assert run_reference(model, np.full((1, 1, 1, 1), 10, np.int8))[0].tolist() == [[20, 10]]


def test_constant_of_another_shape_is_named() -> None:
    with pytest.raises(ValueError, match=r"'w'.*\(3,\).*\(2,\)"):
        build_model([TensorSpec("w", (2,), data=np.zeros(3))], [], [], [])
