"""Operators that move elements, and transposed convolutions: the generated C against LiteRT, a model each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from network_program import NetworkProgram
from tflite_builder import OpSpec, TensorSpec, build_model

from tflite_export import ExportError, Graph
from tflite_export.lowering import lower
from tflite_export.reference import Reference

SCALE, ZERO_POINT = 0.05, -7


def model(
    op: str,
    shapes: list[tuple[int, ...]],
    constants: dict[int, Any],
    outputs: list[tuple[int, ...]],
    **options: Any,
) -> bytes:
    """One operator; `constants` are its int32 inputs by their place, the other inputs are the model's."""
    tensors, names, inputs = [], [], []
    remaining = iter(shapes)
    for i in range(len(shapes) + len(constants)):
        if i in constants:
            data = np.asarray(constants[i], np.int32)
            tensors.append(TensorSpec(f"c{i}", data.shape, data=data, dtype="int32"))
        else:
            tensors.append(TensorSpec(f"x{i}", next(remaining), SCALE, ZERO_POINT))
            inputs.append(f"x{i}")
        names.append(tensors[-1].name)
    results = [TensorSpec(f"y{i}", shape, SCALE, ZERO_POINT) for i, shape in enumerate(outputs)]
    spec = OpSpec(op, names, [y.name for y in results], options)
    return build_model([*tensors, *results], [spec], inputs, [y.name for y in results])


def strided_slice(shape: tuple[int, ...], begin: Any, end: Any, strides: Any, out: tuple, **masks: int) -> bytes:
    return model("STRIDED_SLICE", [shape], {1: begin, 2: end, 3: strides}, [out], **masks)


def resize(
    size: tuple[int, int], wanted: tuple[int, int], op: str = "RESIZE_NEAREST_NEIGHBOR", **options: bool
) -> bytes:
    return model(op, [(1, *size, 3)], {1: wanted}, [(1, *wanted, 3)], **options)


def bilinear(size: tuple[int, int], wanted: tuple[int, int], **options: bool) -> bytes:
    return resize(size, wanted, "RESIZE_BILINEAR", **options)


def mirror_pad(shape: tuple[int, ...], pads: list[list[int]], mode: str) -> bytes:
    out = tuple(n + sum(pad) for n, pad in zip(shape, pads, strict=True))
    return model("MIRROR_PAD", [shape], {1: pads}, [out], mode=mode)


