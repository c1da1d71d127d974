"""Random int8 LSTM operators, for models of `tflite_builder`."""

from __future__ import annotations

import numpy as np
from tflite_builder import OpSpec, TensorSpec

GATES = ("input", "forget", "cell", "output")
KINDS = ("ternary", "asymmetric", "binary", "int8")


def lstm_specs(
    rng: np.random.Generator,
    x: TensorSpec,
    y: str,
    units: int,
    *,
    time_major: bool = False,
    cell_clip: float = 0.0,
    cell_fraction: int = 11,
    prefix: str = "lstm",
) -> tuple[list[TensorSpec], OpSpec]:
    """An operator with random weights, and its tensors: of the output `y`, but for the input `x`.

    Each matrix has a scale and a format of its own; gates are mostly inside of [-8, 8], and now and then beyond.

    Args:
        rng: what is drawn from.
        x: int8, shape (1, steps, inputs), or (steps, 1, inputs).
        y: the output's name.
        units: of the state.
        time_major: which of x's shapes it is.
        cell_clip: the option of this name.
        cell_fraction: the cell state's scale is 2^-cell_fraction.
        prefix: of the names of all other tensors.
    """
    steps, inputs = max(x.shape[:2]), x.shape[2]
    hidden = (float(np.float32(rng.uniform(0.004, 0.012))), int(rng.integers(-20, 20)))
    # mostly what the recurrent matrices read is quantised alike, as the converter does it
    state = hidden if rng.random() < 0.5 else (float(np.float32(hidden[0] * 1.1)), hidden[1] - 3)
    tensors = []
    for gate in GATES:
        bias_scale = 0.0
        for kind, length, scale in (("input", inputs, x.scale), ("recurrent", units, state[0])):
            data = _weights(rng, (units, length))
            spread = np.sqrt(np.mean(np.square(data.astype(float)), 1).max() * length) * 74 * scale
            weights_scale = float(np.float32(rng.choice([0.5, 2, 6]) / max(spread, 1e-3)))
            tensors.append(TensorSpec(f"{prefix}_{kind}_{gate}", data.shape, weights_scale, 0, data))
            bias_scale = bias_scale or weights_scale * scale
        bias = (rng.normal(0, 1, units) / bias_scale).astype(np.int32)
        tensors.append(TensorSpec(f"{prefix}_bias_{gate}", (units,), bias_scale, 0, bias, dtype="int32"))
    tensors += [
        TensorSpec(f"{prefix}_hidden_state", (1, units), *state, variable=True),
        TensorSpec(f"{prefix}_cell_state", (1, units), 2.0**-cell_fraction, 0, dtype="int16", variable=True),
        *(TensorSpec(f"{prefix}_intermediate_{i}", (0,), dtype="float32") for i in range(4)),
        TensorSpec(f"{prefix}_hidden", (0,), *hidden),
        TensorSpec(y, (steps, 1, units) if time_major else (1, steps, units), *hidden),
    ]
    names = [
        x.name,
        *(f"{prefix}_input_{gate}" for gate in GATES),
        *(f"{prefix}_recurrent_{gate}" for gate in GATES),
        *("", "", ""),
        *(f"{prefix}_bias_{gate}" for gate in GATES),
        *("", ""),
        f"{prefix}_hidden_state",
        f"{prefix}_cell_state",
        *("", "", "", ""),
    ]
    intermediates = [*(f"{prefix}_intermediate_{i}" for i in range(4)), f"{prefix}_hidden"]
    options = {"timeMajor": time_major, "cellClip": cell_clip}
    return tensors, OpSpec("UNIDIRECTIONAL_SEQUENCE_LSTM", names, [y], options, intermediates)


def _weights(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    kind = KINDS[int(rng.integers(len(KINDS)))]
    if kind == "int8":
        return rng.integers(-127, 128, shape).astype(np.int8)
    codes = rng.choice([-1, 1], shape) if kind == "binary" else rng.choice([-1, 0, 1], shape, p=[0.3, 0.4, 0.3])
    minus = -int(rng.integers(1, 128)) if kind == "asymmetric" else -127
    return np.where(codes > 0, 127, np.where(codes < 0, minus, 0)).astype(np.int8)
