"""Int8 `.tflite` files and C source from Keras models, equal to the tested model bit for bit.

`convert` and `export` of a Keras model load Keras and TensorFlow when they are called; the rest needs neither.
"""

from tflite_export.errors import ExportError
from tflite_export.graph import Graph
from tflite_export.levels import Levels, find_levels
from tflite_export.pipeline import export, generate_c
from tflite_export.report import ExportReport

__all__ = ["ExportError", "ExportReport", "Graph", "Levels", "export", "find_levels", "generate_c"]
