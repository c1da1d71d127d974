"""The rows of results: a file of JSON lines for each experiment."""

import json
from pathlib import Path
from typing import Any

from recipe import Run

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"


def read(folder: Path = RESULTS) -> list[dict[str, Any]]:
    """Return the rows of all experiments, each file's in the order of their recording."""
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]


def find(rows: list[dict[str, Any]], run: Run) -> dict[str, Any] | None:
    """Return the row of a run, whichever experiment recorded it, or None."""
    config = run.config()
    return next((row for row in rows if row["config"] == config), None)


def append(experiment: str, row: dict[str, Any], folder: Path = RESULTS) -> None:
    """Add a row to an experiment."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{experiment}.jsonl"
    before = path.read_text() if path.exists() else ""
    temporary = path.with_suffix(".new")
    temporary.write_text(before + json.dumps(row) + "\n")
    temporary.replace(path)
