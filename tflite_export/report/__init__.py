"""What an export made, and what it costs: `report.json` beside the artefacts, tables, and a page to look at."""

from tflite_export.report.interface import Interface, expected_arrays
from tflite_export.report.model import (
    PAGE_FILE,
    REPORT_FILE,
    Benchmark,
    CoreReport,
    ExportReport,
    LayerReport,
    Reserve,
    Variant,
)
from tflite_export.report.parts import PARTS, Fit, Part, fit_parts

__all__ = [
    "PAGE_FILE",
    "PARTS",
    "REPORT_FILE",
    "Benchmark",
    "CoreReport",
    "ExportReport",
    "Fit",
    "Interface",
    "LayerReport",
    "Part",
    "Reserve",
    "Variant",
    "expected_arrays",
    "fit_parts",
]
