"""Builds small quantised .tflite models from a list of tensors and operators, with any scales, without a converter.

The models serve as questions to the reference interpreter: a converter only ever emits the scales that its
calibration chose, whereas rounding errors hide at the extreme ones.

Example:
    >>> model = build_model(
    ...     [TensorSpec("x", (1, 4), 0.1, 3), TensorSpec("y", (1, 4), 1 / 256, -128)],
    ...     [OpSpec("SOFTMAX", ["x"], ["y"])],
    ...     inputs=["x"],
    ...     outputs=["y"],
    ... )
    >>> run_reference(model, np.array([[3, 3, 3, 3]], np.int8))[0].tolist()
    [[-64, -64, -64, -64]]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

_PADDING = {"SAME": schema.Padding.SAME, "VALID": schema.Padding.VALID}
_ACTIVATION = {
    None: schema.ActivationFunctionType.NONE,
    "RELU": schema.ActivationFunctionType.RELU,
    "RELU6": schema.ActivationFunctionType.RELU6,
    "RELU_N1_TO_1": schema.ActivationFunctionType.RELU_N1_TO_1,
    "TANH": schema.ActivationFunctionType.TANH,
}
_MODE = {"REFLECT": schema.MirrorPadMode.REFLECT, "SYMMETRIC": schema.MirrorPadMode.SYMMETRIC}
_ENCODINGS: dict[str, dict[Any, int]] = {
    "padding": _PADDING,
    "fusedActivationFunction": _ACTIVATION,
    "mode": _MODE,
}
_TYPE = {
    "int8": schema.TensorType.INT8,
    "uint8": schema.TensorType.UINT8,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
    "float32": schema.TensorType.FLOAT32,
}


@dataclass(frozen=True)
class _Op:
    """How an operator is stored: its options' class if it has one, its version, and what is set unless given."""

    options: str | None
    version: int
    defaults: Mapping[str, Any]


