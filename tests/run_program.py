"""Runs a program as a user would, with this checkout's packages."""

import os
import subprocess
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def run_program(*words: object, cwd: Path) -> str:
    """What it printed; its failure fails the test."""
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout
