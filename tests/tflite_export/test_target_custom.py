"""Files with packed custom operators: equal to the int8 reference in LiteRT and TensorFlow, smaller, and checked."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from random_networks import random_network
from tflite_builder import OpSpec, TensorSpec, build_model

from tflite_export import ExportError, Graph, export, load_delegate, pack, verify
from tflite_export.delegate import delegate_library
from tflite_export.kernel_call import KernelCall
from tflite_export.reference import Reference
from tflite_export.targets import PACK_TARGETS
from tflite_export.targets.custom import FORMATS, OP_NAMES, pack_custom, rewrite

NETWORKS = 120
OPTIMIZE = ("speed", "size")


def _even_if_larger(_: KernelCall) -> None:
    return None


def _samples(model: bytes, count: int = 4) -> np.ndarray:
    width = sum(tensor.size for tensor in Graph.read(model).inputs)
    rng = np.random.default_rng(width)
    return np.vstack([rng.choice([-128, 127], (1, width)), rng.integers(-128, 128, (count - 1, width))]).astype(np.int8)


def _dense(units: int, inputs: int, weights: np.ndarray | None = None, bias: bool = True) -> bytes:
    """A fully connected layer with ternary weights."""
    rng = np.random.default_rng(0)
    if weights is None:
        weights = rng.choice([-127, 0, 90], (units, inputs)).astype(np.int8)
    scales = rng.uniform(0.005, 0.01, units).astype(np.float32)
    tensors = [
        TensorSpec("x", (1, inputs), 0.02, 3),
        TensorSpec("w", (units, inputs), scales.tolist(), 0, weights),
        TensorSpec("y", (1, units), 0.9, -5),
    ]
    if bias:
        tensors.append(TensorSpec("b", (units,), None, 0, np.arange(units, dtype=np.int32), dtype="int32"))
    op = OpSpec("FULLY_CONNECTED", ["x", "w", "b"] if bias else ["x", "w"], ["y"])
    return build_model(tensors, [op], ["x"], ["y"])


@pytest.fixture(scope="module")
def packed_networks() -> dict[tuple[int, str], bytes]:
    """Random networks, each layer packed whether that pays or not."""
    return {
        (seed, optimize): rewrite(random_network(seed, edges=False), optimize, _even_if_larger).tflite
        for seed in range(NETWORKS)
        for optimize in OPTIMIZE
    }


@pytest.mark.parametrize("seed", [*range(NETWORKS), *range(200, 240)])
def test_litert_with_the_delegate_equals_the_reference(packed_networks, seed: int) -> None:
    model = random_network(seed, edges=False)
    samples = _samples(model)
    expected = Reference(model)(samples)
    for optimize in OPTIMIZE:
        packed = packed_networks.get((seed, optimize)) or rewrite(model, optimize, _even_if_larger).tflite
        np.testing.assert_array_equal(PACK_TARGETS["custom"].load(packed)(samples), expected)


def test_the_networks_hold_every_operator_and_format(packed_networks) -> None:
    found = set()
    rarer = (rewrite(random_network(seed, edges=False), "speed", _even_if_larger).tflite for seed in range(200, 240))
    for packed in (*packed_networks.values(), *rarer):
        model = schema.ModelT.InitFromPackedBuf(packed, 0)
        for op in model.subgraphs[0].operators:
            if (name := model.operatorCodes[op.opcodeIndex].customCode) is not None:
                found.add((name.decode(), struct.unpack_from("<i", bytes(op.customOptions), 4)[0]))
    assert found == {(name, number) for name in OP_NAMES.values() for number in FORMATS.values()}


def test_tensorflow_takes_the_same_library(packed_networks) -> None:
    import tensorflow as tf

    own = tf.lite.experimental.load_delegate(str(delegate_library()))
    for seed, delegate in zip(range(6), [own, load_delegate()] * 3, strict=True):
        model = random_network(seed, edges=False)
        with pytest.warns(UserWarning, match="LiteRT"):
            interpreter = tf.lite.Interpreter(
                model_content=packed_networks[seed, "speed"],
                experimental_delegates=[delegate],
                experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF,
            )
        interpreter.allocate_tensors()
        sample = _samples(model)[-1]
        details = interpreter.get_input_details()
        splits = np.split(sample, np.cumsum([np.prod(detail["shape"]) for detail in details])[:-1])
        for detail, values in zip(details, splits, strict=True):
            interpreter.set_tensor(detail["index"], values.reshape(detail["shape"]))
        interpreter.invoke()
        outputs = [interpreter.get_tensor(detail["index"]).ravel() for detail in interpreter.get_output_details()]
        np.testing.assert_array_equal(np.concatenate(outputs), Reference(model)(sample[None])[0])


@pytest.mark.parametrize("optimize", OPTIMIZE)
@pytest.mark.parametrize("seed", range(0, 240, 4))
def test_a_packed_file_is_smaller_or_the_file_itself(seed: int, optimize: str) -> None:
    model = random_network(seed, edges=False)
    packed = pack_custom(model, optimize)
    changed = set(packed.formats.values()) & FORMATS.keys()
    assert (len(packed.tflite) < len(model)) if changed else (packed.tflite == model)
    layers = [op for op in Graph.read(model).ops if op.name in OP_NAMES]
    unpacked = sum(format == "int8" for format in packed.formats.values())
    assert unpacked <= len(packed.notes) or packed.notes[-1].startswith("all layers stay int8")
    assert len(packed.formats) == len({op.inputs[1].index for op in layers})


@pytest.mark.parametrize(("optimize", "bits"), [("speed", 2.0), ("size", 1.6)])
def test_bits_a_weight(optimize: str, bits: float) -> None:
    sizes = [len(pack_custom(_dense(40, inputs), optimize).tflite) for inputs in (1000, 2000)]
    assert 8 * (sizes[1] - sizes[0]) / (40 * 1000) == pytest.approx(bits, abs=0.02)


def test_it_pays_from_small_layers_on() -> None:
    model = _dense(16, 32)
    assert len(pack(model, "custom")) < len(model)


def test_what_stays_int8_is_told() -> None:
    weights = np.arange(-127, 128, dtype=np.int8).reshape(5, 51)
    packed = pack_custom(_dense(5, 51, weights))
    assert packed.tflite == _dense(5, 51, weights)
    assert packed.notes == ("op 0 FULLY_CONNECTED 'y' stays int8: 51 values in a channel are too many to be ternary",)
    assert packed.formats == {1: "int8"}


def test_a_layer_that_would_grow_stays_int8() -> None:
    packed = pack_custom(_dense(2, 12, np.zeros((2, 12), np.int8)))
    assert packed.formats == {1: "int8"}
    assert "would take" in packed.notes[0]


def test_a_layer_without_a_bias() -> None:
    model = _dense(16, 64, bias=False)
    packed = pack(model, "custom")
    samples = _samples(model, 20)
    np.testing.assert_array_equal(PACK_TARGETS["custom"].load(packed)(samples), Reference(model)(samples))


def test_weights_that_two_layers_share_are_stored_once() -> None:
    rng = np.random.default_rng(0)
    weights = TensorSpec("w", (64, 64), [0.01] * 64, 0, rng.choice([-127, 0, 127], (64, 64)).astype(np.int8))
    names = ["x", "y", "z"]
    activations = [TensorSpec(name, (1, 64), 0.1, 0) for name in names]
    ops = [OpSpec("FULLY_CONNECTED", [a, "w"], [b]) for a, b in (("x", "y"), ("y", "z"))]
    model = build_model([*activations, weights], ops, ["x"], ["z"])
    packed = pack(model, "custom")
    graph = Graph.read(packed)
    assert graph.ops[0].inputs[1] is graph.ops[1].inputs[1]
    samples = _samples(model)
    np.testing.assert_array_equal(PACK_TARGETS["custom"].load(packed)(samples), Reference(model)(samples))


def test_the_file_is_the_same_each_time_and_packs_no_further() -> None:
    packed = pack(_dense(40, 100), "custom")
    assert pack(_dense(40, 100), "custom") == packed
    assert pack(packed, "custom") == packed


def test_constants_are_aligned_and_nothing_unused_is_left() -> None:
    packed = pack(_dense(40, 100), "custom")
    model = schema.Model.GetRootAsModel(packed, 0)
    buffers = [model.Buffers(i) for i in range(model.BuffersLength())]
    constants = [buffer.DataAsNumpy() for buffer in buffers if buffer.DataLength()]
    start = np.frombuffer(packed, np.uint8).ctypes.data
    assert len(constants) == 5
    assert all((constant.ctypes.data - start) % 16 == 0 for constant in constants)
    assert model.OperatorCodesLength() == 1
    assert model.Subgraphs(0).TensorsLength() == 7


def test_signatures_and_names_survive(tmp_path: Path) -> None:
    import keras
    from ai_edge_litert.interpreter import Interpreter

    from tern_keras.layers import QuantConv2D, QuantDense
    from tflite_export import convert

    model = keras.Sequential(
        [
            keras.Input((8, 8, 4), name="picture"),
            QuantConv2D(24, 3, kernel_quantizer="twn"),
            keras.layers.ReLU(),
            keras.layers.GlobalAveragePooling2D(),
            QuantDense(40, kernel_quantizer="ttq"),
        ]
    )
    calibration = np.random.default_rng(0).normal(size=(32, 8, 8, 4)).astype("float32")
    int8 = convert(model, calibration)
    interpreter = Interpreter(model_content=pack(int8, "custom"), experimental_delegates=[load_delegate()])
    expected = Interpreter(model_content=int8).get_signature_list()
    assert interpreter.get_signature_list() == expected

    report = export(int8, tmp_path, targets=("int8", "custom"))
    checked = verify(report, calibration)
    assert checked.ok
    assert [check.artefact for check in checked.checks][1:] == ["custom in LiteRT with the delegate"]


# --- files that do not hold what they say


def _edited(packed: bytes, position: int, value: int) -> bytes:
    """The only operator's option number `position` set to `value`."""
    options = bytes(schema.ModelT.InitFromPackedBuf(packed, 0).subgraphs[0].operators[0].customOptions)
    numbers = list(struct.unpack(f"<{len(options) // 4}i", options))
    numbers[position] = value
    assert packed.count(options) == 1
    return packed.replace(options, struct.pack(f"<{len(numbers)}i", *numbers))


@pytest.mark.parametrize("value", [-1, 0, 7, 41, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("position", [0, 1, 2, 3, 4, 6])
def test_options_that_do_not_fit_are_refused(position: int, value: int) -> None:
    """Version, format, rows, inputs, outputs, planes."""
    packed = pack(_dense(40, 100), "custom")
    if _edited(packed, position, value) == packed:
        value = 3
    with pytest.raises(ExportError, match=r"TernFullyConnected: .*pack the model again"):
        PACK_TARGETS["custom"].load(_edited(packed, position, value))


def test_parameters_that_only_the_kernel_checks_fail_the_run() -> None:
    packed = _edited(pack(_dense(40, 100), "custom"), -2, 1000)  # the minimum
    runner = PACK_TARGETS["custom"].load(packed)
    with pytest.raises(RuntimeError, match="options are of another version"):
        runner(np.zeros((1, 100), np.int8))


def test_an_input_cannot_be_resized() -> None:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=pack(_dense(40, 100), "custom"), experimental_delegates=[load_delegate()])
    interpreter.resize_tensor_input(0, (2, 100))
    with pytest.raises(RuntimeError, match="inputs cannot be resized"):
        interpreter.allocate_tensors()


def test_without_the_delegate_litert_says_which_operator_it_lacks() -> None:
    with pytest.raises(ExportError, match="TernFullyConnected"):
        Reference(pack(_dense(40, 100), "custom"))


def test_a_damaged_file_cannot_be_packed() -> None:
    with pytest.raises(ExportError, match=r"not a \.tflite file"):
        pack(b"no model", "custom")
