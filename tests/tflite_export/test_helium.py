"""Kernels for Helium, on the emulated Cortex-M55 and in plain C on the host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tflite_builder import OpSpec, TensorSpec, build_model

from tflite_export import ExportReport, Graph, export
from tflite_export.boards import CORES, get_board
from tflite_export.core_sizes import measure_core
from tflite_export.emulator import run_firmware
from tflite_export.firmware import build_firmware
from tflite_export.host import HostModel, c_sources, include_dirs
from tflite_export.lowering import lower
from tflite_export.reference import Reference
from tflite_export.running import model_interface

BOARD = "mps3-an547"
# A layer: output channels, kernel, stride, padding, levels of its channels in turn (None: any int8).
Layer = tuple[int, int, int, str, tuple[tuple[int, ...], ...] | None]
NETWORKS: dict[str, tuple[tuple[int, int, int], tuple[Layer, ...]]] = {
    "wide": (
        (9, 8, 3),
        (
            (16, 3, 1, "SAME", None),
            (16, 3, 1, "SAME", ((-100, 0, 100), (-30, 0, 77), (-128, 0, -127))),
            (32, 3, 2, "SAME", ((-100, 0, 100),)),
            (32, 1, 1, "VALID", ((-128, 0, 127),)),
            (64, 1, 2, "VALID", ((-100, 0, 100),)),
            (12, 2, 1, "SAME", ((-100, 100),)),
        ),
    ),
    "odd": (
        (7, 5, 17),
        (
            (5, 1, 1, "VALID", ((-90, 0, 90),)),
            (33, 5, 1, "SAME", ((-90, 0, 90), (0, 0, 70))),
            (6, 3, 1, "SAME", ((-90, 90), (-128, 127))),
            (7, 2, 1, "VALID", None),
            (3, 3, 2, "SAME", ((-128, 0, 1),)),
            (16, 1, 1, "VALID", None),
            (2, 1, 1, "VALID", ((-90, 0, 90),)),
        ),
    ),
    "small": (
        (2, 2, 16),
        (
            (16, 2, 2, "VALID", ((-90, 0, 90),)),
            (16, 1, 1, "VALID", ((-90, 0, 90),)),
            (1, 1, 1, "VALID", None),
        ),
    ),
}


# Fully connected layers: outputs, and levels as above; the first one has 150 inputs.
CONNECTED: tuple[tuple[int, tuple[tuple[int, ...], ...] | None], ...] = (
    (64, ((-100, 0, 100), (0, 0, 70), (-128, 0, 0))),
    (33, ((-100, 0, 100), (-128, 0, 127))),
    (48, ((-100, 100),)),
    (17, None),
    (6, ((-128, 127),)),
    (10, ((-90, 0, 90),)),
)


def _connected() -> bytes:
    rng = np.random.default_rng(0)
    inputs = 150
    tensors, ops = [TensorSpec("x0", (1, inputs), 0.05, 3)], []
    for i, (outputs, levels) in enumerate(CONNECTED):
        weights = rng.integers(-128, 128, (outputs, inputs))
        if levels is not None:
            weights = np.array([rng.choice(levels[c % len(levels)], inputs) for c in range(outputs)])
        scale = 1 / (80 * np.sqrt(inputs))
        bias = rng.integers(-500, 500, outputs).astype(np.int32)
        tensors += [
            TensorSpec(f"w{i}", (outputs, inputs), scale, 0, weights.astype(np.int8)),
            TensorSpec(f"b{i}", (outputs,), 0.05 * scale, 0, bias, dtype="int32"),
            TensorSpec(f"x{i + 1}", (1, outputs), 0.05, int(rng.integers(-20, 20))),
        ]
        ops.append(OpSpec("FULLY_CONNECTED", [f"x{i}", f"w{i}", f"b{i}"], [f"x{i + 1}"]))
        inputs = outputs
    return build_model(tensors, ops, ["x0"], [f"x{len(CONNECTED)}"])


# Depthwise layers of 40 channels: kernel, stride, dilation, padding, levels.
DEPTHWISE: tuple[tuple[tuple[int, int], int, int, str, tuple[int, ...] | None], ...] = (
    ((3, 3), 1, 1, "SAME", None),
    ((3, 3), 1, 1, "SAME", (-128, 0, 127)),
    ((5, 5), 1, 1, "SAME", None),
    ((2, 3), 1, 2, "SAME", (-100, 100)),
    ((3, 1), 2, 1, "SAME", None),
    ((2, 2), 1, 1, "VALID", (-100, 0, 100)),
)


def _depthwise() -> bytes:
    rng = np.random.default_rng(0)
    height, width, channels = 9, 7, 40
    tensors, ops = [TensorSpec("x0", (1, height, width, channels), 0.05, 3)], []
    for i, (size, stride, dilation, padding, levels) in enumerate(DEPTHWISE):
        shape = (1, *size, channels)
        weights = rng.integers(-128, 128, shape) if levels is None else rng.choice(levels, shape)
        scales = (rng.uniform(0.5, 1.5, channels) / (80 * np.sqrt(size[0] * size[1]))).tolist()
        bias = rng.integers(-500, 500, channels).astype(np.int32)
        reach = [0 if padding == "SAME" else dilation * (taps - 1) for taps in size]
        height, width = -(-(height - reach[0]) // stride), -(-(width - reach[1]) // stride)
        tensors += [
            TensorSpec(f"w{i}", shape, scales, [0] * channels, weights.astype(np.int8), 3),
            TensorSpec(f"b{i}", (channels,), [0.05 * scale for scale in scales], [0] * channels, bias, dtype="int32"),
            TensorSpec(f"x{i + 1}", (1, height, width, channels), 0.05, int(rng.integers(-20, 20))),
        ]
        options = {"padding": padding, "strideH": stride, "strideW": stride, "depthMultiplier": 1}
        options |= {"dilationHFactor": dilation, "dilationWFactor": dilation}
        ops.append(OpSpec("DEPTHWISE_CONV_2D", [f"x{i}", f"w{i}", f"b{i}"], [f"x{i + 1}"], options))
    return build_model(tensors, ops, ["x0"], [f"x{len(DEPTHWISE)}"])


def _network(name: str) -> bytes:
    if name == "connected":
        return _connected()
    if name == "depthwise":
        return _depthwise()
    rng = np.random.default_rng(0)
    (height, width, channels), layers = NETWORKS[name]
    tensors = [TensorSpec("x0", (1, height, width, channels), 0.05, 3)]
    ops = []
    for i, (outputs, size, stride, padding, levels) in enumerate(layers):
        shape = (outputs, size, size, channels)
        weights = rng.integers(-128, 128, shape)
        if levels is not None:
            weights = np.array([rng.choice(levels[c % len(levels)], shape[1:]) for c in range(outputs)])
        scales = (rng.uniform(0.5, 1.5, outputs) / (80 * np.sqrt(size * size * channels))).tolist()
        bias = rng.integers(-500, 500, outputs).astype(np.int32)
        reach = 0 if padding == "SAME" else size - 1
        height, width, channels = -(-(height - reach) // stride), -(-(width - reach) // stride), outputs
        tensors += [
            TensorSpec(f"w{i}", shape, scales, [0] * outputs, weights.astype(np.int8)),
            TensorSpec(f"b{i}", (outputs,), [0.05 * scale for scale in scales], [0] * outputs, bias, dtype="int32"),
            TensorSpec(f"x{i + 1}", (1, height, width, channels), 0.05, int(rng.integers(-20, 20))),
        ]
        options = {"padding": padding, "strideH": stride, "strideW": stride}
        ops.append(OpSpec("CONV_2D", [f"x{i}", f"w{i}", f"b{i}"], [f"x{i + 1}"], options))
    return build_model(tensors, ops, ["x0"], [f"x{len(layers)}"])


def _samples(report: ExportReport) -> np.ndarray:
    (shape,) = (tensor.shape for tensor in report.inputs)
    size = int(np.prod(shape))
    extremes = np.repeat(np.array([[-128], [127]], np.int8), size, axis=1)
    return np.concatenate([extremes, np.random.default_rng(1).integers(-128, 128, (3, size)).astype(np.int8)])


@pytest.fixture
def vectors_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of kernels without estimates the first is taken, even for layers that are too small for it."""
    monkeypatch.setattr("tflite_export.lowering.choice.estimated_cycles", lambda call, core: None)