CASES: dict[str, bytes] = {
    "pad": model("PAD", [(1, 3, 4, 2)], {1: [[0, 0], [1, 2], [3, 0], [0, 1]]}, [(1, 6, 7, 3)]),
    "pad_rank_2": model("PAD", [(1, 5)], {1: [[0, 0], [2, 1]]}, [(1, 8)]),
    "pad_nothing": model("PAD", [(1, 3, 4, 2)], {1: [[0, 0]] * 4}, [(1, 3, 4, 2)]),
    "concat_channels": model("CONCATENATION", [(1, 3, 4, 2), (1, 3, 4, 5), (1, 3, 4, 1)], {}, [(1, 3, 4, 8)]),
    "concat_rows": model("CONCATENATION", [(1, 3, 4, 2), (1, 2, 4, 2)], {}, [(1, 5, 4, 2)], axis=1),
    "concat_columns": model("CONCATENATION", [(1, 3, 1, 2), (1, 3, 4, 2)], {}, [(1, 3, 5, 2)], axis=-2),
    "slice": model("SLICE", [(1, 5, 6, 3)], {1: [0, 1, 2, 0], 2: [1, 3, -1, 2]}, [(1, 3, 4, 2)]),
    "strided_slice": strided_slice((1, 7, 6, 3), [0, 1, 5, 0], [1, 6, 0, 3], [1, 2, -2, 1], (1, 3, 3, 3)),
    "strided_slice_masks": strided_slice(
        (1, 7, 6, 3), [0, 3, 0, 9], [0, 0, 4, 9], [1, -1, 1, 2], (1, 4, 4, 2), beginMask=8, endMask=11
    ),
    "strided_slice_shrinks": strided_slice((1, 7, 6), [0, -2, 1], [1, 9, 4], [1, 1, 1], (1, 3), shrinkAxisMask=2),
    "strided_slice_ellipsis": strided_slice((1, 4, 5, 6), [0, 2], [0, 4], [1, 1], (1, 4, 5, 2), ellipsisMask=1),
    "strided_slice_new_axis": strided_slice(
        (1, 4, 6), [0, 0, 0, 1], [1, 0, 4, 5], [1, 1, 1, 2], (1, 1, 4, 2), newAxisMask=2
    ),
    "split": model("SPLIT", [(1, 3, 6)], {0: 2}, [(1, 3, 2)] * 3, numSplits=3),
    "split_rows": model("SPLIT", [(1, 4, 6)], {0: [1]}, [(1, 2, 6)] * 2, numSplits=2),
    "split_v": model("SPLIT_V", [(1, 3, 6)], {1: [1, 3, 2], 2: [-1]}, [(1, 3, 1), (1, 3, 3), (1, 3, 2)], numSplits=3),
    "transpose": model("TRANSPOSE", [(1, 3, 4, 5)], {1: [0, 3, 1, 2]}, [(1, 5, 3, 4)]),
    "transpose_5": model("TRANSPOSE", [(1, 3, 4, 5, 2)], {1: [0, 4, 2, 3, 1]}, [(1, 2, 4, 5, 3)]),
    "transpose_2": model("TRANSPOSE", [(1, 7)], {1: [1, 0]}, [(7, 1)]),
    "expand_dims": model("EXPAND_DIMS", [(1, 3, 4)], {1: [2]}, [(1, 3, 1, 4)]),
    "squeeze": model("SQUEEZE", [(1, 3, 1, 4)], {}, [(1, 3, 4)], squeezeDims=[2]),
    "reshape": model("RESHAPE", [(1, 3, 8)], {1: [1, -1, 4]}, [(1, 6, 4)]),
    "pack": model("PACK", [(1, 5)] * 3, {}, [(1, 3, 5)], axis=1, valuesCount=3),
    "pack_last": model("PACK", [(1, 5)] * 3, {}, [(1, 5, 3)], axis=-1, valuesCount=3),
    "unpack": model("UNPACK", [(1, 3, 5)], {}, [(1, 5)] * 3, axis=1, num=3),
    "unpack_last": model("UNPACK", [(1, 5, 2)], {}, [(1, 5)] * 2, axis=2, num=2),
    "tile": model("TILE", [(1, 2, 3)], {1: [1, 3, 2]}, [(1, 6, 6)]),
    "broadcast_to": model("BROADCAST_TO", [(1, 1, 3)], {1: [1, 4, 3]}, [(1, 4, 3)]),
    "reverse": model("REVERSE_V2", [(1, 4, 3)], {1: [1]}, [(1, 4, 3)]),
    "space_to_depth": model("SPACE_TO_DEPTH", [(1, 4, 6, 3)], {}, [(1, 2, 3, 12)]),
    "depth_to_space": model("DEPTH_TO_SPACE", [(1, 2, 3, 12)], {}, [(1, 4, 6, 3)]),
    "gather": model("GATHER", [(1, 5, 3)], {1: [4, 0, 0, 2]}, [(1, 4, 3)], axis=1),
    "resize_twice": resize((3, 4), (6, 8)),
    "resize_half_pixels": resize((3, 4), (7, 9), halfPixelCenters=True),
    "resize_corners": resize((5, 4), (8, 3), alignCorners=True),
    "resize_smaller": resize((9, 7), (4, 2)),
    **{
        f"bilinear_{size[0]}x{size[1]}_to_{wanted[0]}x{wanted[1]}{''.join(options)}": bilinear(size, wanted, **options)
        for size, wanted in (((3, 4), (6, 8)), ((5, 4), (8, 3)), ((9, 7), (4, 2)), ((1, 6), (5, 1)), ((6, 1), (59, 60)))
        for options in ({}, {"alignCorners": True}, {"halfPixelCenters": True})
    },
    "mirror_pad_reflect": mirror_pad((1, 3, 4, 2), [[0, 0], [2, 1], [0, 3], [0, 0]], "REFLECT"),
    "mirror_pad_symmetric": mirror_pad((1, 3, 4, 2), [[0, 0], [3, 1], [2, 4], [0, 0]], "SYMMETRIC"),
    "mirror_pad_channels": mirror_pad((1, 3, 2, 4), [[0, 0], [1, 0], [0, 0], [1, 2]], "REFLECT"),
    "mirror_pad_rank_2": mirror_pad((1, 5), [[0, 0], [2, 4]], "REFLECT"),
    "mirror_pad_nothing": mirror_pad((1, 3, 4), [[0, 0]] * 3, "SYMMETRIC"),
}


