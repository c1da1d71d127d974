"""Other integers for the levels: the best ratio, small ones for int4 and int2; only weights and biases change."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from tflite_builder import OpSpec, TensorSpec, build_model, run_reference

from tern_keras.layers import QuantConv2D, QuantConv2DTranspose, QuantDense, QuantDepthwiseConv2D
from tern_keras.quantizers import TTQ
from tflite_export import ExportError, Graph, convert, export, find_levels, verify
from tflite_export.level_refinement import best_pair, unit_levels
from tflite_export.levels import weights_of
from tflite_export.reference import Reference
from tflite_export.targets import PACK_TARGETS
from tflite_export.targets.small_integers import pack_small_integers


def _brute_force(ratio: float) -> float:
    p, n = np.meshgrid(np.arange(1, 128), np.arange(1, 128))
    return float(np.abs(n / p - ratio).min())


@pytest.mark.parametrize("ratio", [1.0, 0.5, 0.3333, 0.99, 0.9961, 0.1234, 0.54321, 0.00789, 0.7071])
def test_the_best_of_all_pairs(ratio: float) -> None:
    p, n = best_pair(ratio)
    assert 1 <= n <= p <= 127
    assert abs(n / p - ratio) == pytest.approx(_brute_force(ratio), abs=1e-15)


def test_how_near_the_pairs_come() -> None:
    """The figures of the docstring."""
    ratios = np.random.default_rng(0).uniform(0.1, 1, 20_000)
    pairs = np.array([best_pair(ratio) for ratio in ratios])
    errors = np.abs(pairs[:, 1] / pairs[:, 0] - ratios) / ratios
    assert np.median(errors) < 1.1e-4
    assert 0.70 < np.mean(errors < 2e-4) < 0.72
    assert errors.max() < 4.3e-3


def _model(quantizer: str) -> tuple[keras.Model, np.ndarray]:
    keras.utils.set_random_seed(0)

    def kernel() -> object:
        return TTQ(threshold=0.05) if quantizer == "ttq" else quantizer

    model = keras.Sequential(
        [
            keras.Input((10, 10, 8)),
            QuantConv2D(16, 3, kernel_quantizer=kernel(), use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            QuantDepthwiseConv2D(3, padding="same", kernel_quantizer=kernel()),
            QuantConv2DTranspose(12, 3, kernel_quantizer=kernel()),
            keras.layers.ReLU(),
            keras.layers.GlobalAveragePooling2D(),
            QuantDense(7, kernel_quantizer=kernel()),
        ]
    )
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gains = rng.uniform(0.5, 2, 16) * rng.choice([-1, 1], 16)
            layer.set_weights([gains, rng.normal(size=16), rng.normal(size=16), rng.uniform(0.5, 2, 16)])
        for number, weight in enumerate(w for w in layer.weights if w.path.endswith(("/wp", "/wn"))):
            weight.assign(keras.ops.convert_to_tensor(0.31 if number % 2 else 0.17002))
    return model, rng.normal(size=(40, 10, 10, 8)).astype("float32")


def _pairs(tflite: bytes) -> np.ndarray:
    graph = Graph.read(tflite)
    found = [(p, m) for levels in find_levels(graph).values() for p, m in zip(levels.plus, levels.minus, strict=True)]
    return np.array([pair for pair in found if pair[0] and pair[1]], int)


def test_the_ratio_of_trained_levels() -> None:
    model, samples = _model("ttq")
    plain, refined = convert(model, samples), convert(model, samples, refine_levels=True)
    ratio = 0.17002 / 0.31

    def errors(tflite: bytes) -> np.ndarray:
        pairs = np.sort(np.abs(_pairs(tflite)), axis=1)
        return np.abs(pairs[:, 0] / pairs[:, 1] / ratio - 1)

    assert len(_pairs(refined)) == len(_pairs(plain)) > 30
    assert errors(plain).max() > 1e-3
    assert errors(refined).max() < 2e-4


def test_activations_and_everything_else_stay() -> None:
    model, samples = _model("ttq")
    plain, refined = (Graph.read(convert(model, samples, refine_levels=flag)) for flag in (False, True))
    changed = {t.index for op in plain.ops for t in weights_of(op)} | {
        op.inputs[-1].index for op in plain.ops if weights_of(op) and op.inputs[-1] is not None
    }
    for old, new in zip(plain.tensors, refined.tensors, strict=True):
        assert (old.name, old.shape, old.dtype) == (new.name, new.shape, new.dtype)
        if old.index in changed:
            continue
        assert old.quantization is None or (old.scale, old.zero_point) == (new.scale, new.zero_point)
        assert old.data is None or np.array_equal(old.data, new.data)
    assert [op.name for op in plain.ops] == [op.name for op in refined.ops]


def test_outputs_come_closer_to_the_float_model(tmp_path: Path) -> None:
    model, samples = _model("ttq")
    expected = model.predict(samples, verbose=0)
    distances = []
    for flag in (False, True):
        report = export(model, tmp_path / str(flag), samples, refine_levels=flag, cores=())
        assert verify(report, samples).ok
        (real,) = [report.outputs[0].dequantize(Reference(report.tflite_path.read_bytes())(_rows(report, samples)))]
        distances.append(float(np.sqrt(np.mean((real - expected) ** 2))))
    assert distances[1] < distances[0]


def _rows(report, samples: np.ndarray) -> np.ndarray:
    return report.inputs[0].quantize(samples)


def test_levels_of_one_magnitude_stay() -> None:
    model, samples = _model("twn")
    assert convert(model, samples, refine_levels=True) == convert(model, samples)


def test_a_file_has_its_levels(tmp_path: Path) -> None:
    model, samples = _model("twn")
    with pytest.raises(ExportError, match="has its levels already"):
        export(convert(model, samples), tmp_path, refine_levels=True)


# --- small integers


@pytest.mark.parametrize(
    ("bits", "packed"), [(4, {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}), (2, {"FULLY_CONNECTED"})]
)
def test_unit_levels_fit_few_bits(bits: int, packed: set[str], tmp_path: Path) -> None:
    model, samples = _model("twn")
    tflite = convert(model, samples, unit_levels=True)
    assert set(np.unique(np.abs(_pairs(tflite)))) == {1}
    result = pack_small_integers(tflite, bits)
    names = {t.index: op.name for op in Graph.read(tflite).ops for t in weights_of(op)}
    assert {names[index] for index, kind in result.formats.items() if kind == f"int{bits}"} == packed
    assert len(result.tflite) < len(tflite)
    assert any("TRANSPOSE_CONV does not take" in note for note in result.notes)
    rows = np.random.default_rng(1).integers(-128, 128, (20, 800)).astype(np.int8)
    outputs = PACK_TARGETS[f"int{bits}"].load(result.tflite)(rows)
    np.testing.assert_array_equal(outputs, Reference(tflite)(rows))
    assert len(np.unique(outputs)) > 20
    report = export(tflite, tmp_path, targets=(f"int{bits}", "c"), cores=())
    assert verify(report, samples).ok


def test_unit_levels_cost_little() -> None:
    """The bias's coarser unit moves an output by a step here and there."""
    model, samples = _model("twn")
    graph = Graph.read(convert(model, samples))
    limits = graph.inputs[0]
    rows = np.clip(np.rint(samples / limits.scale) + limits.zero_point, -128, 127).astype(np.int8).reshape(40, -1)
    plain, unit = (Reference(convert(model, samples, unit_levels=flag))(rows).astype(int) for flag in (False, True))
    assert np.abs(plain - unit).max() <= 2
    assert np.mean(np.abs(plain - unit)) < 0.5


