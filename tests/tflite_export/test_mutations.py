"""Damaged `.tflite` files: an ExportError, or the right artefact. `make fuzz` tries many more."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from artefact_check import ReferenceCheck
from fuzz_tflite import damaged, fuzz, try_export
from mutate_tflite import mutate
from random_networks import random_network
from test_graph_contents import edited, small_model

from tflite_export import export


def test_the_same_seed_gives_the_same_damage() -> None:
    content = random_network(5)
    assert [mutate(content, seed) for seed in range(30)] == [mutate(content, seed) for seed in range(30)]
    assert len({mutate(content, seed) for seed in range(30)}) > 25


def test_damaged_files_are_refused_or_exported(tmp_path: Path) -> None:
    outcomes: Counter[bool] = Counter()
    for seed in range(300):
        outcomes[try_export(damaged(seed)[1], tmp_path / "out") is None] += 1
    assert min(outcomes[True], outcomes[False]) > 20


def test_the_fuzzer_compares_what_was_exported(require_tool) -> None:
    require_tool("gcc")
    counts, violations = fuzz(count=90, jobs=1, check=2)
    assert violations == []
    assert sum(counts.values()) == 90
    assert counts["exported, equal"] > 0


BROKEN = """
import os
import tflite_export
from mutate_tflite import mutate
from random_networks import random_network

def broken(content, folder, export=tflite_export.export):
    if content == mutate(random_network(1), 1):
        raise AttributeError("a fault")
    if content == mutate(random_network(2), 2):
        os.abort()
    return export(content, folder)

tflite_export.export = broken
"""


def test_the_fuzzer_names_what_breaks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A worker that dies, or raises what it should not, is reported with the seed, and the rest goes on."""
    (tmp_path / "sitecustomize.py").write_text(BROKEN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    counts, violations = fuzz(count=4, jobs=1, check=0)
    assert counts.total() == 4
    assert [text.split(":")[0] for text in violations] == ["--seed 1", "--seed 2"]
    assert "AttributeError: a fault" in violations[0]
    assert "the process ended with -6" in violations[1]


def test_a_wrong_artefact_is_found(tmp_path: Path, require_tool) -> None:
    require_tool("gcc")
    report = export(small_model(), tmp_path / "out")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    check = ReferenceCheck(scratch)
    assert check(report, 0) == ("equal", "")

    def shift(model: Any) -> None:
        bias = model.subgraphs[0].tensors[2]
        model.buffers[bias.buffer].data = np.frombuffer(np.array([70, -70], np.int32).tobytes(), np.uint8)

    report.tflite_path.write_bytes(edited(shift))
    result, detail = check(report, 0)
    assert result == "VIOLATION"
    assert "differ from the reference" in detail
