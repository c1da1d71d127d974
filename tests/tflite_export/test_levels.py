import numpy as np
import pytest
from random_networks import random_network

from tflite_export import Graph, find_levels
from tflite_export.levels import levels_of
from tflite_export.packing import pack_rows


@pytest.mark.parametrize(
    ("rows", "bits", "plus", "minus"),
    [
        ([[127, 0, -127], [0, 0, 127]], 2, [127, 127], [-127, 0]),
        ([[127, 0, -70], [-70, 127, 0]], 2, [127, 127], [-70, -70]),
        ([[9, 0, 5], [-9, 0, -5]], 2, [9, -5], [5, -9]),
        ([[0, 0, 0], [1, 0, -1]], 2, [0, 1], [0, -1]),
        ([[127, -127, 127], [3, 3, 3]], 1, [127, 3], [-127, 0]),
        ([[0, 0, 5], [-128, 0, 0]], 1, [5, 0], [0, -128]),
        ([[0, 0], [0, 0]], 1, [0, 0], [0, 0]),
    ],
)
def test_levels(rows, bits, plus, minus) -> None:
    weights = np.array(rows, np.int8)
    levels = levels_of(weights, 0)
    assert (levels.bits, levels.plus.tolist(), levels.minus.tolist()) == (bits, plus, minus)
    np.testing.assert_array_equal(levels.weights(), weights)
    assert levels.density == np.count_nonzero(weights) / weights.size
    assert levels.codes.min() >= -1
    assert levels.codes.max() <= 1
    assert bits == 2 or np.all(levels.codes != 0)


def test_a_channel_with_more_values_is_not_ternary() -> None:
    assert levels_of(np.array([[1, 0, -1], [1, 2, 3]], np.int8), 0) is None
    assert levels_of(np.array([[1, 2, 3]], np.int8), 0) is None


def test_channels_of_any_axis() -> None:
    weights = np.random.default_rng(0).choice(np.array([-127, 0, 127], np.int8), (1, 3, 3, 5))
    levels = levels_of(weights, 3)
    assert (levels.bits, levels.plus.shape) == (2, (5,))
    np.testing.assert_array_equal(levels.weights(), weights)


def test_found_levels_restore_the_weights_of_random_networks() -> None:
    bits = set()
    for seed in range(60):
        graph = Graph.read(random_network(seed))
        for index, levels in find_levels(graph).items():
            np.testing.assert_array_equal(levels.weights(), graph.tensors[index].data)
            bits.add(levels.bits)
    assert bits == {1, 2}


@pytest.mark.parametrize("columns", range(1, 18))
@pytest.mark.parametrize("bits", [1, 2])
def test_packing(columns: int, bits: int) -> None:
    rng = np.random.default_rng(columns)
    codes = rng.choice([-1, 1] if bits == 1 else [-1, 0, 1], (3, columns)).astype(np.int8)
    packed = pack_rows(codes, bits)
    assert packed.shape == (3, -(-columns * bits // 8))
    meaning = {0: -1, 1: 1} if bits == 1 else {0: 0, 1: 1, 3: -1}
    for row, expected in zip(packed, codes, strict=True):
        number = int.from_bytes(row.tobytes(), "little")
        fields = [(number >> (bits * i)) & (2**bits - 1) for i in range(columns)]
        assert [meaning[field] for field in fields] == expected.tolist()
