"""Files with look-up tables: equal to the int8 file in TFLM's own interpreter, and smaller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lstm_specs import lstm_specs
from random_networks import random_network
from ternary_models import ternary
from tflite_builder import OpSpec, TensorSpec, build_model

from tflite_export import ExportError, Graph, export, verify
from tflite_export.reference import reference_of
from tflite_export.reference_tflm import TflmReference
from tflite_export.targets import PACK_TARGETS
from tflite_export.targets.tflm import pack_tflm, table_bits


@pytest.fixture(autouse=True)
def _tflm(require_module: Callable[..., None]) -> None:
    require_module("tflite_micro")


def layer(op: str, levels: list[int], seed: int = 0, per_tensor: bool = False) -> bytes:
    """An operator with some thousand weights of a few levels."""
    rng = np.random.default_rng(seed)
    shape, axis, x, y = {
        "CONV_2D": ((24, 3, 3, 64), 0, (1, 5, 5, 64), (1, 5, 5, 24)),
        "DEPTHWISE_CONV_2D": ((1, 9, 9, 96), 3, (1, 6, 6, 96), (1, 6, 6, 96)),
        "FULLY_CONNECTED": ((48, 96), 0, (1, 96), (1, 48)),
    }[op]
    weights = rng.choice(levels, shape).astype(np.int8)
    channels = shape[axis]
    scales = [0.01] if per_tensor else rng.uniform(0.005, 0.02, channels).tolist()
    bias_scale = (np.float32(0.02) * np.float32(scales)).tolist()
    tensors = [
        TensorSpec("x", x, 0.02, 3),
        TensorSpec("w", shape, scales, 0, weights, axis),
        TensorSpec("b", (channels,), bias_scale, 0, rng.integers(-999, 999, channels).astype(np.int32), dtype="int32"),
        TensorSpec("y", y, 0.6, -5),
    ]
    options = {} if op == "FULLY_CONNECTED" else {"padding": "SAME"}
    return build_model(tensors, [OpSpec(op, ["x", "w", "b"], ["y"], options)], ["x"], ["y"])


@pytest.mark.parametrize("op", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
@pytest.mark.parametrize(
    ("levels", "bits"),
    [([-127, 127], 1), ([-127, 0, 90], 2), ([-127, -60, 0, 60, 127], 3), (list(range(-66, 66, 11)), 4)],
)
def test_tables_equal_the_int8_file(op: str, levels: list[int], bits: int) -> None:
    per_tensor = op == "FULLY_CONNECTED"  # which TFLM's kernels want
    model = layer(op, levels, per_tensor=per_tensor)
    packed = pack_tflm(model)
    assert packed.formats == {1: f"{bits}-bit table"}
    assert len(packed.tflite) < len(model)
    assert packed.tflite == pack_tflm(model).tflite
    samples = np.random.default_rng(1).integers(-128, 128, (20, Graph.read(model).inputs[0].size)).astype(np.int8)
    outputs = PACK_TARGETS["tflm"].load(packed.tflite)(samples)
    np.testing.assert_array_equal(outputs, TflmReference(model)(samples))
    assert len(np.unique(outputs)) > 20


def test_what_stays_int8_is_told() -> None:
    many = layer("CONV_2D", list(range(-100, 100)))
    packed = pack_tflm(many)
    assert packed.tflite == many
    assert "keeps tensor 1 'w' (int8 24x3x3x64) as it is: more than 16 values a channel" in packed.notes[0]
    small = random_network(5, edges=False)
    notes = " ".join(pack_tflm(small).notes)
    assert "with a table the file would take" in notes


@pytest.mark.parametrize("seed", [0, 2, 3, 4, 6, 7])
def test_random_networks(seed: int) -> None:
    """Most of their tensors are too small to gain; what is packed equals the file in the same interpreter."""
    model = random_network(seed, edges=False)
    graph = Graph.read(model)
    packed = pack_tflm(model)
    assert len(packed.tflite) <= len(model)
    samples = np.random.default_rng(1).integers(-128, 128, (3, sum(t.nbytes for t in graph.inputs))).astype(np.int8)
    np.testing.assert_array_equal(TflmReference(packed.tflite)(samples), TflmReference(model)(samples))


@pytest.mark.shared
@pytest.mark.parametrize("model", ["ic_pretrainedResnet_quant", "kws_ref_model", "ad01_int8"])
def test_real_networks(model: str, shared_dir: Path) -> None:
    """One of them names its operators in the way of old converters alone."""
    tflite = ternary((shared_dir / "models" / "mlperf_tiny" / f"{model}.tflite").read_bytes())
    packed = pack_tflm(tflite)
    assert len(packed.tflite) < 0.9 * len(tflite)
    width = sum(tensor.nbytes for tensor in Graph.read(tflite).inputs)
    samples = np.random.default_rng(1).integers(-128, 128, (20, width)).astype(np.int8)
    outputs = TflmReference(packed.tflite)(samples)
    np.testing.assert_array_equal(outputs, TflmReference(tflite)(samples))
    assert len(np.unique(outputs, axis=0)) > 3


def test_weights_that_two_operators_share() -> None:
    rng = np.random.default_rng(0)
    tensors = [
        TensorSpec("x", (1, 64), 0.1, 0),
        TensorSpec("w", (64, 64), 0.01, 0, rng.choice([-127, 0, 127], (64, 64)).astype(np.int8)),
        TensorSpec("h", (1, 64), 1.0, 0),
        TensorSpec("y", (1, 64), 9.0, 0),
    ]
    ops = [OpSpec("FULLY_CONNECTED", ["x", "w"], ["h"]), OpSpec("FULLY_CONNECTED", ["h", "w"], ["y"])]
    model = build_model(tensors, ops, ["x"], ["y"])
    packed = pack_tflm(model)
    assert packed.formats == {1: "2-bit table"}
    samples = rng.integers(-128, 128, (10, 64)).astype(np.int8)
    np.testing.assert_array_equal(TflmReference(packed.tflite)(samples), TflmReference(model)(samples))


def test_an_lstm() -> None:
    rng = np.random.default_rng(0)
    x = TensorSpec("x", (1, 5, 40), 0.02, 3)
    tensors, op = lstm_specs(rng, x, "y", 48)
    tensors = [
        replace(t, data=rng.choice([-127, 0, 127], t.shape).astype(np.int8)) if t.name in op.inputs[1:9] else t
        for t in tensors
    ]
    model = build_model([x, *tensors], [op], ["x"], ["y"])
    packed = pack_tflm(model)
    assert list(packed.formats.values()) == ["2-bit table"] * 8
    assert len(packed.tflite) < 0.5 * len(model)
    samples = rng.integers(-128, 128, (10, 200)).astype(np.int8)
    np.testing.assert_array_equal(TflmReference(packed.tflite)(samples), TflmReference(model)(samples))


def test_an_export_verifies_it(tmp_path: Path) -> None:
    report = export(layer("CONV_2D", [-127, 0, 127]), tmp_path, targets=("tflm", "c"), cores=())
    assert "model_tflm.tflite" in report.files
    samples = np.random.default_rng(0).uniform(-2, 2, (10, 5, 5, 64)).astype(np.float32)
    outcome = verify(report, samples)
    assert outcome.ok
    assert [check.artefact for check in outcome.checks] == [
        "int8 in LiteRT's reference kernels",
        "tflm in TFLM, against int8 there",
        "C on the host",
    ]


def test_a_table_per_slice_of_the_scales() -> None:
    """Five values in the tensor, three in each channel."""
    weights = np.array([[-127, 0, 127, 0], [-90, 0, 127, 0]], np.int8)
    model = build_model(
        [
            TensorSpec("x", (1, 4), 0.1, 0),
            TensorSpec("w", (2, 4), [0.1, 0.2], 0, weights),
            TensorSpec("y", (1, 2), 0.1, 0),
        ],
        [OpSpec("FULLY_CONNECTED", ["x", "w"], ["y"])],
        ["x"],
        ["y"],
    )
    assert table_bits(Graph.read(model).tensors[1]) == 2


def test_tflm_takes_what_litert_refuses(shared_dir: Path) -> None:
    model = (shared_dir / "models" / "tflm" / "person_detect.tflite").read_bytes()
    reference = reference_of(model)
    assert isinstance(reference, TflmReference)
    image = np.fromfile(shared_dir / "models" / "tflm" / "person.bmp", np.int8, offset=1078).reshape(96, 96)[::-1]
    assert reference(image.reshape(1, -1)).tolist() == [[-113, 113]]


def _bias_along_dimension_3() -> bytes:
    """As older converters wrote it: LiteRT refuses it, TFLM does not mind."""
    scales = [0.01, 0.02]
    tensors = [
        TensorSpec("x", (1, 4, 4, 3), 0.1, 0),
        TensorSpec("w", (2, 1, 1, 3), scales, 0, np.arange(-3, 3, dtype=np.int8).reshape(2, 1, 1, 3)),
        TensorSpec("b", (2,), [0.001, 0.002], 0, np.array([5, -7], np.int32), 3, dtype="int32"),
        TensorSpec("y", (1, 4, 4, 2), 0.01, 0),
    ]
    return build_model(tensors, [OpSpec("CONV_2D", ["x", "w", "b"], ["y"])], ["x"], ["y"])


def test_verification_falls_back_on_tflm(tmp_path: Path) -> None:
    report = export(_bias_along_dimension_3(), tmp_path, cores=())
    outcome = verify(report, np.random.default_rng(0).normal(size=(10, 4, 4, 3)).astype(np.float32))
    assert outcome.ok
    assert outcome.checks[0].artefact == "int8 in TFLM's reference kernels"


def test_without_tflm_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tflite_export.reference.is_installed", lambda: False)
    monkeypatch.setattr("tflite_export.targets.tflm.is_installed", lambda: False)
    with pytest.raises(ExportError, match=r"LiteRT refuses the model.*pip install tern-keras\[tflm\]"):
        reference_of(_bias_along_dimension_3())
    with pytest.raises(ExportError, match=r"pip install tern-keras\[tflm\]"):
        pack_tflm(_bias_along_dimension_3())
