"""`make demo`, to the end."""

import re
import sys
from pathlib import Path

import numpy as np
from run_program import PROJECT, run_program


def test_digits(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    output = run_program(sys.executable, PROJECT / "examples" / "digits.py", "--out", out, cwd=tmp_path)
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
    assert "samples that differ" in run_program(sys.executable, "-m", "tflite_export.cli", *command, cwd=tmp_path)
