"""The same `.tflite` gives the same bytes: whatever the process, its hash seed, locale, time zone and folder."""

import os
import subprocess
import sys
from pathlib import Path

from random_networks import random_network

PROJECT = Path(__file__).resolve().parents[2]
_EXPORT = "import sys; from tflite_export import export; export(sys.argv[1], sys.argv[2], name='net')"


def _exported(model: Path, folder: Path, **environment: str) -> dict[str, bytes]:
    command = [sys.executable, "-c", _EXPORT, model, folder]
    cwd = folder.parent / f"{folder.name}_cwd"
    cwd.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), **environment}
    subprocess.run(command, check=True, cwd=cwd, env=environment)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_two_machines_write_the_same_bytes(tmp_path: Path) -> None:
    for seed in (12, 92, 163):
        model = tmp_path / f"{seed}.tflite"
        model.write_bytes(random_network(seed))
        one = _exported(model, tmp_path / f"one{seed}", PYTHONHASHSEED="1", LC_ALL="C", TZ="UTC")
        two = _exported(model, tmp_path / f"two{seed}", PYTHONHASHSEED="2", LC_ALL="C.UTF-8", TZ="Asia/Tokyo")
        assert len(one) > 10
        assert one == two
