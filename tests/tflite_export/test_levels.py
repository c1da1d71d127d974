import numpy as np
import pytest
from random_networks import random_network

from tern_keras.ops import residual_expansion
from tflite_export import Graph, find_levels
from tflite_export.levels import find_planes, levels_of, planes_of
from tflite_export.packing import pack_base3, pack_rows


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


@pytest.mark.parametrize(
    ("row", "planes"),
    [
        ([0, 5, -5, 9, -9], [(5, -5), (4, -4)]),
        ([127, 80, 1, -128], [(1, -128), (79, 0), (47, 0)]),
        ([-128, -100, -3, 0], [(0, -3), (0, -97), (0, -28)]),
        ([1, 2, 4, 8, -16, -32], [(1, -16), (1, -16), (2, 0), (4, 0)]),
    ],
)
def test_a_sum_of_ternary_weights(row: list[int], planes: list[tuple[int, int]]) -> None:
    weights = np.array([row, [7] * len(row), [0] * len(row)], np.int8)
    found = planes_of(weights, 0)
    assert [(plane.plus[0], plane.minus[0]) for plane in found] == planes
    np.testing.assert_array_equal(sum(plane.weights().astype(int) for plane in found), weights)
    assert all(not plane.codes[1:].any() for plane in found[1:])
    assert levels_of(weights, 0) is None


def test_five_planes_are_no_gain() -> None:
    assert planes_of(np.array([[1, 2, 3, 4, 5]], np.int8), 0) is None


def test_residual_expansions_are_found() -> None:
    """What the quantizer `rel` makes, after the converter's int8 step: four planes at most, exact."""
    rng = np.random.default_rng(0)
    for t_ex in (2, 3, 4):
        w = np.asarray(residual_expansion(rng.normal(size=(3, 3, 8, 16)).astype("float32"), t_ex))
        q = np.rint(w / np.abs(w).max((0, 1, 2)) * 127).astype(np.int8)
        planes = planes_of(q, 3)
        assert len(planes) == t_ex
        np.testing.assert_array_equal(sum(plane.weights().astype(int) for plane in planes), q)


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


def test_found_planes_restore_the_weights_of_random_networks() -> None:
    planes = set()
    for seed in range(60):
        graph = Graph.read(random_network(seed))
        for index, found in find_planes(graph).items():
            restored = sum(plane.weights().astype(int) for plane in found)
            np.testing.assert_array_equal(restored, graph.tensors[index].data)
            planes.add(len(found))
    assert planes >= {1, 2, 3}


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


@pytest.mark.parametrize("size", range(1, 13))
def test_packing_to_the_base_3(size: int) -> None:
    codes = np.random.default_rng(size).integers(-1, 2, size).astype(np.int8)
    packed = pack_base3(codes)
    assert packed.shape == (-(-size // 5),)
    digits = [byte // 3**place % 3 for byte in packed.tolist() for place in range(5)]
    assert [digit - 1 for digit in digits] == codes.tolist() + [0] * (len(digits) - size)
