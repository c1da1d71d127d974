"""The wheel, installed in an environment of its own: packages, command and C sources, and nothing else at the top."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from random_networks import random_network

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # A copy: building in the tree would leave build/ behind, which a later wheel would pick up.
    source = folder / "source"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (PROJECT / name).is_file():
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((PROJECT / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", folder, source], check=True, capture_output=True
    )
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel in it; its dependencies are this interpreter's, seen through a .pth file."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    purelib = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = subprocess.run([sys.executable, "-c", purelib], capture_output=True, text=True, check=True).stdout.strip()
    site = Path(subprocess.run([python, "-c", purelib], capture_output=True, text=True, check=True).stdout.strip())
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel]
    subprocess.run(pip, check=True)
    # A plain path entry: this interpreter's own .pth files, which would add the checkout, are not read.
    (site / "dependencies.pth").write_text(f"{own}\n")
    return folder


def _run(environment: Path, *words: object, cwd: Path) -> str:
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_only_two_packages_reach_the_top(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"tern_keras", "tflite_export"}
    carried = {name.removeprefix("tflite_export/micro/") for name in names if name.startswith("tflite_export/micro/")}
    sources = {
        path.relative_to(PROJECT / "micro").as_posix()
        for path in (PROJECT / "micro").rglob("*")
        if path.suffix in (".c", ".cc", ".h", ".ld")
    }
    assert sources <= carried


def test_imports_come_from_the_wheel(environment: Path, tmp_path: Path) -> None:
    script = (
        "import tern_keras, tflite_export; print(tern_keras.__file__, tflite_export.__file__, tern_keras.__version__)"
    )
    output = _run(environment, environment / "bin" / "python", "-c", script, cwd=tmp_path)
    first, second, version = output.split()
    assert Path(first).is_relative_to(environment)
    assert Path(second).is_relative_to(environment)
    assert version == "0.1.0"


def test_the_command_exports_and_runs(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(random_network(5, edges=False))
    command = environment / "bin" / "tern-keras"
    output = _run(environment, command, "export", "net.tflite", "out", cwd=tmp_path)
    assert "written to out" in output
    assert "tern-keras 0.1.0 from model.tflite" in (tmp_path / "out" / "model.c").read_text()
    assert (tmp_path / "out" / "tern" / "tern.h").is_file()
    script = """
import numpy as np
from tflite_export import ExportReport
report = ExportReport.load("out")
np.savez("x.npz", x=np.zeros((2, *report.inputs[0].shape[1:]), "float32"))
"""
    _run(environment, environment / "bin" / "python", "-c", script, cwd=tmp_path)
    run = (command, "run", "out", "--data", "x.npz", "--compiler", "zig", "--emulator", "unicorn")
    assert "instructions an inference" in _run(environment, *run, cwd=tmp_path)
