"""Int8 `.tflite` files and C source from Keras models, equal to the tested model bit for bit.

Only `convert` needs Keras and TensorFlow, and loads them when it is first asked for: looking into a `.tflite` stays a
matter of milliseconds.
"""

from typing import Any

from tflite_export.benching import bench
from tflite_export.delegate import load_delegate
from tflite_export.errors import ExportError
from tflite_export.graph import Graph
from tflite_export.levels import Levels, find_levels
from tflite_export.pipeline import export, generate_c
from tflite_export.report import ExportReport
from tflite_export.running import BoardRun, run
from tflite_export.targets import pack
from tflite_export.verification import VerifyReport, verify

__all__ = [
    "BoardRun",
    "ExportError",
    "ExportReport",
    "Graph",
    "Levels",
    "VerifyReport",
    "bench",
    "convert",
    "export",
    "find_levels",
    "generate_c",
    "load_delegate",
    "pack",
    "run",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name == "convert":
        from tflite_export.conversion import convert

        return convert
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
