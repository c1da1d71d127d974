"""The example as a user runs it, on tones in place of words, and its C from sound to word."""

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from keyword_spotting import load, record
from test_recordings import write_wav

PROJECT = Path(__file__).resolve().parents[2]
RESULTS = PROJECT / "docs" / "results" / "keyword_spotting.jsonl"
SCRIPT = PROJECT / "examples" / "keyword_spotting.py"


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of a data set as large as a batch: each digit a tone of its own."""
    folder = tmp_path_factory.mktemp("wavs")
    rng = np.random.default_rng(0)
    for digit in range(10):
        for number in range(12):
            time = np.arange(2000 + 100 * number) / 8000
            tone = 8000 * np.sin(2 * np.pi * 250 * (1 + digit) * time) + rng.normal(scale=100, size=len(time))
            write_wav(folder / f"{digit}_ann_{number}.wav", tone)
    return folder


def test_from_recordings_to_the_table(tones: Path, tmp_path: Path):
    results = tmp_path / "results" / "rows.jsonl"
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": str(PROJECT)}
    options = ("--wav-dir", tones, "--epochs", "1", "--out", tmp_path / "out", "--results", results)
    done = subprocess.run(
        [sys.executable, SCRIPT, *options], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    int8, ternary, small = (json.loads(line) for line in results.read_text().splitlines())
    for row in (int8, ternary, small):
        assert row["recordings"] == 50
        assert row["recordings_that_differ"] == 0
        assert row["accuracy_int8"] == row["accuracy_c_host"] == row["accuracy_c_board"]
        assert f"{row['accuracy_c_board']:.2f}%" in done.stdout
        assert 1e6 < row["features"]["instructions"] < row["features"]["cycles"] < 2.5e6
        assert row["features"]["flash_bytes"] < 8000
    assert all(layer["density"] < 1 for layer in ternary["layers"][1:-1])
    assert ternary["layers"][0]["format"] == ternary["layers"][-1]["format"] == "int8"
    assert ternary["network"]["cycles"] < int8["network"]["cycles"]
    assert small["weight_bytes"] < ternary["weight_bytes"] < int8["weight_bytes"]
    assert (tmp_path / "out" / "twn_1_epochs_seed_0" / "model" / "spotter.c").is_file()


def test_rows_replace_those_of_the_same_configuration(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    first, second, other = ({"config": {"seed": seed}, "board": "b", "accuracy": 1} for seed in (0, 1, 2))
    record(path, [first, second])
    record(path, [{**first, "accuracy": 2}, other])
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert rows == [second, {**first, "accuracy": 2}, other]


def test_the_page_and_the_readme_show_what_the_rows_say():
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    named = {row["name"]: row for row in rows if row["config"]["seed"] == 0 and row["board"] == "mps2-an386"}
    keys = ("accuracy", "accuracy_int8", "accuracy_c_host", "accuracy_c_board")
    for page, least in ((PROJECT / "docs" / "keyword_spotting.md", 4), (PROJECT / "README.md", 2)):
        shown = re.findall(r"^\| `(int8|twn|ttq)`(, size|) (.*) \|$", page.read_text(), re.MULTILINE)
        shown = [
            (name + size, cells) for name, size, cells in shown if "features" not in cells and cells.count("|") == 8
        ]
        assert len(shown) >= least
        for name, cells in shown:
            row = named[name]
            assert row["recordings_that_differ"] == 0
            figures = [float(cell.strip().removesuffix(" %").replace(",", "")) for cell in cells.split("|")[1:]]
            expected = [
                row["weight_bytes"],
                row["network"]["flash_bytes"],
                row["arena_bytes"],
                row["network"]["cycles"],
            ]
            assert figures == [*(row[key] for key in keys), *expected]
        features = re.findall(r"^\| features .*$", page.read_text(), re.MULTILINE)[0]
        cost = rows[0]["features"]
        assert all(f"{cost[key]:,}" in features for key in ("flash_bytes", "cycles"))


@pytest.mark.parametrize("options", [{}, {"data_dir": Path("nowhere")}, {"wav_dir": Path("nowhere")}])
def test_without_data_it_says_how_to_get_it(options: dict[str, Path], capsys: pytest.CaptureFixture[str]):
    given = argparse.Namespace(**{"data_dir": None, "wav_dir": None, **options})
    with pytest.raises(SystemExit):
        load(argparse.ArgumentParser(), given)
    said = capsys.readouterr().err
    assert "git clone https://github.com/Jakobovski/free-spoken-digit-dataset" in said
    assert "offset   int64" in said
    assert "nowhere" in said or not options
