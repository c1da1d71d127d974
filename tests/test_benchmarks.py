"""The benchmarks run, and write what they say they write."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent


def test_train_step(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    out = tmp_path / "train_step.json"
    words = [sys.executable, PROJECT / "benchmarks" / "train_step.py", "--quick", "--out", out]
    environment = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = json.loads(out.read_text())["rows"]
    assert [(row["backend"], row["network"], row["quantizer"]) for row in rows] == [
        ("tensorflow", "ds_cnn", "twn"),
        ("jax", "ds_cnn", "twn"),
    ]
    for row in rows:
        assert row["step"] > 0
        assert row["first_step"] > 0
        assert row["backend"] in done.stdout
    tensorflow, jax = rows
    assert tensorflow["memory_mib"] is None
    # of each quantised kernel one float32 copy at most
    assert jax["float_memory_mib"] < jax["memory_mib"] <= jax["float_memory_mib"] + jax["kernels_mib"]
