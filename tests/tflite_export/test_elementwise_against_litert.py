"""Operators of one and two tensors: the generated C against LiteRT, on every byte and on many scales."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from network_program import NetworkProgram
from tflite_builder import OpSpec, TensorSpec, build_model

from tflite_export import ExportError, Graph
from tflite_export.lowering import lower
from tflite_export.reference import Reference

UNARY = (
    "ABS",
    "EXP",
    "GELU",
    "HARD_SWISH",
    "LEAKY_RELU",
    "LOG",
    "LOGISTIC",
    "QUANTIZE",
    "RELU",
    "RELU6",
    "RELU_0_TO_1",
    "RELU_N1_TO_1",
    "TANH",
)
BINARY = ("ADD", "SUB", "SQUARED_DIFFERENCE", "MUL", "MAXIMUM", "MINIMUM", "PRELU")
# The functions whose output has one fixed quantisation.
_FIXED = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}


def unary(op: str, seed: int) -> bytes:
    """A model of one operator on all 256 bytes, with scales over many orders of magnitude."""
    rng = np.random.default_rng(seed)
    scale, zero_point = float(2.0 ** rng.uniform(-9, 0)), int(rng.integers(-128, 128))
    wanted = _FIXED.get(op, (float(scale * 2.0 ** rng.uniform(-0.5, 2)), int(rng.integers(-128, 128))))
    if op == "TANH" and seed % 2:
        wanted = (float(2.0 ** rng.uniform(-9, -5)), int(rng.integers(-128, 128)))
    if op == "EXP":
        scale = float(2.0 ** rng.uniform(-9, -3.5))
        wanted = (float(np.exp(scale * (127 - zero_point)) / 2.0 ** rng.uniform(5, 9)), wanted[1])
    options: dict[str, Any] = {}
    if op == "LEAKY_RELU":
        options = {"alpha": float(rng.uniform(-0.5, 1.5))}
    if op == "GELU":
        options = {"approximate": bool(seed % 2)}
    tensors = [TensorSpec("x", (1, 256), scale, zero_point), TensorSpec("y", (1, 256), *wanted)]
    return build_model(tensors, [OpSpec(op, ["x"], ["y"], options)], ["x"], ["y"])


def binary(op: str, seed: int) -> bytes:
    """A model of one operator, with a broadcast dimension here and there, or a constant."""
    rng = np.random.default_rng(seed)
    shape = (1, 5, 4, 7)
    shapes = [shape, tuple(int(n) if rng.random() < 0.7 else 1 for n in shape)]
    if seed % 3 == 0:
        shapes[1] = shape[-1:]
    order = [0, 1] if op == "PRELU" or seed % 2 else [1, 0]
    scales = [float(2.0 ** rng.uniform(-7, -2)) for _ in range(2)]
    zero_points = rng.integers(-128, 128, 3).tolist()
    if op in ("MAXIMUM", "MINIMUM"):
        scales, zero_points = scales[:1] * 2, zero_points[:1] * 3
    out = max(scales) * float(rng.uniform(0.7, 2))
    if op in ("MUL", "PRELU"):
        out = scales[0] * scales[1] * float(2.0 ** rng.uniform(2, 8))
    if op == "SQUARED_DIFFERENCE":
        out = max(scales) ** 2 * float(2.0 ** rng.uniform(1, 9))
    if op in ("MAXIMUM", "MINIMUM"):
        out = scales[0]
    tensors = []
    for i in range(2):
        constant = i == 1 and (seed % 4 == 0 or seed % 3 == 0 or op == "PRELU")
        data = rng.integers(-128, 128, shapes[i]).astype(np.int8) if constant else None
        tensors.append(TensorSpec(f"x{i}", shapes[i], scales[i], zero_points[i], data))
    tensors.append(TensorSpec("y", shape, out, zero_points[2]))
    activation = (None, "RELU", "RELU6", "RELU_N1_TO_1")[seed % 4] if op in ("ADD", "SUB", "MUL") else None
    options = {"fusedActivationFunction": activation} if op in ("ADD", "SUB", "MUL") else {}
    inputs = [spec.name for spec in tensors[:2] if spec.data is None]
    return build_model(tensors, [OpSpec(op, [f"x{i}" for i in order], ["y"], options)], inputs, ["y"])


def reduction(op: str, axes: list[int], keep: bool) -> bytes:
    shape = (1, 4, 3, 5)
    positive = {axis % 4 for axis in axes}
    kept = tuple(1 if i in positive else n for i, n in enumerate(shape) if keep or i not in positive)
    tensors = [
        TensorSpec("x", shape, 0.05, 3),
        TensorSpec("axes", (len(axes),), data=np.array(axes, np.int32), dtype="int32"),
        TensorSpec("y", kept, 0.05, 3),
    ]
    return build_model(tensors, [OpSpec(op, ["x", "axes"], ["y"], {"keepDims": keep})], ["x"], ["y"])


def _cases() -> Iterator[tuple[str, bytes]]:
    for op in UNARY:
        yield from ((f"{op}_{seed}", unary(op, seed)) for seed in range(12))
    for op in BINARY:
        yield from ((f"{op}_{seed}", binary(op, seed)) for seed in range(12))
    for op in ("REDUCE_MAX", "REDUCE_MIN"):
        yield f"{op}_0", reduction(op, [1, 2], False)
        yield f"{op}_1", reduction(op, [-1], True)
        yield f"{op}_2", reduction(op, [1, 3], False)


CASES = dict(_cases())


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> NetworkProgram:
    return NetworkProgram(tmp_path_factory.mktemp("elementwise"), CASES)


@pytest.mark.parametrize("name", CASES)
def test_c_equals_the_reference(program: NetworkProgram, name: str) -> None:
    graph = Graph.read(CASES[name])
    width = sum(tensor.nbytes for tensor in graph.inputs)
    samples = np.random.default_rng(0).integers(-128, 128, (4, width)).astype(np.int8)
    if width == 256:
        samples[0] = np.arange(-128, 128)
    np.testing.assert_array_equal(program(name, samples), Reference(CASES[name])(samples))


@pytest.mark.parametrize("op", ["ABS", "EXP", "GELU", "LOG", "LOGISTIC", "TANH", "HARD_SWISH", "LEAKY_RELU"])
def test_tables_on_many_scales(op: str) -> None:
    """Where a rounding would differ, some scale finds it."""
    x = np.arange(-128, 128, dtype=np.int8)[None]
    for seed in range(100, 400):
        model = unary(op, seed)
        (call,) = lower(Graph.read(model))
        table = call.fields["table"].data.view(np.int8)
        np.testing.assert_array_equal(table[x.view(np.uint8)], Reference(model)(x), err_msg=f"seed {seed}")


def test_exponentials_beyond_int32_are_refused() -> None:
    """TFLite casts them to int32, which is not defined."""
    tensors = [TensorSpec("x", (1, 4), 0.5, -128), TensorSpec("y", (1, 4), 0.1, 0)]
    model = build_model(tensors, [OpSpec("EXP", ["x"], ["y"])], ["x"], ["y"])
    with pytest.raises(ExportError, match="too small for the values"):
        lower(Graph.read(model))


def test_a_logistic_of_another_scale_is_refused() -> None:
    tensors = [TensorSpec("x", (1, 4), 0.1, 0), TensorSpec("y", (1, 4), 0.01, -128)]
    model = build_model(tensors, [OpSpec("LOGISTIC", ["x"], ["y"])], ["x"], ["y"])
    with pytest.raises(ExportError, match="1/256"):
        lower(Graph.read(model))