@pytest.mark.usefixtures("vectors_everywhere")
@pytest.mark.parametrize("name", [*NETWORKS, "connected", "depthwise"])
def test_the_host_equals_the_reference(name: str, tmp_path: Path) -> None:
    report = export(_network(name), tmp_path, core="cortex-m55", cores=())
    kernel = {"connected": "fully_connected", "depthwise": "depthwise_conv2d"}.get(name, "conv2d")
    assert {layer.kernel for layer in report.layers} == {f"tern_{kernel}_vectors"}
    samples = _samples(report)
    expected = Reference(report.tflite_path.read_bytes())(samples)
    assert len(np.unique(expected)) > 2, "a network that says nothing"
    np.testing.assert_array_equal(HostModel(report)(samples), expected)


@pytest.mark.usefixtures("vectors_everywhere")
@pytest.mark.emulator
@pytest.mark.parametrize("compiler", ["gcc", "zig"])
@pytest.mark.parametrize("name", [*NETWORKS, "connected", "depthwise"])
def test_helium_equals_the_reference(
    name: str, compiler: str, tmp_path: Path, require_board: Callable[[str], None]
) -> None:
    require_board(BOARD)
    report = export(_network(name), tmp_path, core="cortex-m55", cores=())
    image = build_firmware(
        c_sources(report), include_dirs(report), get_board(BOARD), model_interface(report), tmp_path / "n.elf", compiler
    )
    samples = _samples(report)
    expected = Reference(report.tflite_path.read_bytes())(samples)
    np.testing.assert_array_equal(run_firmware(image, samples).outputs, expected)


