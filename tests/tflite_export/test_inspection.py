import json

import numpy as np
import pytest
from random_networks import random_network
from tflite_builder import OpSpec, TensorSpec, build_model

from tflite_export import ExportError
from tflite_export.arena import Buffer, lower_bound
from tflite_export.inspection import Inspection, inspect


def _conv(weights: np.ndarray) -> Inspection:
    """Inspects a convolution, then a mean over its image."""
    filters, channels = weights.shape[0], weights.shape[-1]
    model = build_model(
        [
            TensorSpec("x", (1, 8, 8, channels), 0.5, 3),
            TensorSpec("w", weights.shape, [0.1] * filters, 0, weights),
            TensorSpec("b", (filters,), 0.05, 0, np.arange(filters), dtype="int32"),
            TensorSpec("y", (1, 4, 4, filters), 0.25, -128),
            TensorSpec("axes", (2,), None, 0, np.array([1, 2]), dtype="int32"),
            TensorSpec("z", (1, filters), 0.25, -128),
        ],
        [
            OpSpec("CONV_2D", ["x", "w", "b"], ["y"], {"padding": "SAME", "strideH": 2, "strideW": 2}),
            OpSpec("MEAN", ["y", "axes"], ["z"]),
        ],
        ["x"],
        ["z"],
    )
    found = inspect(model)
    assert found.tflite_bytes == len(model)
    return found


@pytest.mark.parametrize(
    ("rows", "levels", "density"),
    [
        ([[127, 0, -127, 0], [0, 0, 127, 127]], "ternary {-127, 0, 127}", 0.5),
        ([[127, 0, -127, 0], [0, 0, 60, 60]], "ternary {-127, 0, 60, 127}", 0.5),
        ([[1, -1, 1, -1], [1, 1, 1, 1]], "binary {-1, 1}", 1.0),
        ([[2, 1, 0, -1], [0, 0, 0, -2]], "5 levels {-2, -1, 0, 1, 2}", 0.5),
        ([[2, 1, 0, -1], [7, 6, 5, 4]], "8 levels", 7 / 8),
    ],
)
def test_levels_of_weights(rows: list, levels: str, density: float) -> None:
    weights = np.array(rows, np.int8).reshape(2, 2, 2, 1)
    found = _conv(weights)
    constant = found.operators[0].constants[0]
    assert (constant.levels, constant.density, constant.scales, constant.bytes) == (levels, density, 2, 8)
    assert found.packable_bytes == (8 if constant.packable else 0)


def test_channels_of_one_weight_are_not_called_binary() -> None:
    constant = _conv(np.arange(9, dtype=np.int8).reshape(9, 1, 1, 1)).operators[0].constants[0]
    assert constant.levels == "9 levels"


def test_sizes() -> None:
    found = _conv(np.ones((5, 3, 3, 2), np.int8))
    assert found.operators[0].macs == 4 * 4 * 5 * 3 * 3 * 2 == found.macs
    assert found.constant_bytes == 5 * 3 * 3 * 2 + 5 * 4 + 2 * 4
    assert found.activation_bytes == 8 * 8 * 2 + 4 * 4 * 5
    assert [operator.op for operator in found.operators] == ["CONV_2D", "MEAN"]
    assert str(found.inputs[0]) == "'x' int8 1x8x8x2, scale 0.5, zero point 3: -65.5 to 62"


def test_table_and_summary() -> None:
    found = _conv(np.ones((5, 3, 3, 2), np.int8))
    rows = list(zip(*(column.cells for column in found.table("net").columns), strict=True))
    assert rows[0] == (
        *("0", "CONV_2D", "int8 1x4x4x5", "/2x2 SAME", "int8 5x3x3x2", "binary {1}", "1.00", "110", "1,440"),
    )
    assert rows[-1][1] == "total"
    assert "activations at least 208 bytes at the same time" in found.summary()


def test_json_is_json_for_any_network() -> None:
    for seed in range(20):
        model = random_network(seed)
        found = json.loads(inspect(model).json())
        assert found["tflite_bytes"] == len(model)
        assert len(found["operators"]) > 0


def test_what_cannot_be_read() -> None:
    with pytest.raises(ExportError, match=r"not a \.tflite"):
        inspect(b"text")


@pytest.mark.shared
def test_shared_models(shared_dir) -> None:
    found = inspect(shared_dir / "models" / "mlperf_tiny" / "vww_96_int8.tflite")
    assert found.macs == 7489664
    assert found.activation_bytes == 48 * 48 * (8 + 16)
    lstm = inspect(shared_dir / "models" / "tflm" / "trained_lstm_int8.tflite")
    assert lstm.operators[0].macs == 28 * 4 * (20 * 28 + 20 * 20)


def test_the_sum_of_lives_is_the_largest_of_any_step() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        lives = [(int(size), *sorted(map(int, rng.integers(0, 9, 2)))) for size in rng.integers(1, 99, 12)]
        buffers = [Buffer(*life) for life in lives]
        steps = [sum(size for size, first, last in lives if first <= step <= last) for step in range(9)]
        assert lower_bound(buffers) == max(steps)
    assert lower_bound([]) == 0
