"""LeNet-5 on MNIST, the whole way."""

import json
import sys
from pathlib import Path

import pytest
from run_program import PROJECT, run_program


@pytest.mark.shared
def test_lenet5_on_mnist(shared_dir: Path, tmp_path: Path) -> None:
    """One epoch: enough for the whole way; the README's figures are from 15."""
    options = ("--epochs", 1, "--data-dir", shared_dir / "data", "--out", tmp_path, "--board-samples", 5)
    run_program(sys.executable, PROJECT / "examples" / "mnist_lenet5.py", "--quantizer", "twn", *options, cwd=tmp_path)
    results = json.loads((tmp_path / "twn_seed_0" / "results.json").read_text())
    assert results["accuracy_keras"] > 0.9
    assert abs(results["accuracy_keras"] - results["accuracy_c"]) < 0.005
    assert results["images_that_differ_on_the_host"] == results["images_that_differ_on_the_m4"] == 0