@pytest.mark.usefixtures("vectors_everywhere")
@pytest.mark.parametrize("compiler", ["gcc", "zig"])
@pytest.mark.parametrize("name", [*NETWORKS, "connected", "depthwise"])
def test_the_stack_has_a_bound(name: str, compiler: str, tmp_path: Path, require_tool: Callable[..., None]) -> None:
    if compiler == "gcc":
        require_tool(CORES["cortex-m55"].gcc[0])
    report = export(_network(name), tmp_path, core="cortex-m55", cores=())
    files = {file: (tmp_path / file).read_text() for file in (f"{report.name}.c", f"{report.name}.h")}
    found = measure_core(files, report.name, "cortex-m55", compiler)
    assert found.stack_bytes is not None, found.stack_note
    assert 150 < found.stack_bytes < 600
    assert 1000 < found.code_bytes < 4500


def test_helium_is_for_cores_that_have_it() -> None:
    for name in ("wide", "connected", "depthwise"):
        for core in ("cortex-m4", "cortex-m7", "rv32imac"):
            calls = lower(Graph.read(_network(name)), core=core)
            assert not any("vectors" in call.function for call in calls)


def test_the_report_says_why(tmp_path: Path) -> None:
    report = export(_network("small"), tmp_path, core="cortex-m55", cores=())
    assert any("; in vectors, for Helium; about " in layer.reason for layer in report.layers)
    for layer in report.layers:
        assert "cycles on a cortex-m55" in layer.reason


def test_little_memory_means_smaller_blocks_and_then_another_kernel(tmp_path: Path) -> None:
    (fast, *_) = lower(Graph.read(_network("wide")), core="cortex-m55")[1:]
    smaller, *_, slow = fast.alternatives
    assert (smaller.function, slow.function) == ("tern_conv2d_vectors", "tern_conv2d_ternary_ref")
    assert fast.scratch_bytes > smaller.scratch_bytes > slow.scratch_bytes == 0
    kernels = set()
    for limit in (12_000, 4_000, 2_304):
        report = export(_network("wide"), tmp_path, core="cortex-m55", cores=(), arena_limit=limit)
        kernels |= {layer.kernel for layer in report.layers}
        samples = _samples(report)
        np.testing.assert_array_equal(HostModel(report)(samples), Reference(report.tflite_path.read_bytes())(samples))
    assert {"tern_conv2d_vectors", "tern_conv2d_ternary_ref"} <= kernels
