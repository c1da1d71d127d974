"""The README's code and the examples, run as a reader would."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tflite_export.toolchain import host_compiler

PROJECT = Path(__file__).resolve().parent.parent
README = (PROJECT / "README.md").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def _run(*words: object, cwd: Path) -> str:
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def after_python(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder in which the README's Python ran, and what it printed."""
    folder = tmp_path_factory.mktemp("readme")
    (script,) = _blocks("python")
    (folder / "story.py").write_text(script + '\nternary.save("model.keras"); np.savez("samples.npz", x=x, y=y)\n')
    return folder, _run(sys.executable, "story.py", cwd=folder)


def test_readme_python(after_python) -> None:
    _, output = after_python
    *_, equal, instructions = output.split()
    assert equal == "True"
    assert int(instructions) > 100_000


def test_readme_c(after_python) -> None:
    folder, _ = after_python
    (code,) = _blocks("c")
    (folder / "user.c").write_text(
        code + "\nint main(void) { static float image[16 * 16]; return classify(image) < 0; }\n"
    )
    model = folder / "build" / "my_model"
    sources = [folder / "user.c", model / "my_model.c", *(model / "tern").glob("*.c")]
    flags = ("-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{model}", f"-I{model / 'tern'}")
    _run(*host_compiler(), *flags, *sources, "-o", folder / "user", cwd=folder)
    _run(folder / "user", cwd=folder)


def test_readme_commands(after_python) -> None:
    folder, _ = after_python
    (block,) = (block for block in _blocks("sh") if block.startswith("tern-keras export"))
    for line in block.splitlines():
        words = line.replace("test.npz", "samples.npz").split()
        assert words[0] == "tern-keras"
        extra = ("--samples", "4", "--compiler", "zig", "--emulator", "unicorn") if words[1] == "run" else ()
        assert _run(sys.executable, "-m", "tflite_export.cli", *words[1:], *extra, cwd=folder)


def test_make_targets_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"^make (\w+)", README, re.MULTILINE))
    assert {"demo", "test", "lint", "bench"} <= named <= targets


def test_readme_has_no_figure_left_to_fill_in() -> None:
    assert not re.findall(r"@[A-Z]+@", README)


@pytest.mark.alone
def test_digits(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    output = _run(sys.executable, PROJECT / "examples" / "digits.py", "--out", out, cwd=tmp_path)
    rows = {cells[0]: cells for line in output.splitlines() if len(cells := re.findall(r"[^│\s]+", line)) == 9}
    assert set(rows) == {"int8", "TWN", "TTQ", "SQ"}
    for name, (_, in_keras, litert, board, different, weight_bytes, *_) in rows.items():
        assert different == "0"
        assert litert == board
        assert float(in_keras.rstrip("%")) > 95, name
        assert abs(float(in_keras.rstrip("%")) - float(board.rstrip("%"))) < 1.5
        # gaps take more bytes the fewer weights training left at zero
        assert int(weight_bytes.replace(",", "")) < (8000 if name == "int8" else 5200)
    for picture in ("latent_weights.png", "kernels.png"):
        assert (out / picture).read_bytes().startswith(b"\x89PNG")
    with np.load(out / "test.npz") as data:
        assert len(data["x"]) == 450
    command = ("run", out / "model", "--data", out / "test.npz", "--samples", 3)
    assert "samples that differ" in _run(sys.executable, "-m", "tflite_export.cli", *command, cwd=tmp_path)


@pytest.mark.alone
@pytest.mark.shared
def test_lenet5_on_mnist(shared_dir: Path, tmp_path: Path) -> None:
    """One epoch: enough for the whole way; the README's figures are from 15."""
    options = ("--epochs", 1, "--data-dir", shared_dir / "data", "--out", tmp_path, "--board-samples", 5)
    _run(sys.executable, PROJECT / "examples" / "mnist_lenet5.py", "--quantizer", "twn", *options, cwd=tmp_path)
    results = json.loads((tmp_path / "twn_seed_0" / "results.json").read_text())
    assert results["accuracy_keras"] > 0.9
    assert abs(results["accuracy_keras"] - results["accuracy_c"]) < 0.005
    assert results["images_that_differ_on_the_host"] == results["images_that_differ_on_the_m4"] == 0
