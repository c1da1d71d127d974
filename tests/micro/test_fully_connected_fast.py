"""The fast fully connected layers against NumPy: what the exporter makes of them, in the build for this machine."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import tern_c
from cases import random_int8
from numpy_kernels import Float64Requantization, fully_connected
from tern_c import FloorRequantizationParams, FullyConnectedFastParams, FullyConnectedPairsParams, make

from tflite_export import connected_packing as packing
from tflite_export.kernel_call import Constant
from tflite_export.lowering.fully_connected import floor_requantization

LAYOUTS = {
    "pairs": packing.pack_pairs,
    "split": packing.pack_split,
    "tables": packing.pack_tables,
    "split_tables": packing.pack_split_tables,
    "fractions": packing.pack_fractions,
    "split_fractions": packing.pack_split_fractions,
}
PAIRED = ("pairs", "split")
SPLIT = ("split", "split_tables", "split_fractions")


def floor(
    weights: np.ndarray, levels: tuple[np.ndarray, np.ndarray], zero_point: int, spec: Float64Requantization
) -> Any:
    fraction, shift = np.frexp(spec.real)
    found = floor_requantization(
        {
            "input_zero_point": zero_point,
            "requantization": {
                "bias": None if spec.bias is None else Constant("bias", spec.bias),
                "multiplier": Constant("multiplier", np.ldexp(fraction, 53).astype(np.uint64)),
                "shift": Constant("shift", shift),
                "zero_point": spec.zero_point,
                "minimum": spec.minimum,
                "maximum": spec.maximum,
            },
        },
        weights,
        *levels,
    )
    assert found is not None
    words: Any = found["outputs"]
    limits = (spec.zero_point, spec.minimum, spec.maximum)
    return make(FloorRequantizationParams, tern_c.pointer(words.data, np.uint32), *limits)


def check_ternary(
    layout: str,
    x: np.ndarray,
    codes: np.ndarray,
    levels: tuple[np.ndarray, np.ndarray],
    zero_point: int,
    spec: Float64Requantization,
) -> None:
    """Codes: (outputs, inputs); levels: of plus and minus."""
    plus, minus = (level.astype(int)[:, None] for level in levels)
    weights = np.where(codes > 0, plus, np.where(codes < 0, minus, 0))
    sizes = [len(x), x.shape[1], len(codes)]
    if layout in PAIRED:
        block = packing.block_inputs(codes, layout)
        sizes.append(block)
        scratch_bytes = packing.pair_scratch_bytes(x.shape[1], block)
    else:
        scratch_of = packing.fraction_scratch_bytes if "fractions" in layout else packing.table_scratch_bytes
        scratch_bytes = scratch_of(len(codes), split=layout in SPLIT)
    params = make(
        FullyConnectedPairsParams if layout in PAIRED else FullyConnectedFastParams,
        *sizes,
        tern_c.pointer(LAYOUTS[layout](codes), np.uint32),
        floor(weights, levels, zero_point, spec),
    )
    assert tern_c.scratch_bytes(f"tern_fully_connected_{layout}", params) == scratch_bytes
    output = tern_c.call(f"tern_fully_connected_{layout}", params, x, output=(len(x), len(codes)))
    np.testing.assert_array_equal(output, fully_connected(x, weights, zero_point, spec))


def check_int8(x: np.ndarray, weights: np.ndarray, zero_point: int, spec: Float64Requantization) -> None:
    sizes, ones = (len(x), x.shape[1], len(weights)), np.ones(len(weights), np.int8)
    packed = tern_c.pointer(packing.pack_quads(weights.astype(np.int8)), np.uint32)
    params = make(FullyConnectedFastParams, *sizes, packed, floor(weights, (ones, 0 * ones), zero_point, spec))
    output = tern_c.call("tern_fully_connected_int8", params, x, output=(len(x), len(weights)))
    np.testing.assert_array_equal(output, fully_connected(x, weights, zero_point, spec))


def random_spec(rng: np.random.Generator, outputs: int, inputs: int) -> Float64Requantization:
    minimum, maximum = sorted(rng.integers(-128, 128, 2).tolist()) if rng.random() < 0.3 else (-128, 127)
    real = 2.0 ** rng.uniform(-9, -6, outputs) / math.sqrt(inputs)
    bias = rng.integers(-(2**14), 2**14, outputs) if rng.random() < 0.8 else None
    return Float64Requantization(bias, real, int(rng.integers(-128, 128)), minimum, maximum)


def random_levels(rng: np.random.Generator, layout: str, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    plus = rng.integers(-127, 128, outputs).astype(np.int8)
    return plus, random_int8(rng, outputs) if layout in SPLIT else -plus


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("seed", range(60))
def test_any_size(layout: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    inputs = int(rng.integers(1, 70) if seed % 3 else rng.integers(70, 2500))
    x = random_int8(rng, rng.integers(1, 4), inputs)
    outputs = int(rng.integers(1, 20))
    codes = rng.choice([-1, 0, 1], (outputs, inputs), p=[[0.3, 0.4, 0.3], [0.5, 0, 0.5], [0.05, 0.9, 0.05]][seed % 3])
    codes[rng.random(outputs) < 0.2] = 0
    spec = random_spec(rng, outputs, inputs)
    check_ternary(
        layout, x, codes.astype(np.int8), random_levels(rng, layout, outputs), int(rng.integers(-128, 128)), spec
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "inputs", [1, 4, 5, 15, 16, 17, 20, 21, 28, 48, 49, 63, 64, 65, 112, 113, 1008, 1009, 1024, 1025, 2100]
)
@pytest.mark.parametrize("code", [-1, 1])
@pytest.mark.parametrize("x", [-128, 127])
def test_every_input_and_every_weight_extreme(layout: str, inputs: int, code: int, x: int) -> None:
    codes = np.full((9, inputs), code, np.int8)
    codes[1::2] *= -1
    levels = np.full(9, 127, np.int8), np.full(9, -128 if layout in SPLIT else -127, np.int8)
    spec = Float64Requantization(np.arange(9) - 4, np.full(9, 0.007 / inputs), 3)
    for zero_point in (-128, 127):
        check_ternary(layout, np.full((2, inputs), x), codes, levels, zero_point, spec)


@pytest.mark.parametrize("layout", PAIRED)
@pytest.mark.parametrize("nonzeros", [63, 64])
def test_a_block_at_its_bound(layout: str, nonzeros: int) -> None:
    """As many weights that are not zero as a block of 112 inputs may have, and one more, which takes smaller blocks."""
    codes = np.zeros((8, 112), np.int8)
    codes[:, -nonzeros:] = 1
    assert (packing.block_inputs(codes, layout) == 112) == (nonzeros <= 63)
    levels = np.full(8, 90, np.int8), np.full(8, -90, np.int8)
    spec = Float64Requantization(None, np.full(8, 1e-4))
    check_ternary(layout, np.full((1, 112), -128), codes, levels, 0, spec)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("offset", range(4))
def test_an_input_that_starts_anywhere(layout: str, offset: int) -> None:
    """A caller's input may lie on any address."""
    rng = np.random.default_rng(offset)
    x = random_int8(rng, 90 + 4)[offset : offset + 90].reshape(2, 45)
    codes = rng.integers(-1, 2, (5, 45)).astype(np.int8)
    check_ternary(layout, x, codes, random_levels(rng, layout, 5), 5, random_spec(rng, 5, 45))


@pytest.mark.parametrize("seed", range(60))
def test_int8_weights(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = random_int8(rng, rng.integers(1, 4), rng.integers(1, 90))
    weights = random_int8(rng, rng.integers(1, 20), x.shape[1])
    check_int8(x, weights, int(rng.integers(-128, 128)), random_spec(rng, len(weights), x.shape[1]))


@pytest.mark.parametrize("weight", [-128, 127])
@pytest.mark.parametrize("x", [-128, 127])
def test_every_input_and_every_int8_weight_extreme(x: int, weight: int) -> None:
    spec = Float64Requantization(np.arange(5) - 2, np.full(5, 3e-6), -7)
    check_int8(np.full((1, 2500), x), np.full((5, 2500), weight), -1 - x, spec)


@pytest.mark.parametrize("offset", range(4))
def test_an_input_of_int8_weights_that_starts_anywhere(offset: int) -> None:
    rng = np.random.default_rng(offset)
    x = random_int8(rng, 90 + 4)[offset : offset + 90].reshape(2, 45)
    check_int8(x, random_int8(rng, 5, 45), 5, random_spec(rng, 5, 45))
