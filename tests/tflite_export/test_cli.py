import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from random_networks import random_network
from tflite_builder import OpSpec, TensorSpec, build_model

from tern_keras.layers import QuantDense
from tflite_export import Graph
from tflite_export.cli import main

X = np.random.default_rng(0).normal(size=(64, 16)).astype("float32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved Keras model, samples and labels; and its export."""
    path = tmp_path_factory.mktemp("cli")
    model = keras.Sequential(
        [keras.Input((16,)), QuantDense(12, activation="relu", kernel_quantizer="twn"), keras.layers.Dense(3)]
    )
    model.save(path / "model.keras")
    labels = model.predict(X, verbose=0).argmax(1)
    np.savez(path / "data.npz", x=X, y=labels)
    command = ["export", path / "model.keras", path / "out", "--calibration", path / "data.npz"]
    assert main([str(word) for word in command]) == 0
    return path


def _fails(capsys: pytest.CaptureFixture, *words: object) -> str:
    capsys.readouterr()
    assert main([str(word) for word in words]) == 1
    captured = capsys.readouterr()
    assert captured.err.lstrip().startswith("tern-keras: ")
    assert "Traceback" not in captured.err + captured.out
    return captured.err


def test_export_writes_all(folder: Path) -> None:
    assert {"model.tflite", "model.c", "model.h", "model_tflite.c", "report.json", "tern"} <= {
        path.name for path in (folder / "out").iterdir()
    }


def test_verify(folder: Path, capsys) -> None:
    assert main(["verify", str(folder / "out"), "--data", str(folder / "data.npz")]) == 0
    output = capsys.readouterr().out
    assert "64 samples against the int8 reference" in output
    assert "C on the host" in output


def test_inspect(folder: Path, capsys) -> None:
    assert main(["inspect", str(folder / "out" / "model.tflite")]) == 0
    output = capsys.readouterr().out
    assert "FULLY_CONNECTED" in output
    assert "ternary {-127, 0, 127}" in output
    assert "int8 12x16" in output


def test_run_without_root(folder: Path, capsys) -> None:
    words = ["run", folder / "out", "--data", folder / "data.npz", "--samples", 5, "--output", folder / "y.npz"]
    assert main([*map(str, words), "--compiler", "zig", "--emulator", "unicorn"]) == 0
    output = capsys.readouterr().out
    assert "instructions an inference (emulated)" in output
    with np.load(folder / "y.npz") as outputs:
        assert outputs["q"].shape == outputs["y0"].shape == (5, 3)


def test_inspect_needs_neither_keras_nor_tensorflow(tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(random_network(1))
    script = """
import sys
from tflite_export.cli import main
assert main(["inspect", sys.argv[1]]) == 0
assert not {"keras", "tensorflow"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script, tmp_path / "net.tflite"], check=True, stdout=subprocess.DEVNULL)


def test_missing_model(tmp_path: Path, capsys) -> None:
    assert "no such file" in _fails(capsys, "export", tmp_path / "absent.keras", tmp_path)
    assert "No such file" in _fails(capsys, "inspect", tmp_path / "absent.tflite")


def test_not_a_keras_file(tmp_path: Path, capsys) -> None:
    (tmp_path / "model.keras").write_text("nonsense")
    assert "Keras cannot load" in _fails(capsys, "export", tmp_path / "model.keras", tmp_path / "out")


def test_no_calibration(folder: Path, tmp_path: Path, capsys) -> None:
    assert "needs calibration data" in _fails(capsys, "export", folder / "model.keras", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_wrong_calibration(folder: Path, tmp_path: Path, capsys) -> None:
    np.save(tmp_path / "x.npy", X[:, :7])
    words = ("export", folder / "model.keras", tmp_path / "out", "--calibration", tmp_path / "x.npy")
    assert "has the shape (64, 7), expected (samples, 16)" in _fails(capsys, *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "content", [b"", b"text", b"PK\x03\x04 half a zip", b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f4'"]
)
def test_data_that_is_none(folder: Path, tmp_path: Path, capsys, content: bytes) -> None:
    (tmp_path / "x.npz").write_bytes(content)
    assert str(tmp_path / "x.npz") in _fails(capsys, "verify", folder / "out", "--data", tmp_path / "x.npz")


def test_data_without_x(folder: Path, tmp_path: Path, capsys) -> None:
    np.savez(tmp_path / "x.npz", images=X)
    assert "name the array x" in _fails(capsys, "verify", folder / "out", "--data", tmp_path / "x.npz")


def test_single_numbers(folder: Path, tmp_path: Path, capsys) -> None:
    for arrays in ({"x": np.float32(1)}, {"x": X, "y": np.int64(3)}):
        np.savez(tmp_path / "x.npz", **arrays)
        words = ("run", folder / "out", "--data", tmp_path / "x.npz", "--samples", 1)
        assert "holds a single number" in _fails(capsys, *words)


def test_weights_that_are_not_finite(tmp_path: Path, capsys) -> None:
    model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(3, name="head")])
    model.layers[0].kernel.assign(np.full((16, 3), np.nan))
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", X)
    words = ("export", tmp_path / "model.keras", tmp_path / "out", "--calibration", tmp_path / "x.npy")
    assert "'head/kernel' holds NaN" in _fails(capsys, *words)
    assert not (tmp_path / "out").exists()


def test_folder_that_cannot_be_written(folder: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "file").write_text("in the way")
    words = ("export", folder / "out" / "model.tflite", tmp_path / "file" / "out")
    assert "choose another output folder" in _fails(capsys, *words)


def test_unknown_board(folder: Path, capsys) -> None:
    words = ("run", folder / "out", "--data", folder / "data.npz", "--board", "pico")
    assert "unknown board 'pico'" in _fails(capsys, *words)


def test_output_folder_is_looked_for_first(folder: Path, tmp_path: Path, capsys) -> None:
    words = ("run", folder / "out", "--data", folder / "data.npz", "--output", tmp_path / "absent" / "y.npz")
    assert "its folder does not exist" in _fails(capsys, *words)


def test_names_with_markup(tmp_path: Path, capsys) -> None:
    tensors = [TensorSpec("x", (1, 4), 0.1, 0), TensorSpec("a[/b]", (1, 4), 1 / 256, -128)]
    (tmp_path / "[red]net.tflite").write_bytes(
        build_model(tensors, [OpSpec("SOFTMAX", ["x"], ["a[/b]"])], ["x"], ["a[/b]"])
    )
    assert main(["inspect", str(tmp_path / "[red]net.tflite")]) == 0
    assert "a[/b]" in capsys.readouterr().out


def test_no_export(tmp_path: Path, capsys) -> None:
    np.savez(tmp_path / "x.npz", x=X)
    assert "is no export" in _fails(capsys, "verify", tmp_path, "--data", tmp_path / "x.npz")


def test_truncated_model(folder: Path, tmp_path: Path, capsys) -> None:
    content = (folder / "out" / "model.tflite").read_bytes()
    (tmp_path / "half.tflite").write_bytes(content[: len(content) // 2])
    assert "damaged" in _fails(capsys, "export", tmp_path / "half.tflite", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_missing_tools_are_named(folder: Path) -> None:
    """Without a compiler on PATH and without the packages that stand in for it."""
    script = """
import sys, importlib.util
find = importlib.util.find_spec
missing = sys.argv[1 : sys.argv.index("--")]
importlib.util.find_spec = lambda name, *rest: None if name in missing else find(name, *rest)
from tflite_export.cli import main
sys.exit(main(sys.argv[sys.argv.index("--") + 1 :]))
"""
    for missing, command, words in (
        (("ziglang", "unicorn"), "verify", ("no C compiler", "install gcc or clang")),
        (("ziglang", "unicorn"), "run", ("no C compiler", "pip install ziglang")),
        (("unicorn",), "run", ("qemu-system-arm", "pip install unicorn")),
    ):
        done = subprocess.run(
            [sys.executable, "-c", script, *missing, "--", command, folder / "out", "--data", folder / "data.npz"],
            env={**os.environ, "PATH": "/nonexistent"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert all(word in done.stderr for word in words), done.stderr
        assert "Traceback" not in done.stderr


def test_exported_network_is_ternary(folder: Path) -> None:
    graph = Graph.read(folder / "out" / "model.tflite")
    assert [op.name for op in graph.ops] == ["FULLY_CONNECTED", "FULLY_CONNECTED"]
