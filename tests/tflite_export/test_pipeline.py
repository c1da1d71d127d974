import subprocess
from pathlib import Path

import numpy as np
import pytest
from random_networks import random_network
from tflite_builder import OpSpec, TensorSpec, build_model

from tflite_export import ExportError, ExportReport, Graph, export, generate_c, run, verify
from tflite_export.c_source import check_name
from tflite_export.files import write_files
from tflite_export.host import HostModel, aligned_bytes
from tflite_export.lowering import lower
from tflite_export.memory import plan_memory
from tflite_export.pipeline import tflite_array
from tflite_export.toolchain import host_compiler

HOUSE_FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-O2")
SEEDS = range(12)


def _dense(weights: np.ndarray) -> bytes:
    outputs, inputs = weights.shape
    tensors = [
        TensorSpec("x", (1, inputs), 0.5, 3),
        TensorSpec("w", weights.shape, 0.25, 0, weights),
        TensorSpec("y", (1, outputs), 0.75, -5),
    ]
    return build_model(tensors, [OpSpec("FULLY_CONNECTED", ["x", "w", ""], ["y"])], ["x"], ["y"])


def _real(report: ExportReport, count: int = 16) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [
        (rng.integers(-128, 128, (count, *tensor.shape[1:])) - tensor.zero_point) * tensor.scale
        for tensor in report.inputs
    ]


def test_artefacts_and_report(tmp_path: Path) -> None:
    model = random_network(4)
    report = export(model, tmp_path, name="net")
    assert report.tflite_path.read_bytes() == model
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} == set(
        report.files
    )
    assert {"net.c", "net.h", "net.tflite", "net_tflite.c", "net_tflite.h", "tern/tern.h"} <= set(report.files)
    assert ExportReport.load(tmp_path) == report
    assert ExportReport.load(tmp_path / "net") == report
    assert verify(report, _real(report)).ok


def test_byte_identical(tmp_path: Path) -> None:
    for name in ("a", "b"):
        export(random_network(7), tmp_path / name)
    for path in (tmp_path / "a").rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


