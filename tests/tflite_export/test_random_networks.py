"""Generated C against TFLite's reference kernels, bit for bit, on random networks.

On the host under the address and undefined behaviour sanitizers, and on every core.
"""

from pathlib import Path

import numpy as np
import pytest
from network_program import NetworkProgram
from random_networks import random_network

from tflite_export import Graph, export
from tflite_export.boards import BOARDS, get_board
from tflite_export.emulator import run_firmware
from tflite_export.firmware import ModelInterface, build_firmware
from tflite_export.graph import Tensor
from tflite_export.host import HostModel, c_sources, include_dirs
from tflite_export.lowering import lower
from tflite_export.micro_sources import micro_dir
from tflite_export.reference import Reference
from tflite_export.report import ExportReport

NETWORKS = 240
SMALL = range(0, NETWORKS, 4)  # exported for size as well
HELIUM = range(2, NETWORKS, 6)  # and for a core with Helium
PORTABLE = range(1, NETWORKS, 6)  # and for a core that does not multiply pairs
SAMPLES = 8
# What runs on every core, and how it is exported: between them they call every kernel, and have several inputs and
# outputs. "tight" has no room for the convolution that expands base-3 rows.
ON_CORES: dict[str, tuple[bytes, dict[str, object]]] = {
    f"{optimize}{seed}": (random_network(seed, longest=24), {"optimize": optimize})
    for seed in (56, 243, 257, 310)
    for optimize in ("speed", "size")
} | {
    "tight": (random_network(7, longest=3), {"optimize": "size", "arena_limit": 176}),
    **{f"helium{seed}": (random_network(seed, longest=24), {"core": "cortex-m55"}) for seed in (56, 215)},
    **{f"small{seed}": (random_network(seed, longest=24), {"optimize": "size"}) for seed in (8, 14, 341)},
    "connected": (random_network(36, longest=24), {}),
    **{f"portable{seed}": (random_network(seed, longest=24), {"core": "cortex-m0"}) for seed in (36, 37, 110)},
    "grouped": (random_network(1, longest=24), {}),
    "residual": (random_network(208, longest=24), {}),
    "binary": (random_network(59, longest=24), {}),
}


def _samples(graph: Graph, seed: int, count: int = SAMPLES) -> np.ndarray:
    """Bytes of all inputs: the extremes first, then any; floats of all magnitudes that a quantisation tells apart."""
    rng = np.random.default_rng(seed)
    return np.concatenate([_values(tensor, rng, count) for tensor in graph.inputs], axis=1)


def _values(tensor: Tensor, rng: np.random.Generator, count: int) -> np.ndarray:
    if tensor.dtype == "float32":
        magnitudes = 10.0 ** rng.uniform(-3, 2, (count, 1))
        return (rng.normal(size=(count, tensor.size)) * magnitudes).astype(np.float32).view(np.int8)
    extremes = [np.full(tensor.size, -128), np.full(tensor.size, 127), rng.choice([-128, 127], tensor.size)]
    rows = extremes + [rng.integers(-128, 128, tensor.size) for _ in range(count - len(extremes))]
    return np.array(rows, np.int8)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> NetworkProgram:
    """Every network in one program, under the sanitizers."""
    models = {f"net{seed}": random_network(seed) for seed in range(NETWORKS)}
    small = {f"small{seed}": random_network(seed) for seed in SMALL}
    helium = {f"helium{seed}": random_network(seed) for seed in HELIUM}
    portable = {f"portable{seed}": random_network(seed) for seed in PORTABLE}
    options: dict[str, dict[str, str]] = {name: {"optimize": "size"} for name in small}
    options |= {name: {"core": "cortex-m55"} for name in helium}
    options |= {name: {"core": "cortex-m0"} for name in portable}
    return NetworkProgram(tmp_path_factory.mktemp("networks"), models | small | helium | portable, options)


@pytest.mark.parametrize("seed", range(NETWORKS))
def test_c_on_the_host_equals_the_reference(program: NetworkProgram, seed: int) -> None:
    model = random_network(seed)
    samples = _samples(Graph.read(model), seed)
    expected = Reference(model)(samples)
    np.testing.assert_array_equal(program(f"net{seed}", samples), expected)
    if seed in SMALL:
        np.testing.assert_array_equal(program(f"small{seed}", samples), expected)
    if seed in HELIUM:
        np.testing.assert_array_equal(program(f"helium{seed}", samples), expected)
    if seed in PORTABLE:
        np.testing.assert_array_equal(program(f"portable{seed}", samples), expected)


def _public_kernels() -> set[str]:
    headers = "".join(path.read_text() for path in (micro_dir() / "include").glob("*.h"))
    return {line.split("(")[0].split()[-1] for line in headers.splitlines() if line.startswith("tern_status tern_")}


def test_the_networks_call_every_kernel() -> None:
    models = [*map(random_network, range(NETWORKS)), *(model for model, _ in ON_CORES.values())]
    graphs = [Graph.read(model) for model in models]
    options = [("speed", core) for core in ("cortex-m4", "cortex-m0", "cortex-m55")] + [("size", "cortex-m4")]
    calls = [call for graph in graphs for optimize, core in options for call in lower(graph, optimize, core)]
    assert {each.function for call in calls for each in (call, *call.alternatives)} == _public_kernels()


def test_every_kernel_runs_on_the_cores(exports: dict[str, ExportReport]) -> None:
    assert {layer.kernel for report in exports.values() for layer in report.layers} == _public_kernels()
    assert {len(report.inputs) for report in exports.values()} >= {1, 3}
    assert {len(report.outputs) for report in exports.values()} >= {1, 2}


def test_the_networks_differ() -> None:
    graphs = [Graph.read(random_network(seed)) for seed in range(NETWORKS)]
    assert len({tuple(op.name for op in graph.ops) for graph in graphs}) > NETWORKS // 2
    assert {len(graph.inputs) for graph in graphs} >= {1, 2, 3}
    assert {len(graph.outputs) for graph in graphs} >= {1, 2}


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ExportReport]:
    return {
        name: export(model, tmp_path_factory.mktemp(name), name="net", cores=(), **options)
        for name, (model, options) in ON_CORES.items()
    }


@pytest.fixture(scope="module")
def host_runs(exports: dict[str, ExportReport]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Samples for each network, and what it makes of them on the host."""
    runs = {}
    for name, report in exports.items():
        samples = _samples(Graph.read(report.tflite_path), 0, 5)
        runs[name] = samples, HostModel(report)(samples)
    return runs


@pytest.mark.parametrize("name", ON_CORES)
def test_the_host_equals_the_reference(exports, host_runs, name: str) -> None:
    samples, outputs = host_runs[name]
    np.testing.assert_array_equal(outputs, Reference(exports[name].tflite_path.read_bytes())(samples))


@pytest.mark.emulator
@pytest.mark.parametrize("name", ON_CORES)
@pytest.mark.parametrize("board", BOARDS)
def test_every_core_equals_the_host(require_board, exports, host_runs, board: str, name: str, tmp_path: Path) -> None:
    require_board(board)
    report = exports[name]
    samples, expected = host_runs[name]
    interface = ModelInterface(
        report.name,
        tuple(tensor.nbytes for tensor in report.inputs),
        tuple(tensor.nbytes for tensor in report.outputs),
        report.arena_bytes,
    )
    firmware = build_firmware(
        c_sources(report), include_dirs(report), get_board(board), interface, tmp_path / "net.elf"
    )
    result = run_firmware(firmware, samples)
    np.testing.assert_array_equal(result.outputs, expected)
    assert result.instructions > 0
