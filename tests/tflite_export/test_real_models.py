"""Networks that others trained and converted: the C equals the reference on 1,000 inputs each, bit for bit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tflite_export import ExportReport, export
from tflite_export.boards import get_board
from tflite_export.emulator import run_firmware
from tflite_export.firmware import ModelInterface, build_firmware
from tflite_export.host import HostModel, c_sources, include_dirs
from tflite_export.reference import reference_of

MODELS = (
    "mlperf_tiny/ad01_int8",
    "mlperf_tiny/ic_pretrainedResnet_quant",
    "mlperf_tiny/kws_ref_model",
    "mlperf_tiny/str_ww_ref_model",
    "mlperf_tiny/vww_96_int8",
    "tflm/hello_world_int8",
    "tflm/micro_speech_quantized",
    "tflm/person_detect",  # LiteRT refuses it; TFLM is the reference
    "tflm/trained_lstm_int8",
)
SAMPLES = 1000


@pytest.fixture(scope="module", params=MODELS)
def report(
    request: pytest.FixtureRequest,
    shared_dir: Path,
    require_module: Callable[..., None],
    tmp_path_factory: pytest.TempPathFactory,
) -> ExportReport:
    require_module("tflite_micro")
    path = shared_dir / "models" / f"{request.param}.tflite"
    return export(path, tmp_path_factory.mktemp("export"), name=path.stem)


def _samples(report: ExportReport, count: int = SAMPLES) -> np.ndarray:
    """Noise, and waves with noise: noise alone mostly saturates a classifier's softmax."""
    rng = np.random.default_rng(0)
    width = sum(tensor.nbytes for tensor in report.inputs)
    phase, frequency = rng.uniform(0, 6.3, (count, 1)), 10.0 ** rng.uniform(-4, -0.5, (count, 1))
    waves = rng.uniform(20, 127, (count, 1)) * np.sin(phase + frequency * np.arange(width))
    waves += rng.normal(0, rng.uniform(0, 20, (count, 1)), (count, width))
    noise = rng.integers(-128, 128, (count, width))
    return np.where(rng.random((count, 1)) < 0.3, noise, np.clip(waves, -128, 127)).astype(np.int8)


@pytest.mark.shared
def test_c_on_the_host_equals_the_reference(report: ExportReport) -> None:
    samples = _samples(report)
    outputs = HostModel(report)(samples)
    np.testing.assert_array_equal(outputs, reference_of(report.tflite_path.read_bytes())(samples))
    assert len(np.unique(outputs, axis=0)) > 10


@pytest.mark.shared
@pytest.mark.emulator
def test_an_emulated_core_equals_the_host(
    report: ExportReport, require_board: Callable[[str], None], tmp_path: Path
) -> None:
    require_board("mps2-an386")
    samples = _samples(report, 2)
    interface = ModelInterface(
        report.name,
        tuple(tensor.nbytes for tensor in report.inputs),
        tuple(tensor.nbytes for tensor in report.outputs),
        report.arena_bytes,
    )
    board = get_board("mps2-an386")
    firmware = build_firmware(c_sources(report), include_dirs(report), board, interface, tmp_path / "model.elf")
    np.testing.assert_array_equal(run_firmware(firmware, samples).outputs, HostModel(report)(samples))
