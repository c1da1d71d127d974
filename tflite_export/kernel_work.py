"""What a kernel call does, in numbers that its cycles are a sum of: each times a constant of kernel and core.

A term is what one loop of the kernel in `micro/src` goes through. All of them follow from the call's parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tflite_export.boards import Core
from tflite_export.kernel_call import KernelCall
from tflite_export.levels import weights_of

Work = dict[str, float]
_Fields = Mapping[str, Any]

# Of micro/src/gap_rows.h: words in a row of pixels, rows between those of zeros, and the longest stream of a sum.
_GAP_WORDS, _GAP_GROUP, _GAP_STEPS = 4, 12, 256
# Of micro/src/conv2d_packed_gaps.c: as many channels at a time have their gaps made.
_GAP_CHANNELS = 64
_COLUMNS = 4
_SIMPLE_SHIFT = -21
_VECTOR, _VECTOR_CHANNELS, _VECTOR_POSITIONS = 16, 4, 3
_PAIR_INPUTS, _PAIR_RUN_INPUTS = 16, 1023
_PAIR_OUTPUTS = {"pairs": 8, "split": 4}
# The inputs of four tables.
_TABLE_INPUTS = {"tables": 16, "split_tables": 28}
_FRACTION_TABLES, _FRACTION_TABLE_INPUTS = 5, 4
_QUAD_OUTPUTS, _QUAD_INPUTS = 4, 8
_LINE_CHANNELS, _LINE_OUTPUTS, _LINE_TAPS = 4, 4, 3
_WORD = 4


def kernel_work(call: KernelCall, core: Core) -> Work:
    """The work of a call, by the names of its terms; empty for a kernel that is not described here."""
    describe = _WORK.get(call.function)
    return {} if describe is None else {"calls": 1.0, **describe(call, core)}


# ---- convolutions


def _gaps(call: KernelCall, core: Core) -> Work:
    fields: _Fields = call.fields
    steps = fields["weights"]["channels"].data[::2]
    return _gap_channels(fields, np.stack([steps & 0xFFFF, steps >> 16]), core)


def _packed_gaps(call: KernelCall, core: Core) -> Work:
    """The streams are made of masks; then channels are done, in as many parts as the memory for gaps has room for."""
    fields: _Fields = call.fields
    requantization, weights = fields["requantization"], fields["weights"]
    channels, length = fields["output"]["channels"], _window_size(fields)
    rows = weights_of(call.op)[0].data
    assert rows is not None
    rows = rows.reshape(channels, -1)
    in_stream = [rows == weights[name].data[:, None] for name in ("minus", "plus")]
    if call.function == "tern_conv2d_base3_gaps":
        in_stream = [marks & (rows != 0) for marks in in_stream]
    steps = np.stack([marks.sum(1) for marks in in_stream])
    most = (length + 2 * (length // _GAP_GROUP) + 7) // 8 + 2
    room = -(-length // _GAP_GROUP) * (_GAP_GROUP + 1) + -(-fields["input"]["channels"] // 4) // 4 + most
    words = -(-steps // 8).sum(0)
    parts, free, left = 1, room, _GAP_CHANNELS
    for count in words:
        if free < most or not left:
            parts, free, left = parts + 1, room, _GAP_CHANNELS
        free -= count
        left -= 1
    work = _gap_channels({**fields, **requantization}, steps, core)
    for term in ("row words", "row bytes", "runs", "word positions", "zero rows"):
        if term in work:
            work[term] *= parts
    return {
        **work,
        "made steps": float(steps.sum()),
        "mask words": float(channels * -(-length // 32)),
        "digits": float(channels * -(-length // 5)),
        "made channels": float(channels),
    }


def _gap_channels(fields: _Fields, steps: np.ndarray, core: Core) -> Work:
    """Rows are copied for a block of positions; then every channel adds up those of its streams.

    Args:
        fields: of the geometry, and the clamps.
        steps: of the streams, shape (2, channels).
        core: it says how many positions a block has.
    """
    in_word = 2 if core.port == "portable" else 4
    pixels = _GAP_WORDS * in_word
    positions, channels, length = _positions(fields), fields["output"]["channels"], _window_size(fields)
    blocks = -(-positions // pixels)
    plain = positions >= pixels and not _is_clamped(fields) and int(steps.max(initial=0)) <= _GAP_STEPS
    copies = blocks * _GAP_WORDS
    kind = "" if plain else " one by one"
    work = {
        "row words" if fields["input"]["channels"] % 4 == 0 else "row bytes": float(copies * length),
        "word positions": float(copies),
        "runs": float(_runs_of_words(fields, in_word, pixels)),
        "zero rows": float(-(-length // _GAP_GROUP)),
        "steps": float(blocks * steps.sum()),
        "streams": float(blocks * np.count_nonzero(steps)),
        "channels" + kind: float(blocks * channels),
        "checked channels": float(channels),
    }
    if not plain:
        work["outputs one by one"] = float(blocks * channels * min(positions, pixels))
        work["long steps"] = float(blocks * np.where(steps > _GAP_STEPS, steps, 0).sum())
    return work


def _runs_of_words(fields: _Fields, in_word: int, pixels: int) -> int:
    """How many pieces are copied for the rows of all blocks: a line of the window each, or a tap each at the border."""
    window, source, output = fields["window"], fields["input"], fields["output"]
    positions = _positions(fields)
    blocks = np.arange(0, positions, pixels)
    if positions >= pixels:
        blocks = np.minimum(blocks, positions - pixels)
    first = (blocks[:, None] + np.arange(0, pixels, in_word)).reshape(-1, 1)
    at = np.minimum(first + np.arange(in_word), positions - 1)
    inside = np.ones(len(at), bool)
    for axis, index in (("height", at // output["width"]), ("width", at % output["width"])):
        start = index * window[f"stride_{axis}"] - window["pad_top" if axis == "height" else "pad_left"]
        reach = (window[axis] - 1) * window[f"dilation_{axis}"]
        inside &= ((start >= 0) & (start + reach < source[axis])).all(1)
    joined = inside & (window["dilation_width"] == 1)
    return int(window["height"] * np.where(joined, 1, window["width"]).sum())


def _columns(call: KernelCall, core: Core) -> Work:
    """Four positions are copied to columns; then every channel is a product with each."""
    fields: _Fields = call.fields
    positions, channels, length = _positions(fields), fields["output"]["channels"], _window_size(fields)
    blocks, words = -(-positions // _COLUMNS), -(-length // 4)
    copied = min(positions, _COLUMNS) * blocks
    inside = np.count_nonzero(_inside(fields, "height")) * np.count_nonzero(_inside(fields, "width"))
    border = copied * (positions - inside) / positions
    plain = positions >= _COLUMNS and not _is_clamped(fields) and int(fields["shift"].data.min()) >= _SIMPLE_SHIFT
    kind = "" if plain else " one by one"
    work = {
        "copied positions": float(copied - border),
        "copied runs": float((copied - border) * fields["window"]["height"]),
        "copied bytes": float((copied - border) * length),
        "border positions": float(border),
        "border runs": float(border * fields["window"]["height"]),
        "border bytes": float(border * length),
        "column words": float(copied * words),
        "products": float(blocks * channels * words),
        "channels" + kind: float(blocks * channels),
        "checked channels": float(channels),
    }
    if not plain:
        work["outputs one by one"] = float(copied * channels)
    return work


def _vectors(call: KernelCall, core: Core) -> Work:
    """Columns of vectors; a group of channels has its weights unpacked once a block, and then takes three columns."""
    fields: _Fields = call.fields
    bits, positions, channels = fields["bits"], _positions(fields), fields["output"]["channels"]
    vectors, groups = -(-_window_size(fields) // _VECTOR), -(-channels // _VECTOR_CHANNELS)
    pairs = -(-channels // 2)
    in_place = has_columns_in_place(fields)
    block = positions if in_place else min(fields["block_positions"], positions)
    sizes = [block] * (positions // block) + [positions % block] * (positions % block > 0)
    triples = sum(size // _VECTOR_POSITIONS + size % _VECTOR_POSITIONS for size in sizes)
    copied = 0 if in_place else positions
    border = 0 if in_place else fields["output"]["height"] * int((~_inside(fields, "width")).sum())
    return {
        "copied runs": float((copied - border) * fields["window"]["height"]),
        "copied vectors": float(copied * vectors),
        "copied lines": float((copied > border) * fields["output"]["height"] * fields["window"]["height"]),
        "border positions": float(border),
        "border runs": float(border * fields["window"]["height"]),
        f"unpacked vectors of {bits} bits": float(0 if bits == 8 else len(sizes) * groups * vectors),
        "groups": float(len(sizes) * groups),
        "products": float(triples * pairs * vectors),
        "triples": float(triples * pairs),
        "outputs": float(triples * channels),
        "blocks": float(len(sizes)),
        "checked channels": float(channels),
    }


def has_columns_in_place(fields: Mapping[str, Any]) -> bool:
    """Whether the input of a convolution is columns of whole vectors as it is.

    Args:
        fields: of the call: `input`, `output` and `window`.
    """
    window, source, target = fields["window"], fields["input"], fields["output"]
    ones = ("height", "width", "stride_height", "stride_width")
    return (
        all(window[key] == 1 for key in ones)
        and not window["pad_top"]
        and not window["pad_left"]
        and source["channels"] % _VECTOR == 0
        and all(source[key] == target[key] for key in ("height", "width"))
    )


def _conv2d_ref(call: KernelCall, core: Core) -> Work:
    """Every output from the taps of its window that are on the input."""
    fields: _Fields = call.fields
    planes, channels = fields["weights"]["residual_planes"] + 1, fields["output"]["channels"]
    lines, taps = _taps(fields, "height"), _taps(fields, "width")
    rows = lines * np.count_nonzero(_taps_at(fields, "width"))
    return {
        "macs": float(planes * channels * lines * taps * fields["kernel_channels"]),
        "taps": float(planes * channels * lines * taps),
        "lines": float(planes * channels * rows),
        "sums": float(planes * _positions(fields) * channels),
        "outputs": float(_positions(fields) * channels),
        "positions": float(_positions(fields)),
        "weights": float(planes * channels * _window_size(fields)),
    }


def _depthwise_ref(call: KernelCall, core: Core) -> Work:
    fields: _Fields = call.fields
    planes, channels = fields["weights"]["residual_planes"] + 1, fields["output"]["channels"]
    lines, taps = _taps(fields, "height"), _taps(fields, "width")
    return {
        "macs": float(planes * channels * lines * taps),
        "lines": float(planes * channels * lines * fields["output"]["width"]),
        "outputs": float(_positions(fields) * channels),
        "sums": float(planes * _positions(fields) * channels),
        "positions": float(_positions(fields)),
    }


def _depthwise_lines(call: KernelCall, core: Core) -> Work:
    fields: _Fields = call.fields
    return _lines(fields, fields["along_height"], fields["band"])


def _packed_depthwise_lines(call: KernelCall, core: Core) -> Work:
    """The same, with weights that are unpacked for four channels at a time."""
    from tflite_export.lowering.depthwise_lines import lines_of  # which imports this module, by way of the choice

    fields: _Fields = call.fields
    work = _lines({**fields, **fields["requantization"]}, *lines_of(fields))
    channels, window = fields["input"]["channels"], fields["window"]
    return {**work, "unpacked weights": float(channels * window["height"] * window["width"])}


def _lines(fields: _Fields, along_height: bool, line_band: int) -> Work:
    """Lines of four channels are copied; then each channel is done along its lines, four outputs at a time."""
    window, output = fields["window"], fields["output"]
    along, across = ("height", "width") if along_height else ("width", "height")
    channels = fields["input"]["channels"]
    groups = -(-output[along] // _LINE_OUTPUTS)
    taps = -(-window[along] // _LINE_TAPS) if window[along] > 1 else 1
    dilated = window[f"dilation_{across}"] > 1
    band = 1 if dilated else min(line_band, output[across])
    bands = -(-output[across] // band)
    kept = max(window[across] - window[f"stride_{across}"], 0) if not dilated else 0
    lines = (output[across] - bands) * window[f"stride_{across}"] + bands * window[across] - (bands - 1) * kept
    reach = (output[along] - 1) * window[f"stride_{along}"] + (window[along] - 1) * window[f"dilation_{along}"] + 1
    plain = (
        window[f"stride_{along}"] <= 2
        and (window[f"dilation_{along}"] == 1 or window[along] == 1)
        and not _is_clamped(fields)
    )
    copies = -(-channels // _LINE_CHANNELS)
    work = {
        "copied lines": float(copies * lines),
        "copied inputs": float(copies * lines * min(reach, fields["input"][along])),
        "moved inputs": float(channels * (bands - 1) * kept * reach),
        "bands": float(channels * bands),
        "weights": float(channels * bands * window[across] * taps),
    }
    if plain:
        work["products"] = float(channels * output[across] * groups * window[across] * taps)
        work["groups"] = float(channels * output[across] * groups)
        work["lines"] = float(channels * output[across])
    else:
        work["outputs one by one"] = float(channels * _positions(fields))
        work["macs one by one"] = float(channels * _positions(fields) * window["height"] * window["width"])
    return work


def _depthwise_vectors(call: KernelCall, core: Core) -> Work:
    """Lines are copied; then 16 channels at a time are done along them."""
    fields: _Fields = call.fields
    window, output, channels = fields["window"], fields["output"], fields["input"]["channels"]
    groups, kind = -(-channels // _VECTOR), "" if fields["levels"] is not None else " in halves"
    columns = (output["width"] - 1) * window["stride_width"] + (window["width"] - 1) * window["dilation_width"] + 1
    fresh = min(window["stride_height"], window["height"]) if window["dilation_height"] == 1 else window["height"]
    lines = window["height"] + (output["height"] - 1) * fresh
    return {
        "copied lines": float(lines),
        "copied vectors": float(lines * columns * channels / _VECTOR),
        "taps" + kind: float(groups * _positions(fields) * window["height"] * window["width"]),
        "tap lines" + kind: float(groups * _positions(fields) * window["height"]),
        "outputs" + kind: float(groups * _positions(fields)),
        "groups" + kind: float(groups * output["height"]),
        "checked channels": float(groups * _VECTOR),
    }


# ---- fully connected layers


def _pairs(call: KernelCall, core: Core) -> Work:
    """Inputs are written to blocks; then some outputs at a time run over them."""
    fields: _Fields = call.fields
    layout = call.function.removeprefix("tern_fully_connected_")
    rows, inputs, outputs = (fields[name] for name in ("rows", "inputs", "outputs"))
    groups, sets = -(-inputs // _PAIR_INPUTS), -(-outputs // _PAIR_OUTPUTS[layout])
    in_block = fields["block_inputs"] // _PAIR_INPUTS
    blocks = -(-groups // in_block)
    runs = -(-blocks // max(_PAIR_RUN_INPUTS // _PAIR_INPUTS // in_block, 1))
    return {
        "written groups": float(rows * groups),
        "written blocks": float(rows * blocks),
        "products": float(rows * sets * groups),
        "blocks": float(rows * sets * blocks),
        "runs": float(rows * sets * runs),
        "outputs": float(rows * outputs),
        "rows": float(rows),
        "checked outputs": float(outputs),
    }


def _tables(call: KernelCall, core: Core) -> Work:
    """Tables of some inputs' sums are written; then every output picks its own."""
    fields: _Fields = call.fields
    layout = call.function.removeprefix("tern_fully_connected_")
    rows, inputs, outputs = (fields[name] for name in ("rows", "inputs", "outputs"))
    sets, pairs = -(-inputs // _TABLE_INPUTS[layout]), -(-outputs // 2) * (2 if layout == "split_tables" else 1)
    return {
        "tables": float(rows * sets),
        "sums": float(rows * sets * pairs),
        "pairs": float(rows * pairs),
        "outputs": float(rows * outputs),
        "rows": float(rows),
        "checked outputs": float(outputs),
    }


def _fractions(call: KernelCall, core: Core) -> Work:
    """Five tables of four inputs' sums are written; then every output picks its own."""
    fields: _Fields = call.fields
    rows, inputs, outputs = (fields[name] for name in ("rows", "inputs", "outputs"))
    whole, left = divmod(-(-inputs // _FRACTION_TABLE_INPUTS), _FRACTION_TABLES)
    return {
        "tables": float(rows * -(-inputs // _FRACTION_TABLE_INPUTS)),
        "fractions": float(rows * outputs * whole),
        "places of the last": float(rows * outputs * left),
        "outputs": float(rows * outputs),
        "rows": float(rows),
        "checked outputs": float(outputs),
    }


def _connected_int8(call: KernelCall, core: Core) -> Work:
    fields: _Fields = call.fields
    rows, inputs, outputs = (fields[name] for name in ("rows", "inputs", "outputs"))
    groups, sets = -(-inputs // _QUAD_INPUTS), -(-outputs // _QUAD_OUTPUTS)
    return {
        "written groups": float(rows * groups),
        "products": float(rows * groups * sets),
        "sets": float(rows * sets),
        "outputs": float(rows * outputs),
        "rows": float(rows),
        "checked outputs": float(outputs),
    }


def _connected_vectors(call: KernelCall, core: Core) -> Work:
    fields: _Fields = call.fields
    rows, inputs, outputs = (fields[name] for name in ("rows", "inputs", "outputs"))
    vectors, groups = -(-inputs // _VECTOR), -(-outputs // _VECTOR_CHANNELS)
    kind = " of int8" if fields["bits"] == 8 else " of two levels" if fields["minus"] is not None else ""
    return {
        "written vectors": float(rows * vectors),
        "products" + kind: float(rows * vectors * groups),
        "groups" + kind: float(rows * groups),
        "rows": float(rows),
        "checked outputs": float(outputs),
    }


def _connected_ref(call: KernelCall, core: Core) -> Work:
    fields: _Fields = call.fields
    planes, outputs = fields["weights"]["residual_planes"] + 1, fields["rows"] * fields["outputs"]
    return {
        "macs": float(planes * outputs * fields["inputs"]),
        "sums": float(planes * outputs),
        "outputs": float(outputs),
        "checked outputs": float(fields["outputs"]),
    }


# ---- operators without weights


def _add_linear(call: KernelCall, core: Core) -> Work:
    fields: _Fields = call.fields
    words = 0 if _is_clamped(fields) else fields["size"] // _WORD
    return {"words": float(words), "outputs one by one": float(fields["size"] - words * _WORD)}


def _pool_words(call: KernelCall, core: Core) -> Work:
    """Words of channels of every window; two at a time where all lie on addresses of words."""
    fields: _Fields = call.fields
    channels, taps = fields["input"]["channels"], _taps(fields, "height") * _taps(fields, "width")
    lines = _taps(fields, "height") * fields["output"]["width"]
    kind = "" if channels % _WORD == 0 else " of any address"
    words = -(-channels // _WORD)
    pairs, single = (words // 2, words % 2) if not kind else (0, words)
    return {
        "taps of pairs": float(taps * pairs),
        "lines of pairs": float(lines * pairs),
        "pairs": float(_positions(fields) * pairs),
        "taps" + kind: float(taps * single),
        "lines" + kind: float(lines * single),
        "words" + kind: float(_positions(fields) * single),
        "positions": float(_positions(fields)),
        "clamped words": float(_positions(fields) * words * _is_clamped(fields)),
    }


def _pool_ref(call: KernelCall, core: Core) -> Work:
    fields: _Fields = call.fields
    channels, taps = fields["input"]["channels"], _taps(fields, "height") * _taps(fields, "width")
    return {
        "taps": float(taps * channels),
        "lines": float(_taps(fields, "height") * fields["output"]["width"] * channels),
        "outputs": float(_positions(fields) * channels),
        "positions": float(_positions(fields)),
    }


def _mean_words(call: KernelCall, core: Core) -> Work:
    fields: _Fields = call.fields
    outer, count, inner = (fields[name] for name in ("outer", "count", "inner"))
    kind = "" if inner % _WORD == 0 else " of any address"
    words = outer * -(-inner // _WORD)
    return {
        "values" + kind: float(words * count),
        "parts" + kind: float(words * -(-count // 256)),
        "words" + kind: float(words),
        "blocks": float(outer),
    }


def _mean_ref(call: KernelCall, core: Core) -> Work:
    fields: _Fields = call.fields
    kept = [size for size, reduced in zip(fields["shape"], fields["reduced"], strict=True) if not reduced]
    return {"values": float(math.prod(fields["shape"])), "outputs": float(math.prod(kept))}


# ---- parts of them


def _positions(fields: _Fields) -> int:
    return fields["output"]["height"] * fields["output"]["width"]


def _window_size(fields: _Fields) -> int:
    channels = fields.get("kernel_channels", fields["input"]["channels"])
    return fields["window"]["height"] * fields["window"]["width"] * channels


def _is_clamped(fields: _Fields) -> bool:
    return (fields["minimum"], fields["maximum"]) != (-128, 127)


def _taps_at(fields: _Fields, axis: str) -> np.ndarray:
    """How many taps of the window are on the input, at every output along an axis."""
    window = fields["window"]
    start = np.arange(fields["output"][axis]) * window[f"stride_{axis}"]
    start -= window["pad_top" if axis == "height" else "pad_left"]
    taps = start[:, None] + np.arange(window[axis]) * window.get(f"dilation_{axis}", 1)
    return ((taps >= 0) & (taps < fields["input"][axis])).sum(1)


def _inside(fields: _Fields, axis: str) -> np.ndarray:
    """At which outputs along an axis all taps are on the input, and those of a line side by side."""
    joined = axis == "height" or fields["window"]["dilation_width"] == 1
    return (_taps_at(fields, axis) == fields["window"][axis]) & joined


def _taps(fields: _Fields, axis: str) -> int:
    return int(_taps_at(fields, axis).sum())


_FORMATS = ("int8", "ternary", "base3", "binary")
_WORK: dict[str, Callable[[KernelCall, Core], Work]] = {
    "tern_conv2d_gaps": _gaps,
    "tern_conv2d_base3_gaps": _packed_gaps,
    "tern_conv2d_binary_gaps": _packed_gaps,
    "tern_conv2d_columns": _columns,
    "tern_conv2d_vectors": _vectors,
    "tern_conv2d_base3_expanded": _conv2d_ref,
    **{f"tern_conv2d_{name}_ref": _conv2d_ref for name in _FORMATS},
    "tern_depthwise_conv2d_lines": _depthwise_lines,
    **{f"tern_depthwise_conv2d_{kind}_lines": _packed_depthwise_lines for kind in ("base3", "binary")},
    "tern_depthwise_conv2d_vectors": _depthwise_vectors,
    **{f"tern_depthwise_conv2d_{name}_ref": _depthwise_ref for name in _FORMATS},
    **{f"tern_fully_connected_{name}": _pairs for name in ("pairs", "split")},
    **{f"tern_fully_connected_{name}": _tables for name in ("tables", "split_tables")},
    **{f"tern_fully_connected_{name}": _fractions for name in ("fractions", "split_fractions")},
    "tern_fully_connected_int8": _connected_int8,
    "tern_fully_connected_vectors": _connected_vectors,
    **{f"tern_fully_connected_{name}_ref": _connected_ref for name in _FORMATS},
    "tern_add_linear": _add_linear,
    **{f"tern_{name}_pool2d_words": _pool_words for name in ("max", "average")},
    **{f"tern_{name}_pool2d_ref": _pool_ref for name in ("max", "average")},
    "tern_mean_words": _mean_words,
    "tern_mean_ref": _mean_ref,
}