_WINDOW = {"padding": "VALID", "strideH": 1, "strideW": 1, "fusedActivationFunction": None}
_DILATED = {**_WINDOW, "dilationHFactor": 1, "dilationWFactor": 1}
_OPS = {
    "CONV_2D": _Op("Conv2DOptions", 5, _DILATED),
    "DEPTHWISE_CONV_2D": _Op("DepthwiseConv2DOptions", 3, {**_DILATED, "depthMultiplier": 1}),
    "FULLY_CONNECTED": _Op("FullyConnectedOptions", 5, {"fusedActivationFunction": None, "keepNumDims": False}),
    "MAX_POOL_2D": _Op("Pool2DOptions", 2, _WINDOW),
    "AVERAGE_POOL_2D": _Op("Pool2DOptions", 2, _WINDOW),
    "MEAN": _Op("ReducerOptions", 2, {"keepDims": False}),
    "ADD": _Op("AddOptions", 2, {"fusedActivationFunction": None}),
    "MUL": _Op("MulOptions", 2, {"fusedActivationFunction": None}),
    "SUB": _Op("SubOptions", 2, {"fusedActivationFunction": None}),
    "ABS": _Op("AbsOptions", 2, {}),
    "DEQUANTIZE": _Op("DequantizeOptions", 2, {}),
    "EXP": _Op("ExpOptions", 2, {}),
    "GELU": _Op("GeluOptions", 2, {"approximate": False}),
    "HARD_SWISH": _Op("HardSwishOptions", 1, {}),
    "L2_NORMALIZATION": _Op("L2NormOptions", 2, {"fusedActivationFunction": None}),
    "LEAKY_RELU": _Op("LeakyReluOptions", 2, {"alpha": 0.1}),
    "LOG": _Op(None, 2, {}),
    "LOGISTIC": _Op(None, 2, {}),
    "MAXIMUM": _Op("MaximumMinimumOptions", 2, {}),
    "MINIMUM": _Op("MaximumMinimumOptions", 2, {}),
    "PRELU": _Op(None, 1, {}),
    "QUANTIZE": _Op("QuantizeOptions", 2, {}),
    "REDUCE_MAX": _Op("ReducerOptions", 2, {"keepDims": False}),
    "REDUCE_MIN": _Op("ReducerOptions", 2, {"keepDims": False}),
    "RELU": _Op(None, 2, {}),
    "RELU6": _Op(None, 2, {}),
    "RELU_0_TO_1": _Op(None, 1, {}),
    "RELU_N1_TO_1": _Op(None, 1, {}),
    "SQUARED_DIFFERENCE": _Op("SquaredDifferenceOptions", 2, {}),
    "TANH": _Op(None, 2, {}),
    "BROADCAST_TO": _Op("BroadcastToOptions", 3, {}),
    "CONCATENATION": _Op("ConcatenationOptions", 2, {"axis": -1, "fusedActivationFunction": None}),
    "DEPTH_TO_SPACE": _Op("DepthToSpaceOptions", 1, {"blockSize": 2}),
    "EXPAND_DIMS": _Op("ExpandDimsOptions", 1, {}),
    "GATHER": _Op("GatherOptions", 2, {"axis": 0, "batchDims": 0}),
    "MIRROR_PAD": _Op("MirrorPadOptions", 2, {"mode": "REFLECT"}),
    "PACK": _Op("PackOptions", 2, {"axis": 0, "valuesCount": 1}),
    "PAD": _Op("PadOptions", 2, {}),
    "PADV2": _Op("PadV2Options", 2, {}),
    "RESHAPE": _Op("ReshapeOptions", 1, {}),
    "RESIZE_BILINEAR": _Op("ResizeBilinearOptions", 3, {"alignCorners": False, "halfPixelCenters": False}),
    "RESIZE_NEAREST_NEIGHBOR": _Op(
        "ResizeNearestNeighborOptions", 3, {"alignCorners": False, "halfPixelCenters": False}
    ),
    "REVERSE_V2": _Op("ReverseV2Options", 2, {}),
    "SHAPE": _Op("ShapeOptions", 1, {"outType": schema.TensorType.INT32}),
    "SLICE": _Op("SliceOptions", 2, {}),
    "SPACE_TO_DEPTH": _Op("SpaceToDepthOptions", 2, {"blockSize": 2}),
    "SPLIT": _Op("SplitOptions", 2, {"numSplits": 1}),
    "SPLIT_V": _Op("SplitVOptions", 2, {"numSplits": 1}),
    "SQUEEZE": _Op("SqueezeOptions", 1, {}),
    "STRIDED_SLICE": _Op(
        "StridedSliceOptions",
        2,
        {"beginMask": 0, "endMask": 0, "ellipsisMask": 0, "newAxisMask": 0, "shrinkAxisMask": 0, "offset": False},
    ),
    "TILE": _Op("TileOptions", 1, {}),
    "TRANSPOSE": _Op("TransposeOptions", 2, {}),
    "TRANSPOSE_CONV": _Op(
        "TransposeConvOptions", 3, {"padding": "VALID", "strideH": 1, "strideW": 1, "fusedActivationFunction": None}
    ),
    "UNPACK": _Op("UnpackOptions", 2, {"axis": 0, "num": 1}),
    "SOFTMAX": _Op("SoftmaxOptions", 2, {"beta": 1.0}),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _Op(
        "UnidirectionalSequenceLSTMOptions", 3, {"fusedActivationFunction": "TANH", "cellClip": 0.0, "timeMajor": False}
    ),
}


@dataclass(frozen=True)
class TensorSpec:
    """A tensor.

    Attributes:
        name: Unique in the model.
        shape: All dimensions, the batch included.
        scale: One number, or one a channel. None leaves the tensor unquantised.
        zero_point: One number, or one a channel.
        data: Values of a constant tensor, of `shape`; None for an activation.
        quantized_dimension: The dimension of the channels that a sequence of scales belongs to.
        dtype: "int8", "uint8", "int16", "int32" or "float32".
        variable: Whether it is state that lasts from one inference to the next.
    """

    name: str
    shape: tuple[int, ...]
    scale: float | Sequence[float] | None = None
    zero_point: int | Sequence[int] = 0
    data: np.ndarray | None = None
    quantized_dimension: int = 0
    dtype: str = "int8"
    variable: bool = False


