"""What a trained network does in C, and what it takes: on this machine, and on an emulated Cortex-M4."""

from pathlib import Path
from typing import Any

import keras
from datasets import Images

from tern_keras import finalize, profile
from tflite_export import ExportReport, bench, export, run, verify

CALIBRATION_SAMPLES = 1000
BOARD = "mps2-an386"


def measure(
    model: keras.Model, images: Images, folder: Path, name: str, board_samples: int, optimize: str
) -> dict[str, Any]:
    """Export a model with a softmax behind its logits and measure its C.

    Args:
        model: a trained network; takes what `images.normalised` returns.
        images: the data set.
        folder: for the exported files.
        name: for the C.
        board_samples: how many of the test images go to the emulated board.
        optimize: "speed" or "size", for `tflite_export.export`.

    Returns:
        Accuracies in percent, bytes, instructions, and estimated cycles on the Cortex-M4.

    Raises:
        SystemExit: an output of the C is not the int8 reference's.
    """
    classifier = keras.Model(model.inputs[0], keras.layers.Softmax(name="softmax")(model.outputs[0]), name=name)
    calibration = images.normalised(images.x_train[:CALIBRATION_SAMPLES])
    report = export(finalize(classifier), folder, calibration=calibration, name=name, optimize=optimize)
    x_test = images.normalised(images.x_test)
    reference, c = verify(report, x_test, images.y_test).checks
    board = run(report, x_test[:board_samples], images.y_test[:board_samples], board=BOARD)
    if c.different or board.different:
        raise SystemExit(f"{name}: {c.different} outputs on the host, {board.different} on the board differ from int8")
    report = bench(report, BOARD)
    (counted,) = report.benchmarks
    (core,) = report.cores
    weight_bytes = {variant.name: variant.weight_bytes for variant in report.variants}
    return {
        "accuracy": {"int8": round(100 * reference.accuracy, 2), "C": round(100 * c.accuracy, 2)},
        "images": len(x_test),
        "different": c.different,
        "board": {
            "name": board.board,
            "emulator": board.emulator,
            "compiler": counted.compiler,
            "images": len(board.outputs),
            "different": board.different,
            "instructions": counted.instructions,
            "cycles": counted.cycles,
        },
        "macs": report.macs,
        "flash": core.flash_bytes,
        "code": core.code_bytes,
        "stack": core.stack_bytes,
        "arena": report.arena_bytes + report.interface_bytes,
        "weight_bytes": {**weight_bytes, "C": report.weight_bytes},
        "layers": _layers(model, report),
    }


def _layers(model: keras.Model, report: ExportReport) -> list[dict[str, Any]]:
    """Return the layers with weights, under the names that they have in Keras; the file's order may be another."""
    names = [(layer.name, layer.weights) for layer in profile(model).layers if layer.kernel_shape]
    rows = []
    for layer in report.layers:
        if layer.bits is None:
            continue
        name = next(entry for entry in names if entry[1] == layer.weight_count)
        names.remove(name)
        rows.append(
            {
                "name": name[0],
                "weights": layer.weight_count,
                "format": layer.weights,
                "kernel": layer.kernel,
                "bits": round(layer.bits, 3),
                "density": None if layer.density is None else round(layer.density, 4),
            }
        )
    return rows
