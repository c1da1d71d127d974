"""What the benchmarks share: cores, random weights, and rows that a later run replaces."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

FOLDER = Path(__file__).resolve().parent
BASELINES = FOLDER / "baselines.json"
BOARD_OF = {
    "m0": "mps2-an385-m0",
    "m3": "mps2-an385",
    "m4": "mps2-an386",
    "m7": "mps2-an500",
    "m55": "mps3-an547",
    "rv32": "riscv-virt",
}


def random_weights(
    layer: keras.layers.Layer, kind: str, zeros: float, levels: int, rng: np.random.Generator
) -> np.ndarray:
    """Weights for a layer that keep the size of its inputs behind a ReLU.

    Args:
        layer: one with a kernel.
        kind: "ternary", "binary", or "int8" for normally distributed ones.
        zeros: the fraction of ternary ones.
        levels: 1, or 2 for negative weights of another size.
        rng: the source of chance.
    """
    shape = tuple(layer.kernel.shape)
    inputs = shape[:2] if isinstance(layer, keras.layers.DepthwiseConv2D) else shape[:-1]
    if kind == "int8":
        weights = rng.normal(size=shape)
    elif kind == "binary":
        weights = rng.choice([-1.0, 1.0], shape)
    else:
        below = -1.0 if levels == 1 else -0.7
        weights = rng.choice([below, 0.0, 1.0], shape, p=[(1 - zeros) / 2, zeros, (1 - zeros) / 2])
        weights /= np.sqrt(1 - zeros)
    return weights * np.sqrt(2 / np.prod(inputs))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of earlier runs."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def write_rows(path: Path, rows: list[dict[str, Any]], names: Sequence[str]) -> None:
    """Put rows into a file, each in place of one that has the same values of `names`."""
    merged = {tuple(str(row[name]) for name in names): row for row in [*read_rows(path), *rows]}
    temporary = path.with_suffix(".new")
    temporary.write_text("".join(json.dumps(merged[key]) + "\n" for key in sorted(merged)))
    temporary.replace(path)