@dataclass(frozen=True)
class OpSpec:
    """An operator: a builtin's name, tensors by name, and its options as the schema spells them.

    Padding and fused activations are given by name: `{"padding": "SAME", "fusedActivationFunction": "RELU6"}`.
    The tensors named as intermediates carry nothing but a quantisation.
    """

    name: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    options: Mapping[str, Any] = field(default_factory=dict)
    intermediates: Sequence[str] = ()


def build_model(
    tensors: Sequence[TensorSpec], ops: Sequence[OpSpec], inputs: Sequence[str], outputs: Sequence[str]
) -> bytes:
    """Serialises a model of one subgraph.

    Args:
        tensors: All tensors; operators name them.
        ops: The operators in the order of execution. An input named "" is an optional one left out.
        inputs: Names of the model's inputs.
        outputs: Names of the model's outputs.

    Returns:
        The bytes of a .tflite file.

    Raises:
        ValueError: A constant's data has another shape than its tensor.
        KeyError: An operator or a tensor is not known.
    """
    index = {spec.name: i for i, spec in enumerate(tensors)} | {"": -1}
    codes = list(dict.fromkeys(op.name for op in ops))

    subgraph = schema.SubGraphT()
    subgraph.name = "main"
    subgraph.tensors = [_tensor(spec, buffer=i + 1) for i, spec in enumerate(tensors)]
    subgraph.inputs = [index[name] for name in inputs]
    subgraph.outputs = [index[name] for name in outputs]
    subgraph.operators = [_operator(op, codes.index(op.name), index) for op in ops]

    model = schema.ModelT()
    model.version = 3
    model.operatorCodes = [_operator_code(name) for name in codes]
    model.subgraphs = [subgraph]
    model.buffers = [schema.BufferT(), *(_buffer(spec) for spec in tensors)]

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def run_reference(model: bytes, *inputs: np.ndarray) -> list[np.ndarray]:
    """Runs a model once with TFLite's reference kernels (no delegate) and returns its outputs."""
    interpreter = Interpreter(
        model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF, num_threads=1
    )
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def _tensor(spec: TensorSpec, buffer: int) -> schema.TensorT:
    tensor = schema.TensorT()
    tensor.name = spec.name
    tensor.shape = list(spec.shape)
    tensor.type = _TYPE[spec.dtype]
    tensor.buffer = buffer
    tensor.isVariable = spec.variable
    if spec.scale is not None:
        scales = np.atleast_1d(np.asarray(spec.scale, np.float32))
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = scales
        tensor.quantization.zeroPoint = np.broadcast_to(np.asarray(spec.zero_point, np.int64), scales.shape).copy()
        tensor.quantization.quantizedDimension = spec.quantized_dimension
    return tensor


def _buffer(spec: TensorSpec) -> schema.BufferT:
    buffer = schema.BufferT()
    if spec.data is not None:
        if np.shape(spec.data) != tuple(spec.shape):
            raise ValueError(f"tensor {spec.name!r}: data of shape {np.shape(spec.data)}, expected {spec.shape}")
        buffer.data = np.frombuffer(np.ascontiguousarray(spec.data, spec.dtype).tobytes(), np.uint8)
    return buffer


def _operator_code(name: str) -> schema.OperatorCodeT:
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, name)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version = _OPS[name].version
    return code


def _operator(op: OpSpec, opcode_index: int, index: Mapping[str, int]) -> schema.OperatorT:
    kind = _OPS[op.name]
    options = getattr(schema, f"{kind.options}T")() if kind.options else None
    for key, value in {**kind.defaults, **op.options}.items():
        if not hasattr(options, key):
            raise KeyError(f"{op.name} has no option {key!r}")
        setattr(options, key, _ENCODINGS[key][value] if key in _ENCODINGS else value)
    operator = schema.OperatorT()
    operator.opcodeIndex = opcode_index
    operator.inputs = [index[name] for name in op.inputs]
    operator.outputs = [index[name] for name in op.outputs]
    operator.intermediates = [index[name] for name in op.intermediates] or None
    if kind.options:
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind.options)
        operator.builtinOptions = options
    return operator
