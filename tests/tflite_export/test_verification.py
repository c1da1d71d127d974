from pathlib import Path

import numpy as np
import pytest
from tflite_builder import OpSpec, TensorSpec, build_model

from tflite_export import ExportError, ExportReport, export, run, verify


@pytest.fixture
def report(tmp_path: Path) -> ExportReport:
    """Three classes: the logits are the inputs."""
    weights = np.eye(3, dtype=np.int8) * 127
    tensors = [
        TensorSpec("x", (1, 3), 1 / 127, 0),
        TensorSpec("w", (3, 3), 1 / 127, 0, weights),
        TensorSpec("y", (1, 3), 1 / 127, 0),
    ]
    model = build_model(tensors, [OpSpec("FULLY_CONNECTED", ["x", "w", ""], ["y"])], ["x"], ["y"])
    return export(model, tmp_path)


X = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1], [-1, -0.5, -0.9]], np.float32)


def test_equal_outputs_and_accuracy(report: ExportReport) -> None:
    outcome = verify(report, X, np.array([0, 1, 2, 2]))
    assert outcome.ok
    assert outcome.samples == 4
    assert [check.different for check in outcome.checks] == [0, 0]
    assert [check.accuracy for check in outcome.checks] == [0.75, 0.75]


def test_a_difference_is_found(report: ExportReport) -> None:
    source = report.folder / "model.c"
    text = source.read_text()
    assert ".zero_point = 0," in text
    source.write_text(text.replace(".zero_point = 0,", ".zero_point = 1,"))
    outcome = verify(report, X)
    assert not outcome.ok
    assert outcome.checks[1].different == 4
    assert outcome.checks[1].accuracy is None


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((4, 2)), None, r"shape \(4, 2\), expected \(samples, 3\)"),
        (np.zeros((0, 3)), None, "shape"),
        (np.zeros((3, 1)), None, "shape"),
        (np.float32(1), None, "shape|same length"),
        (np.array(["a"] * 3)[None], None, "or not finite"),
        (np.full((1, 3), np.inf), None, "or not finite"),
        (np.ones((4, 3), np.uint8), None, "is uint8.*scaled as the model's training data"),
        ([X, X], None, r"has 1 input\(s\): give one array"),
        (X, np.array([0, 1, 2, 3]), r"labels run from 0 to 3, but the model has 3 output\(s\)"),
        (X, np.zeros(3, int), "give an integer a sample"),
        (X, np.zeros(4, float), "give an integer a sample"),
    ],
)
def test_bad_data(report: ExportReport, x, y, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        verify(report, x, y)


def test_quantisation_rounds_and_saturates(report: ExportReport) -> None:
    q = report.inputs[0].quantize(np.array([[0.0, 10.0, -10.0], [1 / 127, 1.4 / 127, -1.6 / 127]]))
    assert q.tolist() == [[0, 127, -128], [1, 1, -2]]


@pytest.mark.parametrize("board", ["mps2-an386", "mps2-an385-m0"])
def test_the_board_computes_the_same_without_root(report: ExportReport, board: str) -> None:
    result = run(report, X, np.array([0, 1, 2, 0]), board=board, compiler="zig", emulator="unicorn")
    assert (result.different, result.accuracy) == (0, 0.75)
    assert (result.compiler, result.emulator) == ("zig", "unicorn")
    assert result.instructions > 0
    assert result.sizes.text > 0
    np.testing.assert_allclose(result.real_outputs()[0], X, atol=1 / 127)


def test_data_in_other_units_is_warned_of(report: ExportReport) -> None:
    with pytest.warns(UserWarning, match=r"67% of the values for 'x' are outside .* range \[-1.01, 1\]"):
        verify(report, X * 100)


def test_a_path_is_no_report(report: ExportReport) -> None:
    with pytest.raises(ExportError, match=r"ExportReport\.load\(folder\)"):
        verify(str(report.folder), X)  # type: ignore[arg-type]


def test_unknown_board(report: ExportReport) -> None:
    with pytest.raises(ExportError, match=r"unknown board 'pico'.*mps2-an386"):
        run(report, X, board="pico")
