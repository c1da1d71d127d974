"""What a planned model costs, as the rows of its report."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from tflite_export.graph import Graph
from tflite_export.inspection import count_macs
from tflite_export.kernel_call import Constant, KernelCall, distinct_constants
from tflite_export.levels import CHANNEL_AXES, weights_of
from tflite_export.memory import MemoryPlan, plan_memory, tensors_in_flash
from tflite_export.report import LayerReport, Variant

# What packed weights consist of; all other constants are biases and the like.
WEIGHT_ROLES = ("weights", "channels", "plus", "minus")
# What holds the biases of a layer that has any, and how many words each of them stands in.
_BIAS_WORDS = {"bias": 1, "outputs": 3}


def layer_reports(plan: MemoryPlan) -> tuple[LayerReport, ...]:
    """A row a call."""
    seen: set[int] = set()  # operators that an earlier call of theirs accounts for
    rows = []
    for call, constants in zip(plan.calls, distinct_constants(plan.calls), strict=True):
        weights = _weights(call) if call.op.index not in seen else []
        if weights:
            seen.add(call.op.index)
        rows.append(_layer(call, constants, weights))
    return tuple(rows)


def _layer(call: KernelCall, constants: Sequence[Constant], weights: Sequence[np.ndarray]) -> LayerReport:
    weight_bytes = sum(constant.data.nbytes for constant in constants if constant.role in WEIGHT_ROLES)
    constant_bytes = sum(constant.data.nbytes for constant in constants) - weight_bytes
    count = sum(tensor.size for tensor in weights)
    nonzero = sum(int(np.count_nonzero(tensor)) for tensor in weights)
    axis = CHANNEL_AXES.get(call.op.name, 0)
    entropy = sum(entropy_bytes(tensor, axis) for tensor in weights)
    return LayerReport(
        op=call.op.name,
        name=call.output.name,
        kernel=call.function,
        reason=call.reason,
        weights=call.weight_format,
        input_shape=call.inputs[0].shape,
        output_shape=call.output.shape,
        macs=count_macs(call.op) if weights else 0,
        weight_count=count,
        density=nonzero / count if count else None,
        weight_bytes=weight_bytes,
        entropy_bytes=min(entropy, weight_bytes),  # levels may be stored for several layers at once
        constant_bytes=constant_bytes + sum(tensor.nbytes for tensor in tensors_in_flash([call])),
        scratch_bytes=call.scratch_bytes,
    )


def entropy_bytes(weights: np.ndarray, axis: int) -> int:
    """What weights take at least in a code that treats every weight of a channel alike.

    A channel of n weights takes n times the entropy of its values, and a byte for every value that is not zero; or n
    bytes, where that is less.

    Args:
        weights: int8 of any shape.
        axis: the dimension of the output channels.

    Returns:
        Bytes, rounded up.

    Example:
        >>> import numpy as np
        >>> from tflite_export.costs import entropy_bytes
        >>> entropy_bytes(np.array([[127, -127] * 32], np.int8), axis=0)  # 64 weights of a bit, and two levels
        10
    """
    rows = np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1)
    channels = np.arange(len(rows))[:, None]
    counts = np.zeros((len(rows), 256))
    np.add.at(counts, (channels, rows.astype(np.int16) + 128), 1)
    length = rows.shape[1]
    bits = -(counts * np.log2(np.where(counts, counts / length, 1))).sum(1)
    values = np.count_nonzero(counts, axis=1) - (counts[:, 128] > 0)
    return int(np.ceil(np.minimum(bits / 8 + values, length).sum().round(6)))


def variants(graph: Graph, calls: Sequence[KernelCall], plan: MemoryPlan) -> tuple[Variant, ...]:
    """The same network as float32 and as int8, without any kernel's working memory.

    Args:
        graph: the model.
        calls: its lowered operators.
        plan: their memory plan.
    """
    arrays = {tensor.tobytes(): tensor.size for call in plan.calls for tensor in _weights(call)}
    weights = sum(arrays.values())
    constants = distinct_constants(plan.calls)
    in_flash = tensors_in_flash(plan.calls)
    biases = sum(_bias_count(call, own) for call, own in zip(plan.calls, constants, strict=True))
    others = sum(constant.data.nbytes for own in constants for constant in own if constant.role not in WEIGHT_ROLES)
    if any(call.scratch_bytes for call in plan.calls):
        plan = plan_memory(graph, [dataclasses.replace(call, scratch_bytes=0) for call in calls])
    return (
        # a plan for bytes is one for words
        Variant("float32", 4 * weights, 4 * (biases + sum(tensor.size for tensor in in_flash)), 4 * plan.arena_bytes),
        Variant("int8", weights, others + sum(tensor.nbytes for tensor in in_flash), plan.arena_bytes),
    )


def _bias_count(call: KernelCall, constants: Sequence[Constant]) -> int:
    if not any(tensor is not None and tensor.dtype == "int32" for tensor in call.op.inputs):
        return 0
    return sum(
        constant.data.size // _BIAS_WORDS[constant.role] for constant in constants if constant.role in _BIAS_WORDS
    )


def _weights(call: KernelCall) -> list[np.ndarray]:
    """The weights of the operator, as they are in the `.tflite`."""
    tensors = weights_of(call.op) if call.weight_format else []
    return [tensor.data for tensor in tensors if tensor.data is not None]
