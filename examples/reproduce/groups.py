"""Recorded runs, by what they have in common."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from recipe import Run

FLOAT_BITS = 32
LAYERS_WRITTEN_OUT = 8


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed alone.

    Attributes:
        run: the run as its script lists it; its own epochs and seed say nothing of the group.
        epochs: the epochs that they ran.
        rows: their rows, by seed.
    """

    run: Run
    epochs: int
    rows: tuple[dict[str, Any], ...]

    @property
    def first(self) -> dict[str, Any]:
        """The row of the lowest seed."""
        return self.rows[0]

    @property
    def zeros(self) -> float | None:
        """Share of zeros among the quantised weights of the first run, 0 to 1; None in a float network."""
        layers = [layer for layer in self.first["layers"] if layer["bits"] < FLOAT_BITS]
        weights = sum(layer["weights"] for layer in layers)
        return sum(layer["weights"] * (1 - layer["density"]) for layer in layers) / weights if weights else None

    @property
    def bits(self) -> str:
        """Bits of the layers of each run, "1-1-2-2-2"; one number where all have the same, one text where all runs do.

        Equal neighbours among many layers are counted, "32-2x18-32".
        """
        return ", ".join(dict.fromkeys(_bits_of(row) for row in self.rows))

    @property
    def epochs_of(self) -> str:
        """The epochs, and those of the paper where it took more."""
        full = self.run.recipe.epochs
        return str(full) if self.epochs == full else f"{self.epochs} of {full}"


def _bits_of(row: dict[str, Any]) -> str:
    bits = [str(layer["bits"]) for layer in row["layers"]]
    if len(set(bits)) == 1:
        return bits[0]
    return "-".join(bits if len(bits) <= LAYERS_WRITTEN_OUT else _counted(bits))


def _counted(bits: Sequence[str]) -> Iterator[str]:
    start = 0
    for end in range(1, len(bits) + 1):
        if end == len(bits) or bits[end] != bits[start]:
            yield bits[start] if end - start == 1 else f"{bits[start]}x{end - start}"
            start = end


def groups(rows: Sequence[dict[str, Any]], run: Run) -> list[Group]:
    """Return the recorded runs that are `run` but for seed and epochs: a group a number of epochs, the most first."""

    def identity(config: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in config.items() if key not in ("seed", "epochs")}

    found = [row for row in rows if identity(row["config"]) == identity(run.config())]
    found.sort(key=lambda row: row["config"]["seed"])
    lengths = sorted({row["config"]["epochs"] for row in found}, reverse=True)
    return [Group(run, n, tuple(row for row in found if row["config"]["epochs"] == n)) for n in lengths]


def longest(rows: Sequence[dict[str, Any]], runs: Sequence[Run]) -> list[Group]:
    """Return the longest group of each of `runs` that has one; runs that differ in their seed alone count once."""
    return [found[0] for run in runs if run.seed == 0 and (found := groups(rows, run))]
