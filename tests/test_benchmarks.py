"""The benchmarks run, and write what they say they write."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def test_train_step(tmp_path: Path, require_module: Callable[..., None]) -> None:
    require_module("jax")
    out = tmp_path / "train_step.json"
    words = [sys.executable, PROJECT / "benchmarks" / "train_step.py", "--quick", "--out", out]
    environment = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = json.loads(out.read_text())["rows"]
    assert [(row["backend"], row["network"], row["quantizer"]) for row in rows] == [
        (backend, "ds_cnn", quantizer) for backend in ("tensorflow", "jax") for quantizer in ("twn", "ttq")
    ]
    for row in rows:
        assert row["step"] > 0
        assert row["first_step"] > 0
        assert row["backend"] in done.stdout
        if row["backend"] == "jax":
            # of each quantised kernel one float32 copy at most
            assert row["float_memory_mib"] < row["memory_mib"] <= row["float_memory_mib"] + row["kernels_mib"]
        else:
            assert row["memory_mib"] is None
