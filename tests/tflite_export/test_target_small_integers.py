"""Weights in 4 and 2 bits: equal to the int8 file in LiteRT, and smaller."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from random_networks import random_network
from ternary_models import ternary
from tflite_builder import OpSpec, TensorSpec, build_model

from tflite_export import ExportError, Graph, pack
from tflite_export.level_refinement import unit_levels
from tflite_export.reference import Reference
from tflite_export.targets import PACK_TARGETS
from tflite_export.targets.small_integers import pack_small_integers

# Odd numbers of weights: the last byte is filled up.
_SHAPES = {
    "CONV_2D": ((3, 3, 3, 5), 0, (1, 5, 5, 5), (1, 5, 5, 3)),
    "grouped CONV_2D": ((6, 3, 3, 4), 0, (1, 5, 5, 8), (1, 5, 5, 6)),
    "DEPTHWISE_CONV_2D": ((1, 3, 3, 15), 3, (1, 6, 6, 5), (1, 6, 6, 15)),
    "FULLY_CONNECTED": ((7, 33), 0, (1, 33), (1, 7)),
}


def layer(kind: str, low: int, high: int, per_tensor: bool = False) -> bytes:
    """An operator with weights that take every value from low to high."""
    rng = np.random.default_rng(0)
    shape, axis, x, y = _SHAPES[kind]
    op = kind.split()[-1]
    weights = rng.permutation(np.resize(np.arange(low, high + 1), np.prod(shape))).reshape(shape).astype(np.int8)
    channels = shape[axis]
    scales = [0.1] if per_tensor else rng.uniform(0.05, 0.2, channels).tolist()
    bias_scale = (np.float32(0.02) * np.float32(scales)).tolist()
    tensors = [
        TensorSpec("x", x, 0.02, 3),
        TensorSpec("w", shape, scales, 0, weights, axis),
        TensorSpec("b", (channels,), bias_scale, 0, rng.integers(-99, 99, channels).astype(np.int32), dtype="int32"),
        TensorSpec("y", y, 0.4 if high > 1 else 0.1, -5),
    ]
    options = {"padding": "SAME"} if "CONV" in op else {}
    options |= {"depthMultiplier": channels // x[-1]} if op == "DEPTHWISE_CONV_2D" else {}
    return build_model(tensors, [OpSpec(op, ["x", "w", "b"], ["y"], options)], ["x"], ["y"])


def _samples(tflite: bytes, count: int) -> np.ndarray:
    width = sum(tensor.nbytes for tensor in Graph.read(tflite).inputs)
    return np.random.default_rng(1).integers(-128, 128, (count, width)).astype(np.int8)


def _check(tflite: bytes, bits: int, count: int = 10) -> np.ndarray:
    """The outputs of the packed file, which are those of the int8 file."""
    samples = _samples(tflite, count)
    outputs = PACK_TARGETS[f"int{bits}"].load(pack(tflite, f"int{bits}"))(samples)
    np.testing.assert_array_equal(outputs, Reference(tflite)(samples))
    return outputs


@pytest.mark.parametrize("per_tensor", [False, True])
@pytest.mark.parametrize("kind", _SHAPES)
def test_all_values_of_four_bits(kind: str, per_tensor: bool) -> None:
    tflite = layer(kind, -8, 7, per_tensor)
    packed = pack_small_integers(tflite, 4)
    assert packed.formats == {1: "int4"}
    assert packed.notes == ()
    assert len(np.unique(_check(tflite, 4))) > 20


@pytest.mark.parametrize("per_tensor", [False, True])
def test_all_values_of_two_bits(per_tensor: bool) -> None:
    tflite = layer("FULLY_CONNECTED", -2, 1, per_tensor)
    assert pack_small_integers(tflite, 2).formats == {1: "int2"}
    assert len(np.unique(_check(tflite, 2))) > 20


@pytest.mark.parametrize(("low", "high", "bits"), [(-9, 7, 4), (-8, 8, 4), (-3, 1, 2), (-2, 2, 2)])
def test_one_value_too_many(low: int, high: int, bits: int) -> None:
    tflite = layer("FULLY_CONNECTED", low, high)
    packed = pack_small_integers(tflite, bits)
    assert packed.tflite == tflite
    assert f"from {low} to {high}, int{bits} holds" in packed.notes[0]


def test_an_operand_of_another_operator_stays_int8() -> None:
    """ADD reads the weights as well, and would read other bytes."""
    data = np.arange(-4, 5, dtype=np.int8).reshape(3, 3)
    tensors = [
        TensorSpec("x", (1, 3), 0.1, 0),
        TensorSpec("w", (3, 3), 0.1, 0, data),
        TensorSpec("b", (3,), 0.01, 0, np.zeros(3, np.int32), dtype="int32"),
        TensorSpec("y", (1, 3), 0.05, 0),
        TensorSpec("z", (3, 3), 0.1, 0),
    ]
    ops = [OpSpec("FULLY_CONNECTED", ["x", "w", "b"], ["y"]), OpSpec("ADD", ["y", "w"], ["z"])]
    tflite = build_model(tensors, ops, ["x"], ["z"])
    packed = pack_small_integers(tflite, 4)
    assert packed.tflite == tflite
    assert "LiteRT's ADD does not take int4" in packed.notes[0]


def test_random_networks() -> None:
    """With their one-magnitude channels made -1, 0, 1; some tensors fit then, others hold other channels."""
    formats: list[str] = []
    for seed in range(40):
        tflite = unit_levels(random_network(seed, edges=False))
        for bits in (4, 2):
            packed = pack_small_integers(tflite, bits)
            formats += packed.formats.values()
            if packed.tflite != tflite:
                _check(tflite, bits, 3)
    assert formats.count("int4") > 20
    assert formats.count("int2") > 5
    assert formats.count("int8") > 20


@pytest.mark.shared
@pytest.mark.parametrize("model", ["ic_pretrainedResnet_quant", "kws_ref_model"])
def test_ternary_weights_of_real_networks(model: str, shared_dir: Path) -> None:
    tflite = ternary((shared_dir / "models" / "mlperf_tiny" / f"{model}.tflite").read_bytes())
    with_units = unit_levels(tflite)
    packed = pack_small_integers(with_units, 4)
    dense = {op.inputs[1].index for op in Graph.read(tflite).ops if op.name == "FULLY_CONNECTED"}
    # which have one scale for all channels in these files, and keep their levels
    assert {index for index, kind in packed.formats.items() if kind == "int8"} == dense
    assert len(packed.tflite) < len(with_units)
    assert len(np.unique(_check(with_units, 4, 20), axis=0)) > 3


def test_what_is_no_tflite_file_is_refused() -> None:
    for target in ("int4", "int2"):
        with pytest.raises(ExportError):
            pack(b"no model", target)