def _transpose_convs() -> Iterator[tuple[str, bytes]]:
    """Both paddings, strides beyond the kernel and below, every format of weights, with and without bias."""
    rng = np.random.default_rng(0)
    kinds: dict[str, Callable[[tuple], np.ndarray]] = {
        "int8": lambda shape: rng.integers(-127, 128, shape),
        "ternary": lambda shape: rng.choice([-127, 0, 90], shape),
        "binary": lambda shape: rng.choice([-127, 127], shape),
        "expansion": lambda shape: rng.choice([-127, -60, 0, 60, 127], shape),
    }
    for number in range(24):
        kind = list(kinds)[number % 4]
        height, width, channels, filters = (int(rng.integers(1, 7)) for _ in range(4))
        kernel = rng.integers(1, 5, 2).tolist()
        strides = rng.integers(1, 4, 2).tolist()
        padding = ("SAME", "VALID")[number // 4 % 2]
        out = [
            n * s if padding == "SAME" else (n - 1) * s + k
            for n, s, k in zip((height, width), strides, kernel, strict=True)
        ]
        shape = (1, *out, filters)
        weights = kinds[kind]((filters, *kernel, channels)).astype(np.int8)
        scales = rng.uniform(0.005, 0.02, filters).astype(np.float32)
        tensors = [
            TensorSpec("shape", (4,), data=np.array(shape, np.int32), dtype="int32"),
            TensorSpec("w", weights.shape, scales.tolist(), 0, weights, 0),
            TensorSpec("x", (1, height, width, channels), 0.03, int(rng.integers(-128, 128))),
            TensorSpec("b", (filters,), (scales * np.float32(0.03)).tolist(), 0,
                       rng.integers(-4000, 4000, filters).astype(np.int32), dtype="int32"),
            TensorSpec("y", shape, 0.3, int(rng.integers(-128, 128))),
        ]  # fmt: skip
        names = ["shape", "w", "x", *(["b"] if number % 3 else [])]
        if "b" not in names:
            del tensors[3]
        activation = (None, "RELU", "RELU6")[number % 3]
        options = {
            "padding": padding,
            "strideH": strides[0],
            "strideW": strides[1],
            "fusedActivationFunction": activation,
        }
        yield (
            f"transpose_conv_{kind}_{number}",
            build_model(tensors, [OpSpec("TRANSPOSE_CONV", names, ["y"], options)], ["x"], ["y"]),
        )


CASES |= dict(_transpose_convs())


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> NetworkProgram:
    return NetworkProgram(tmp_path_factory.mktemp("copies"), CASES)


@pytest.mark.parametrize("name", CASES)
def test_c_equals_the_reference(program: NetworkProgram, name: str) -> None:
    graph = Graph.read(CASES[name])
    width = sum(tensor.nbytes for tensor in graph.inputs)
    samples = np.random.default_rng(0).integers(-128, 128, (5, width)).astype(np.int8)
    np.testing.assert_array_equal(program(name, samples), Reference(CASES[name])(samples))


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (model("TRANSPOSE", [(1, 3, 4)], {1: [0, 1, 1]}, [(1, 3, 4)]), "not one of the dimensions"),
        (model("CONCATENATION", [(1, 3), (1, 4)], {}, [(1, 8)], axis=1), "are 7 long"),
        (model("SPLIT", [(1, 5)], {0: 1}, [(1, 2)] * 2, numSplits=2), "cannot be split in 2"),
        (model("SLICE", [(1, 5)], {1: [0, 3], 2: [1, 4]}, [(1, 4)]), "leaves"),
        (model("PAD", [(1, 5)], {1: [[0, 0], [-1, 0]]}, [(1, 4)]), "do not fit"),
        (model("GATHER", [(1, 5)], {1: [5]}, [(1, 1)], axis=1), "leave dimension 1"),
        (mirror_pad((1, 5), [[0, 0], [5, 0]], "REFLECT"), "longer than what they mirror"),
        (mirror_pad((1, 5), [[0, 0], [0, 6]], "SYMMETRIC"), "longer than what they mirror"),
        (bilinear((3, 4), (6, 8), alignCorners=True, halfPixelCenters=True), "exclude each other"),
        (bilinear((1, 4), (97, 4)), "leaves the image"),
    ],
)
def test_what_does_not_fit_is_refused(case: bytes, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        lower(Graph.read(case))
