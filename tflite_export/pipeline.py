"""From a model to a folder of artefacts: the `.tflite`, the same file as a C array, and the C source."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tflite_export import c_source
from tflite_export.arena_limit import plan_within
from tflite_export.boards import DEFAULT_CORE
from tflite_export.core_sizes import check_cores, measure_core
from tflite_export.costs import layer_reports, variants
from tflite_export.errors import ExportError
from tflite_export.files import read_file, write_files
from tflite_export.graph import Graph
from tflite_export.kernel_call import KernelCall
from tflite_export.lowering import check_interface, check_optimize, lower
from tflite_export.memory import MemoryPlan
from tflite_export.micro_sources import kernel_sources, micro_dir
from tflite_export.report import PAGE_FILE, REPORT_FILE, CoreReport, ExportReport, Interface
from tflite_export.targets import PACK_TARGETS
from tflite_export.version import version

if TYPE_CHECKING:
    import keras

TARGETS = ("int8", *PACK_TARGETS, "c")
DEFAULT_TARGETS = ("int8", "c")
# The folder of the kernel library beside the generated source.
RUNTIME_FOLDER = "tern"


def export(
    model: keras.Model | bytes | str | Path,
    out_dir: str | Path,
    calibration: np.ndarray | Sequence[np.ndarray] | None = None,
    targets: str | Sequence[str] = DEFAULT_TARGETS,
    name: str = "model",
    optimize: str = "speed",
    arena_limit: int | None = None,
    core: str = DEFAULT_CORE,
    cores: str | Sequence[str] | None = None,
    refine_levels: bool = False,
    unit_levels: bool = False,
) -> ExportReport:
    """Export a model to a folder.

    Args:
        model: a Keras model, or an int8 `.tflite` as bytes or as a path.
        out_dir: made if missing; files of an earlier export of the same name are replaced.
        calibration: for a Keras model, see `convert`; for a `.tflite` None.
        targets: any of "int8" (`NAME.tflite`, and `NAME_tflite.c` / `.h` with the file as an array), "int4", "int2",
            "custom", "tflm" (`NAME_custom.tflite` and so on, with packed weights) and "c" (`NAME.c`, `NAME.h`, and the
            kernels in `tern/`).
            The `.tflite` is always kept: it is what the other artefacts are verified against.
        name: prefix of the files and of the C names.
        optimize: "speed", or "size": weights in the format that takes the fewest bytes, 1.6 bits for ternary ones.
        arena_limit: the most bytes that the arena may take; slower kernels that need less memory are chosen for it.
        core: a name of `tflite_export.boards.CORES`, which kernels and weight formats are chosen for; the C runs on
            any.
        cores: names of them to compile the C for, once, so that the report can say what it takes there; None: `core`
            alone; the empty tuple: none. Where no compiler for a core is installed the report says so.
        refine_levels: for a Keras model, see `convert`.
        unit_levels: for a Keras model, see `convert`.

    Returns:
        The report, also written as `report.json` and as the page `report.html`.

    Raises:
        ExportError: if the model cannot be converted or an operator is not supported, if no arena is within the limit,
            or if the folder cannot be written. Nothing is written then.

    Example:
        >>> import keras, numpy as np, tempfile
        >>> from tflite_export import export
        >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
        >>> samples = np.random.default_rng(0).normal(size=(100, 8)).astype("float32")
        >>> report = export(model, tempfile.mkdtemp(), calibration=samples)
        >>> report.weight_bytes
        32
    """
    c_source.check_name(name)
    targets = [targets] if isinstance(targets, str) else targets
    unknown = [target for target in targets if target not in TARGETS]
    if unknown or not targets:
        raise ExportError(f"unknown target {', '.join(unknown) or '(none)'}; known are {', '.join(TARGETS)}")
    check_optimize(optimize)
    (core,) = check_cores([core])
    cores = check_cores([cores] if isinstance(cores, str) else (core,) if cores is None else cores)
    tflite = _tflite(model, calibration, refine_levels=refine_levels, unit_levels=unit_levels)
    graph = Graph.read(tflite)
    check_interface(graph)

    files: dict[str, bytes | str] = {f"{name}.tflite": tflite}
    notes: list[str] = []
    if "int8" in targets:
        files |= tflite_array(tflite, name)
    for target in (target for target in PACK_TARGETS if target in targets):
        packed = PACK_TARGETS[target].pack(tflite, optimize)
        files[packed_file(name, target)] = packed.tflite
        notes += [f"{target}: {note}" for note in packed.notes]
    plan = MemoryPlan((), {}, arena_bytes=0, lower_bound=0)
    calls: list[KernelCall] = []
    if "c" in targets:
        calls = lower(graph, optimize, core)
        plan = plan_within(graph, calls, arena_limit)
        files |= _c_files(tflite, graph, plan, name)
    measured, not_measured = _measure(files, name, cores) if "c" in targets else ((), ())
    report = ExportReport(
        folder=Path(out_dir),
        name=name,
        version=version(),
        targets=tuple(target for target in TARGETS if target in targets),
        core=core,
        optimize=optimize,
        inputs=tuple(map(Interface.of, graph.inputs)),
        outputs=tuple(map(Interface.of, graph.outputs)),
        tflite_bytes=len(tflite),
        arena_bytes=plan.arena_bytes,
        arena_lower_bound=plan.lower_bound,
        arena_proved_optimal=plan.proved_optimal,
        arena_peak=plan.peak,
        buffers=plan.buffers,
        layers=layer_reports(plan),
        variants=variants(graph, calls, plan) if "c" in targets else (),
        cores=measured,
        benchmarks=(),
        notes=(*notes, *not_measured),
        files=(*files, REPORT_FILE, PAGE_FILE),
    )
    write_files(report.folder, {**files, REPORT_FILE: report.json(), PAGE_FILE: report.html()})
    return report


def generate_c(
    tflite: bytes | str | Path,
    out_dir: str | Path,
    name: str = "model",
    optimize: str = "speed",
    arena_limit: int | None = None,
    core: str = DEFAULT_CORE,
) -> list[Path]:
    """Write `NAME.c`, `NAME.h` and the kernel library that they call.

    Args:
        tflite: an int8 `.tflite` file's content, or its path.
        out_dir: made if missing.
        name: prefix of the files and of every C name.
        optimize: "speed" or "size", see `export`.
        arena_limit: the most bytes that the arena may take; slower kernels that need less memory are chosen for it.
        core: a name of `tflite_export.boards.CORES`, which kernels and weight formats are chosen for.

    Returns:
        The files written: the source, the header, and `tern/` with the library's sources of the same version.

    Raises:
        ExportError: if an operator is not supported (all of them are named), if no arena is within the limit, or if
            the folder cannot be written.

    Example:
        >>> import keras, numpy as np, tempfile
        >>> from tflite_export import convert, generate_c
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        >>> samples = np.random.default_rng(0).normal(size=(100, 4)).astype("float32")
        >>> [path.name for path in generate_c(convert(model, samples), tempfile.mkdtemp(), "net")][:3]
        ['net.h', 'net.c', 'tern.h']
    """
    c_source.check_name(name)
    check_optimize(optimize)
    tflite = _tflite(tflite, None)
    graph = Graph.read(tflite)
    return write_files(
        Path(out_dir), _c_files(tflite, graph, plan_within(graph, lower(graph, optimize, core), arena_limit), name)
    )


def packed_file(name: str, target: str) -> str:
    """The name of a packed `.tflite`."""
    return f"{name}_{target}.tflite"


def tflite_array(tflite: bytes, name: str) -> dict[str, str]:
    """The `.tflite` as a C array, for runtimes that interpret it on the chip.

    Args:
        tflite: the file's content.
        name: prefix of the files and C names.

    Returns:
        The text of `NAME_tflite.h` and `NAME_tflite.c`, by file name.
    """
    symbol = f"{name}_tflite"
    guard = f"{symbol.upper()}_H"
    declaration = f"const unsigned char {symbol}[{len(tflite)}]"
    head = (
        f"/* {_origin(tflite, name)} */\n#ifndef {guard}\n#define {guard}\n\n"
        f"#define {name.upper()}_TFLITE_BYTES {len(tflite)}\n\n"
        '#ifdef __cplusplus\nextern "C" {\n#endif\n'
        f"/* A flatbuffer, aligned to 16 bytes. */\nextern {declaration};\n"
        "#ifdef __cplusplus\n}\n#endif\n#endif\n"
    )
    aligned = c_source.c_array(f"__attribute__((aligned(16))) {declaration}", np.frombuffer(tflite, np.uint8))
    return {f"{symbol}.h": head, f"{symbol}.c": f'#include "{symbol}.h"\n\n{aligned}\n'}


def _tflite(model: Any, calibration: np.ndarray | Sequence[np.ndarray] | None, **levels: bool) -> bytes:
    if isinstance(model, bytes | bytearray | str | Path):
        if calibration is not None:
            raise ExportError("a .tflite is calibrated already: leave the calibration data out")
        if any(levels.values()):
            raise ExportError("a .tflite has its levels already: they are chosen where a Keras model is converted")
        return bytes(model) if isinstance(model, bytes | bytearray) else read_file(Path(model))
    if calibration is None:
        raise ExportError("a Keras model needs calibration data: 100 to 500 real samples, scaled as in training")
    from tflite_export.conversion import convert  # loads Keras and TensorFlow: seconds that a .tflite does not need

    return convert(model, calibration, **levels)


def _measure(
    files: Mapping[str, bytes | str], name: str, cores: Sequence[str]
) -> tuple[tuple[CoreReport, ...], tuple[str, ...]]:
    source = {file: content for file in (f"{name}.c", f"{name}.h") if isinstance(content := files[file], str)}
    measured, notes = [], []
    for core in cores:
        try:
            measured.append(measure_core(source, name, core))
        except ExportError as error:
            notes.append(f"code and stack on the {core} are not measured: {str(error).splitlines()[0]}")
    return tuple(measured), tuple(notes)


def _c_files(tflite: bytes, graph: Graph, plan: MemoryPlan, name: str) -> dict[str, bytes | str]:
    origin = _origin(tflite, name)
    source = c_source.source(name, graph, plan, origin)
    headers = [path for folder in ("include", "src") for path in (micro_dir() / folder).glob("*.h")]
    return {
        f"{name}.h": c_source.header(name, graph, plan, origin),
        f"{name}.c": source,
        **{f"{RUNTIME_FOLDER}/{path.name}": path.read_bytes() for path in sorted([*headers, *kernel_sources(source)])},
    }


def _origin(tflite: bytes, name: str) -> str:
    digest = hashlib.sha256(tflite).hexdigest()[:16]
    return f"Generated by tern-keras {version()} from {name}.tflite (sha256 {digest}...). Do not edit."
