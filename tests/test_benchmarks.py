"""The benchmarks run, and write what they say they write."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from random_networks import random_network

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


@pytest.mark.emulator
@pytest.mark.parametrize(
    ("script", "only", "columns"),
    [
        ("kernels.py", "fc_128_128", {"layer": "fc_128_128", "macs": 128 * 128, "zeros": 50, "levels": 1}),
        ("models.py", "lenet5", {"network": "lenet5", "macs": 416_520, "zeros": 50}),
    ],
)
def test_counts_of_layers_and_networks(
    script: str, only: str, columns: dict[str, Any], tmp_path: Path, require_board: Callable[[str], None]
) -> None:
    require_board("mps2-an386")
    out = tmp_path / "rows.jsonl"
    words = [sys.executable, PROJECT / "benchmarks" / script, "--only", only, "--write", "--out", out]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    (row,) = map(json.loads, out.read_text().splitlines())
    assert row | columns == row
    assert row["macs"] / 4 < row["instructions"] < row["cycles"]
    assert f"{row['cycles']:,}" in done.stdout


def test_export(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    for seed in (0, 1):
        (tmp_path / "models" / f"net{seed}.tflite").write_bytes(random_network(seed))
    (tmp_path / "models" / "vww_96_int8.tflite").write_bytes(random_network(2))
    (tmp_path / "models" / "zero.tflite").write_bytes(bytes(100))
    words = [sys.executable, PROJECT / "benchmarks" / "export.py", "--models", "models", "--out", "export.json"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = {row["model"]: row for row in json.loads((tmp_path / "export.json").read_text())["rows"]}
    assert list(rows) == ["net0", "net1", "vww_96_int8", "zero"]
    for name in ("net0", "net1", "vww_96_int8"):
        row = rows[name]
        assert 0 < row["seconds"] < 60
        assert row["arena_lower_bound"] <= row["arena_bytes"]
        assert f"{row['tflite_bytes']:,}" in done.stdout
    assert (rows["net0"]["tflm_arena_bytes"], rows["vww_96_int8"]["tflm_arena_bytes"]) == (None, 100_708)
    assert rows["zero"]["problem"]


def test_export_without_models(tmp_path: Path) -> None:
    words = [sys.executable, PROJECT / "benchmarks" / "export.py", "--models", tmp_path, "--out", tmp_path / "x.json"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "holds no .tflite file" in done.stderr
