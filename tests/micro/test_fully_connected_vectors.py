"""The fully connected layer for Helium against NumPy, in its own build for this machine and in the worst of cases."""

from __future__ import annotations

import numpy as np
import pytest
import tern_c
from cases import random_int8
from tern_c import FullyConnectedVectorsParams, make

from tflite_export.vector_packing import pack_connected_int8, pack_fields, whole_groups

Levels = tuple[np.ndarray, np.ndarray | None]


def check(rng: np.random.Generator, inputs: np.ndarray, weights: np.ndarray, levels: Levels | None) -> None:
    """Weights: (outputs, inputs); with levels codes -1, 0, 1; `minus` None where it is -`plus`."""
    outputs = len(weights)
    plus, minus = levels or (None, None)
    codes = weights + 1 if minus is None else np.where(weights < 0, 2, weights)
    packed = pack_connected_int8(weights.astype(np.int8)) if levels is None else pack_fields(codes)
    if plus is not None:
        below = -plus.astype(int) if minus is None else minus
        weights = np.where(weights > 0, plus[:, None], np.where(weights < 0, below[:, None], 0))
    zero_point, output_zero_point = int(rng.integers(-128, 128)), int(rng.integers(-128, 128))
    bias = rng.integers(-(2**14), 2**14, outputs)
    multiplier, shift = rng.integers(2**30, 2**31, outputs), rng.integers(1, 23, outputs)
    minimum, maximum = sorted(rng.integers(-128, 128, 2).tolist()) if rng.random() < 0.3 else (-128, 127)
    folded = bias - (zero_point + (0 if levels is None else 128)) * weights.sum(1, dtype=int)
    params = make(
        FullyConnectedVectorsParams,
        *inputs.shape,
        outputs,
        8 if levels is None else 2,
        tern_c.pointer(packed, np.uint8),
        *(None if level is None else tern_c.pointer(whole_groups(level), np.int8) for level in (plus, minus)),
        tern_c.pointer(whole_groups(folded), np.int32),
        tern_c.pointer(whole_groups(multiplier), np.int32),
        tern_c.pointer(whole_groups(-shift, -1), np.int8),
        output_zero_point,
        minimum,
        maximum,
    )
    sums = (inputs.astype(int) - zero_point) @ weights.T.astype(int) + bias
    scaled = (sums * multiplier + (1 << 31 + shift)) >> 32 + shift
    expected = np.clip(scaled + output_zero_point, minimum, maximum)
    output = tern_c.call("tern_fully_connected_vectors", params, inputs, output=(len(inputs), outputs))
    np.testing.assert_array_equal(output, expected)


@pytest.mark.parametrize("seed", range(200))
def test_any_shape(seed: int) -> None:
    rng = np.random.default_rng(seed)
    inputs = random_int8(rng, int(rng.integers(1, 4)), int(rng.integers(1, 70)))
    shape = (int(rng.integers(1, 12)), inputs.shape[1])
    if seed % 3 == 0:
        check(rng, inputs, random_int8(rng, *shape), None)
    else:
        plus, minus = random_int8(rng, shape[0]), random_int8(rng, shape[0])
        check(rng, inputs, rng.integers(-1, 2, shape), (plus, None if seed % 3 == 1 else minus))


@pytest.mark.parametrize("w", [-1, 0, 1])
@pytest.mark.parametrize("x", [-128, 127])
@pytest.mark.parametrize("minus", [None, -128])
def test_every_input_and_every_weight_extreme(x: int, w: int, minus: int | None) -> None:
    """Sums of codes fill 32 bits, unsigned, at 65536 inputs."""
    levels = np.full(3, 127), None if minus is None else np.full(3, minus)
    check(np.random.default_rng(0), np.full((1, 65_536), x), np.full((3, 65_536), w), levels)