@pytest.mark.parametrize(
    ("levels", "weight_format", "expected_bytes", "constant_bytes"),
    [
        ([-127, 0, 127], "pairs", 8 * 64 // 4, 3 * 12),
        ([-5, 0, 9], "split", 4 * 64 // 4, 3 * 12),
        ([-127, 127], "pairs", 8 * 64 // 4, 3 * 12),
        (range(-9, 10), "int8", 4 * 64, 3 * 12),
    ],
)
def test_weights_are_packed_by_their_values(
    tmp_path: Path, levels, weight_format: str, expected_bytes: int, constant_bytes: int
) -> None:
    weights = np.random.default_rng(0).choice(np.array(levels, np.int8), (3, 64))
    (layer,) = export(_dense(weights), tmp_path).layers
    assert (layer.weights, layer.weight_bytes, layer.macs) == (weight_format, expected_bytes, 192)
    assert layer.constant_bytes == constant_bytes
    assert layer.density == np.count_nonzero(weights) / 192


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_generated_c_is_free_of_warnings(require_tool, tmp_path: Path, compiler: str) -> None:
    require_tool(compiler)
    for seed in SEEDS:
        generate_c(random_network(seed), tmp_path, f"net{seed}")
        export(random_network(seed), tmp_path, targets=["int8"], name=f"net{seed}")
    for source in tmp_path.glob("*.c"):
        command = [compiler, *HOUSE_FLAGS, "-fsyntax-only", f"-I{tmp_path / 'tern'}", source]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_generated_headers_are_cpp(require_tool, tmp_path: Path) -> None:
    require_tool("g++")
    export(random_network(3), tmp_path, name="net")
    (tmp_path / "user.cpp").write_text(
        '#include "net.h"\n#include "net_tflite.h"\nint main() { return NET_ARENA_BYTES < 0; }\n'
    )
    subprocess.run(
        ["g++", "-Wall", "-Wextra", "-Werror", f"-I{tmp_path / 'tern'}", "-fsyntax-only", tmp_path / "user.cpp"],
        check=True,
    )


def test_tflite_as_a_c_array(tmp_path: Path) -> None:
    model = random_network(5)
    write_files(tmp_path, tflite_array(model, "net"))
    program = '#include <stdio.h>\n#include <stdint.h>\n#include "net_tflite.h"\nint main(void) {\n'
    program += "    if ((uintptr_t)net_tflite % 16 != 0) return 1;\n"
    program += "    fwrite(net_tflite, 1, NET_TFLITE_BYTES, stdout);\n    return 0;\n}\n"
    (tmp_path / "main.c").write_text(program)
    subprocess.run([*host_compiler(), *HOUSE_FLAGS, "main.c", "net_tflite.c", "-o", "main"], cwd=tmp_path, check=True)
    assert subprocess.run([tmp_path / "main"], capture_output=True, check=True).stdout == model


def test_bad_pointers_are_refused(tmp_path: Path) -> None:
    report = export(_dense(np.eye(4, dtype=np.int8)), tmp_path)
    invoke = HostModel(report)._invoke
    x, y, arena = np.zeros(4, np.int8), np.zeros(4, np.int8), aligned_bytes(report.arena_bytes + 16)
    pointers = x.ctypes.data, y.ctypes.data, arena.ctypes.data
    assert invoke(*pointers) == 0
    for missing in range(3):
        assert invoke(*(None if i == missing else pointer for i, pointer in enumerate(pointers))) == 1
    assert invoke(*pointers[:2], pointers[2] + 1) == 2


def test_all_that_is_not_supported_is_named_at_once(tmp_path: Path) -> None:
    tensors = [TensorSpec(f"t{i}", (1, 2, 2, 4), 0.5, 0) for i in range(3)] + [
        TensorSpec("float", (1, 2, 2, 4), dtype="float32"),
        TensorSpec("out", (1, 2, 2, 4), 0.5, 0),
    ]
    ops = [
        OpSpec("L2_NORMALIZATION", ["t0"], ["t1"]),
        OpSpec("MAX_POOL_2D", ["t1"], ["t2"], {"filterHeight": 1, "filterWidth": 1}),
        OpSpec("SUB", ["t2", "t0"], ["float"]),
        OpSpec("SOFTMAX", ["float"], ["out"]),
    ]
    with pytest.raises(ExportError) as caught:
        export(build_model(tensors, ops, ["t0"], ["out"]), tmp_path)
    message = str(caught.value)
    assert "op 0 L2_NORMALIZATION 't1': no kernel" in message
    assert "op 2 SUB 'float': tensor 3 'float' (float32 1x2x2x4) is not int8" in message
    assert "op 3 SOFTMAX 'out': tensor 3 'float' (float32 1x2x2x4) is not int8" in message
    assert "MAX_POOL_2D 't2'" not in message
    assert list(tmp_path.iterdir()) == []


def test_the_int8_target_takes_operators_that_the_c_lacks(tmp_path: Path) -> None:
    tensors = [TensorSpec("x", (1, 4), 0.5, 0), TensorSpec("y", (1, 4), 1 / 128, 0)]
    model = build_model(tensors, [OpSpec("L2_NORMALIZATION", ["x"], ["y"])], ["x"], ["y"])
    report = export(model, tmp_path, targets="int8")
    assert (report.layers, report.arena_bytes) == ((), 0)
    assert [check.different for check in verify(report, _real(report)).checks] == [0]
    with pytest.raises(ExportError, match="the target int8 alone takes any"):
        export(model, tmp_path / "c")


def _convolution() -> bytes:
    """A convolution with 4,608 ternary weights."""
    rng = np.random.default_rng(0)
    weights = rng.choice([-127, 0, 127], (32, 3, 3, 16)).astype(np.int8)
    tensors = [
        TensorSpec("x", (1, 9, 9, 16), 0.02, -5),
        TensorSpec("w", weights.shape, [0.01] * 32, 0, weights),
        TensorSpec("b", (32,), [0.0002] * 32, 0, np.zeros(32, np.int32), dtype="int32"),
        TensorSpec("y", (1, 9, 9, 32), 0.5, 3),
    ]
    return build_model(tensors, [OpSpec("CONV_2D", ["x", "w", "b"], ["y"], {"padding": "SAME"})], ["x"], ["y"])


def test_for_size_a_ternary_weight_takes_less_than_1_62_bits(tmp_path: Path) -> None:
    report = export(_convolution(), tmp_path, optimize="size", cores=())
    (layer,) = report.layers
    levels = 2 * 32
    assert layer.weights == "base3"
    assert 8 * (layer.weight_bytes - levels) / 4608 < 1.62
    assert layer.kernel == "tern_conv2d_base3_gaps"
    assert verify(report, _real(report)).ok


@pytest.mark.parametrize(
    ("limit", "kernel", "scratch"),
    [(4096, "base3_gaps", 3616), (1000, "base3_expanded", 36), (16, "base3_ref", 0)],
)
def test_a_tight_arena_takes_a_kernel_with_less_scratch(limit: int, kernel: str, scratch: int, tmp_path: Path) -> None:
    report = export(_convolution(), tmp_path, optimize="size", arena_limit=limit, cores=())
    assert (report.layers[0].kernel, report.layers[0].scratch_bytes) == (f"tern_conv2d_{kernel}", scratch)
    assert scratch <= report.arena_bytes <= limit
    assert verify(report, _real(report)).ok


def test_for_speed_a_convolution_reads_gaps(tmp_path: Path) -> None:
    report = export(_convolution(), tmp_path, cores=())
    assert (report.layers[0].kernel, report.layers[0].weights) == ("tern_conv2d_gaps", "gaps")
    assert verify(report, _real(report)).ok


def test_what_to_optimise_for_is_checked(tmp_path: Path) -> None:
    for function in (export, generate_c):
        with pytest.raises(ExportError, match="unknown optimize 'time': choose speed or size"):
            function(_convolution(), tmp_path, optimize="time")
    assert list(tmp_path.iterdir()) == []


def test_float_model_is_refused(tmp_path: Path) -> None:
    tensors = [TensorSpec(name, (1, 4), dtype="float32") for name in "xy"]
    model = build_model(tensors, [OpSpec("SOFTMAX", ["x"], ["y"])], ["x"], ["y"])
    with pytest.raises(ExportError, match="no operator of the model computes int8"):
        export(model, tmp_path)


def test_batches_are_refused(tmp_path: Path) -> None:
    tensors = [TensorSpec("x", (2, 4), 0.1, 0), TensorSpec("y", (2, 4), 1 / 256, -128)]
    with pytest.raises(ExportError, match="batch of 2, not 1"):
        export(build_model(tensors, [OpSpec("SOFTMAX", ["x"], ["y"])], ["x"], ["y"]), tmp_path)


@pytest.mark.parametrize("name", ["", "1st", "my-model", "tern", "TERN", "tern_net", "a b", "é"])
def test_names_that_c_refuses(name: str) -> None:
    with pytest.raises(ExportError, match="cannot name a model"):
        check_name(name)


@pytest.mark.parametrize("name", ["net_tflite", "counter", "model", "int", "stdint"])
def test_names_beside_the_projects_own(tmp_path: Path, name: str) -> None:
    report = export(random_network(0), tmp_path, name=name)
    assert verify(report, _real(report)).ok
    assert run(report, _real(report, 2), compiler="zig", emulator="unicorn").different == 0


def test_one_target_as_text(tmp_path: Path) -> None:
    assert export(random_network(0), tmp_path, targets="int8").targets == ("int8",)


def test_shared_constants_are_stored_once(tmp_path: Path) -> None:
    weights = np.random.default_rng(0).choice(np.array([-127, 0, 127], np.int8), (16, 16))
    tensors = [TensorSpec(name, (1, 16), 0.5, 0) for name in "xyz"] + [TensorSpec("w", (16, 16), 0.02, 0, weights)]
    ops = [OpSpec("FULLY_CONNECTED", ["x", "w", ""], ["y"]), OpSpec("FULLY_CONNECTED", ["y", "w", ""], ["z"])]
    report = export(build_model(tensors, ops, ["x"], ["z"]), tmp_path)
    assert [layer.weight_bytes for layer in report.layers] == [16 * 4, 0]
    assert [layer.constant_bytes for layer in report.layers] == [16 * 12, 0]
    assert verify(report, _real(report)).ok
    assert (tmp_path / "model.c").read_text().count("_weights[") == 1


def test_an_output_that_is_listed_twice(tmp_path: Path) -> None:
    tensors = [TensorSpec("x", (1, 4), 0.1, 0), TensorSpec("y", (1, 4), 1 / 256, -128)]
    model = build_model(tensors, [OpSpec("SOFTMAX", ["x"], ["y"])], ["x"], ["y", "y"])
    with pytest.raises(ExportError, match="listed twice"):
        export(model, tmp_path)


def test_softmax_that_is_too_long(tmp_path: Path) -> None:
    tensors = [TensorSpec("x", (1, 8192), 0.1, 0), TensorSpec("y", (1, 8192), 1 / 256, -128)]
    with pytest.raises(ExportError, match="at most 8191 values a row"):
        export(build_model(tensors, [OpSpec("SOFTMAX", ["x"], ["y"])], ["x"], ["y"]), tmp_path)


_X = TensorSpec("x", (1, 4, 4, 2), 0.1, 0)


@pytest.mark.parametrize(
    ("op", "target"),
    [
        (OpSpec("CONV_2D", ["x", "w", "b"], ["y"]), (1, 4, 4, 5)),
        (OpSpec("DEPTHWISE_CONV_2D", ["x", "d", "b2"], ["y"]), (1, 4, 4, 4)),
        (OpSpec("MAX_POOL_2D", ["x"], ["y"], {"filterHeight": 1, "filterWidth": 1}), (1, 4, 4, 3)),
        (OpSpec("MAX_POOL_2D", ["x"], ["y"], {"filterHeight": 2, "filterWidth": 2}), (1, 4, 4, 2)),
        (OpSpec("MAX_POOL_2D", ["x"], ["y"], {"filterHeight": 0, "filterWidth": 1}), (1, 4, 4, 2)),
        (OpSpec("MEAN", ["x", "axes"], ["y"]), (1, 3)),
        (OpSpec("SOFTMAX", ["x"], ["y"]), (1, 4, 4, 1)),
        (OpSpec("ADD", ["x", "x"], ["y"]), (1, 4, 4, 4)),
        (OpSpec("RESHAPE", ["x", "axes"], ["y"]), (1, 31)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(tmp_path: Path, op: OpSpec, target: tuple) -> None:
    tensors = [
        _X,
        TensorSpec("w", (3, 1, 1, 2), 0.1, 0, np.ones((3, 1, 1, 2), np.int8)),
        TensorSpec("d", (1, 1, 1, 2), 0.1, 0, np.ones((1, 1, 1, 2), np.int8)),
        TensorSpec("b", (3,), 0.01, 0, np.zeros(3, np.int32), dtype="int32"),
        TensorSpec("b2", (2,), 0.01, 0, np.zeros(2, np.int32), dtype="int32"),
        TensorSpec("axes", (2,), data=np.array([1, 2], np.int32), dtype="int32"),
        TensorSpec("y", target, 1 / 256 if op.name == "SOFTMAX" else 0.1, -128 if op.name == "SOFTMAX" else 0),
    ]
    with pytest.raises(ExportError, match=f"op 0 {op.name} 'y'"):
        export(build_model(tensors, [op], ["x"], ["y"]), tmp_path)


def test_damaged_files_are_export_errors_or_artefacts(tmp_path: Path) -> None:
    """Single flipped bytes anywhere in the file: no other exception, whatever they hit."""
    rng = np.random.default_rng(0)
    outcomes = {"refused": 0, "exported": 0}
    for seed in range(20):
        content = random_network(seed)
        for position in rng.integers(8, len(content), 60):
            damaged = bytearray(content)
            damaged[position] ^= 1 << rng.integers(8)
            try:
                graph = Graph.read(bytes(damaged))
                plan_memory(graph, lower(graph))
                outcomes["exported"] += 1
            except ExportError:
                outcomes["refused"] += 1
    assert min(outcomes.values()) > 100, outcomes


def test_unknown_target(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"unknown target fpga; known are int8, .*, c$"):
        export(random_network(0), tmp_path, targets=["c", "fpga"])


def test_keras_model_needs_calibration_and_a_tflite_none(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="leave the calibration data out"):
        export(random_network(0), tmp_path, calibration=np.zeros((3, 4), np.float32))
    with pytest.raises(ExportError, match="needs calibration data"):
        export(object(), tmp_path)  # type: ignore[arg-type]


def test_missing_model_file(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"absent\.tflite: No such file"):
        export(tmp_path / "absent.tflite", tmp_path / "out")


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ExportError, match=r"cannot write to .*choose another output folder"):
        export(random_network(0), tmp_path / "file" / "out")


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kept.txt").write_text("old")
    with pytest.raises(ExportError, match="cannot write"):
        write_files(tmp_path, {"fresh.txt": "new", "kept.txt/under/a/file": "new"})
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["kept.txt"]
    assert (tmp_path / "kept.txt").read_text() == "old"


def test_a_folder_in_the_way_stops_the_export_before_the_first_file(tmp_path: Path) -> None:
    (tmp_path / "model.h").mkdir()
    with pytest.raises(ExportError, match="cannot write"):
        export(random_network(0), tmp_path)
    left = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert left == []


def test_damaged_report(tmp_path: Path) -> None:
    report = export(random_network(0), tmp_path)
    (tmp_path / "report.json").write_text('{"name": 3')
    with pytest.raises(ExportError, match=r"report\.json is damaged"):
        ExportReport.load(tmp_path)
    with pytest.raises(ExportError, match="tern is no export: No such file"):
        ExportReport.load(tmp_path / "tern")
    export(random_network(0), tmp_path)
    with pytest.raises(ExportError, match=r"typo is no export: no export of this name, but of 'model'"):
        ExportReport.load(tmp_path / "typo")
    assert ExportReport.load(tmp_path / "model.tflite") == ExportReport.load(tmp_path)
    (tmp_path / "model.c").unlink()
    with pytest.raises(ExportError, match=r"files of the export are missing: .*model\.c"):
        HostModel(report)
