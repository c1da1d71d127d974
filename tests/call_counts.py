"""Every kernel that can compute an operator of a graph, and what each call takes on an emulated core."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tflite_export import c_source
from tflite_export.boards import Board
from tflite_export.cycles import Decoder, estimate_cycles
from tflite_export.firmware import ModelInterface, build_firmware
from tflite_export.graph import Graph
from tflite_export.kernel_call import KernelCall
from tflite_export.kernel_work import kernel_work
from tflite_export.levels import find_planes
from tflite_export.lowering import LOWERINGS
from tflite_export.lowering.choice import flash_bytes, with_alternatives
from tflite_export.lowering.context import Context
from tflite_export.lowering.weighted import CANDIDATES
from tflite_export.memory import plan_memory
from tflite_export.micro_sources import kernel_sources, micro_dir
from tflite_export.tracing import trace_firmware


def all_calls(graph: Graph, board: Board) -> list[KernelCall]:
    """Every call that could compute an operator, for speed or size, each kernel once an operator.

    Those without an estimate are left out. None works in place: all of them may follow each other.
    """
    calls: dict[tuple[int, str, object], KernelCall] = {}
    for optimize in ("speed", "size"):
        context = Context(find_planes(graph), optimize, board.core)
        for op in graph.ops:
            for call in with_alternatives({**LOWERINGS, **CANDIDATES}[op.name](op, context)):
                key = op.index, call.function, call.fields.get("block_positions")
                calls.setdefault(key, dataclasses.replace(call, in_place=()))
    return [call for call in calls.values() if kernel_work(call, board.core)]


def counted_cycles(graph: Graph, calls: Sequence[KernelCall], board: Board) -> list[int]:
    """Cycles of each call by `tflite_export.cycles`, in as few programs as fit an emulated board."""
    counts: list[int] = []
    while len(counts) < len(calls):
        sizes = np.cumsum([flash_bytes(call) for call in calls[len(counts) :]])
        fitting = max(int(np.searchsorted(sizes, board.flash.size // 2)), 1)
        counts += _in_one_program(graph, calls[len(counts) : len(counts) + fitting], board)
    return counts


def _in_one_program(graph: Graph, calls: Sequence[KernelCall], board: Board) -> list[int]:
    plan = plan_memory(graph, calls)
    assert len(plan.calls) == len(calls)
    source = c_source.source("net", graph, plan, "calls")
    sizes = [tuple(tensor.nbytes for tensor in tensors) for tensors in (graph.inputs, graph.outputs)]
    interface = ModelInterface("net", *sizes, plan.arena_bytes)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "net.c").write_text(source)
        (folder / "net.h").write_text(c_source.header("net", graph, plan, "calls"))
        includes = [folder, micro_dir() / "include", micro_dir() / "src"]
        sources = [folder / "net.c", *kernel_sources(source)]
        firmware = build_firmware(sources, includes, board, interface, folder / "net.elf", profiled_steps=len(calls))
        sample = np.random.default_rng(0).integers(-128, 128, (1, sum(sizes[0]))).astype(np.int8)
        traces = trace_firmware(firmware, sample)
        decoder = Decoder.of_image(board.core, firmware.elf)
    return [estimate_cycles(board.core, trace, decoder)[1] for trace in traces]