def test_what_stays_int8_is_told() -> None:
    model, samples = _model("twn")
    tflite = convert(model, samples)
    result = pack_small_integers(tflite, 4)
    assert result.tflite == tflite
    assert any("its values go from -127 to 127, int4 holds -8 to 7" in note for note in result.notes)


def test_a_bias_that_two_operators_share() -> None:
    """Only the operator whose levels change gets a bias in other units."""
    rng = np.random.default_rng(0)
    ternary = 90 * rng.integers(-1, 2, (6, 8)).astype(np.int8)
    model = build_model(
        [
            TensorSpec("x", (1, 8), 0.1, 3),
            TensorSpec("ternary", (6, 8), [0.01] * 6, [0] * 6, ternary),
            TensorSpec("int8", (6, 8), [0.01] * 6, [0] * 6, rng.integers(-128, 128, (6, 8)).astype(np.int8)),
            TensorSpec("bias", (6,), [0.001] * 6, [0] * 6, rng.integers(-20_000, 20_000, 6), dtype="int32"),
            TensorSpec("y0", (1, 6), 0.5, -4),
            TensorSpec("y1", (1, 6), 0.5, -4),
        ],
        [
            OpSpec("FULLY_CONNECTED", ["x", "ternary", "bias"], ["y0"]),
            OpSpec("FULLY_CONNECTED", ["x", "int8", "bias"], ["y1"]),
        ],
        inputs=["x"],
        outputs=["y0", "y1"],
    )
    changed = unit_levels(model)
    weights, _ = (op.inputs[1] for op in Graph.read(changed).ops)
    assert weights is not None
    assert weights.data is not None
    assert set(np.unique(weights.data)) == {-1, 0, 1}
    for _ in range(20):
        x = rng.integers(-128, 128, (1, 8)).astype(np.int8)
        before, after = run_reference(model, x), run_reference(changed, x)
        np.testing.assert_allclose(after[0], before[0], atol=1)
        np.testing.assert_array_equal(after[1], before[1])
