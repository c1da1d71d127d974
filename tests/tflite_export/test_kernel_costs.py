"""Estimated cycles of kernel calls against counts, and what is chosen by them."""

from __future__ import annotations

import dataclasses
import json

import pytest
from call_counts import all_calls, counted_cycles
from random_layers import random_layers

from tflite_export import Graph
from tflite_export.boards import CORES, get_board, get_core
from tflite_export.kernel_costs import TABLE, estimated_cycles
from tflite_export.levels import find_planes
from tflite_export.lowering import lower
from tflite_export.lowering.choice import choose, flash_bytes, with_alternatives
from tflite_export.lowering.context import Context
from tflite_export.lowering.weighted import CANDIDATES

# Not one of those that benchmarks/fit_costs.py fits.
UNSEEN = 1001
TOLERANCE = 0.25


@pytest.fixture(scope="module")
def graph() -> Graph:
    return Graph.read(random_layers(UNSEEN))


@pytest.mark.emulator
@pytest.mark.parametrize("board", ["mps2-an386", "mps2-an385-m0"])
def test_estimates_hold_for_layers_that_were_not_fitted(require_board, graph: Graph, board: str) -> None:
    require_board(board)
    target = get_board(board)
    calls = [call for call in all_calls(graph, target) if not call.function.endswith("_ref")][::2]
    assert len({call.function for call in calls}) > 10
    for call, counted in zip(calls, counted_cycles(graph, calls, target), strict=True):
        assert estimated_cycles(call, target.core) == pytest.approx(counted, rel=TOLERANCE), (call.function, call.op)


def test_every_core_has_estimates_of_every_kernel() -> None:
    table = json.loads(TABLE.read_text())
    assert set(table) == set(CORES)
    kernels = {name for row in table.values() for name in row}
    for core, rows in table.items():
        missing = kernels - rows.keys()
        assert not {name for name in missing if not name.endswith("_vectors")}, core
        assert {name for name, row in rows.items() if row["largest_relative_error"] > TOLERANCE} == set(), core


@pytest.mark.parametrize("optimize", ["speed", "size"])
@pytest.mark.parametrize("core", CORES)
def test_the_best_of_all_calls_is_chosen(graph: Graph, core: str, optimize: str) -> None:
    context = Context(find_planes(graph), optimize, get_core(core))
    chosen = {call.op.index: call for call in lower(graph, optimize, core)}
    for op in graph.ops:
        if op.name not in CANDIDATES:
            continue
        best = chosen[op.index]
        cycles = estimated_cycles(best, context.core)
        assert cycles is not None
        calls = list(with_alternatives(CANDIDATES[op.name](op, context)))
        packed = [call for call in calls if call.weight_format != "int8"]
        for call in packed or calls:
            other = estimated_cycles(call, context.core)
            assert other is not None
            if optimize == "speed":
                assert cycles <= other
            else:
                assert flash_bytes(best) <= 17 / 16 * flash_bytes(call)
        slower = [estimated_cycles(call, context.core) or 0 for call in best.alternatives]
        assert slower == sorted(slower)
        assert all(call.scratch_bytes < best.scratch_bytes for call in best.alternatives)
        assert f"cycles on a {core}" in best.reason


def test_int8_instead_of_packed_weights_is_worth_its_bytes(graph: Graph) -> None:
    for core in CORES:
        context = Context(find_planes(graph), "speed", get_core(core))
        for op in graph.ops:
            if op.name not in CANDIDATES:
                continue
            best = choose(CANDIDATES[op.name](op, context), context)
            calls = with_alternatives(CANDIDATES[op.name](op, context))
            packed = [call for call in calls if call.weight_format != "int8"]
            if best.weight_format == "int8" and packed:
                gain = min(estimated_cycles(call, context.core) or 0 for call in packed)
                gain /= estimated_cycles(best, context.core) or 1
                assert gain >= 1.25
                assert gain >= 4 or flash_bytes(best) <= min(map(flash_bytes, packed)) + 1024


def test_an_unknown_core_is_taken_for_one_with_the_same_instructions(graph: Graph) -> None:
    (call, *_) = lower(graph)
    for known in ("cortex-m4", "cortex-m0", "cortex-m55"):
        unknown = dataclasses.replace(get_core(known), name="another")
        assert estimated_cycles(call, unknown) == estimated_cycles(call, get_core(known))
    alien = dataclasses.replace(get_core("cortex-m4"), name="another", port="none")
    assert estimated_cycles(call, alien) is None
    assert estimated_cycles(dataclasses.replace(call, function="tern_no_kernel"), get_core("cortex-m4")) is None


def test_without_estimates_the_first_call_is_chosen(graph: Graph) -> None:
    alien = dataclasses.replace(get_core("cortex-m4"), name="another")
    context = Context(find_planes(graph), "speed", dataclasses.replace(alien, port="none"))
    op = graph.ops[0]
    first = CANDIDATES[op.name](op, context)[0]
    best = choose(CANDIDATES[op.name](op, context), context)
    assert (best.function, best.reason) == (first.function, first.reason)
