"""The C source of a model: constants, parameters and one function that calls the kernels in order."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from tflite_export.errors import ExportError
from tflite_export.graph import Graph, Tensor
from tflite_export.kernel_call import Constant, Field, KernelCall, distinct_constants
from tflite_export.memory import MemoryPlan, tensors_in_flash

_C_TYPES = {
    "int8": "int8_t",
    "uint8": "uint8_t",
    "int16": "int16_t",
    "uint16": "uint16_t",
    "int32": "int32_t",
    "uint32": "uint32_t",
    "uint64": "uint64_t",
    "float32": "float",
}
_COLUMNS = 98
_HOOK = """/* Called behind every step: a profiler defines it. */
#ifndef TERN_AFTER_OP
#define TERN_AFTER_OP(step) ((void)0)
#endif
"""


def check_name(name: str) -> None:
    """Refuse a model's name that cannot be part of a C identifier.

    Raises:
        ExportError: saying what a name may hold.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or name.lower().startswith("tern"):
        raise ExportError(
            f"'{name}' cannot name a model: use letters, digits and _, starting with a letter, but not with tern"
        )


def header(name: str, graph: Graph, plan: MemoryPlan, origin: str) -> str:
    """The header of a model: sizes, scales and the prototype.

    Args:
        name: prefix of every name in it.
        graph: the model.
        plan: its memory plan.
        origin: a line that says where the model came from.

    Returns:
        C source.
    """
    prefix = name.upper()
    lines = [f"/* {origin} */", f"#ifndef {prefix}_H", f"#define {prefix}_H", "", '#include "tern.h"', ""]
    for what, tensors in (("INPUT", graph.inputs), ("OUTPUT", graph.outputs)):
        for i, tensor in enumerate(tensors):
            label = f"{prefix}_{what}" + (f"_{i}" if len(tensors) > 1 else "")
            lines += [
                f"/* {_comment(tensor.name)}: {tensor.dtype} {' x '.join(map(str, tensor.shape))}, NHWC */",
                f"#define {label}_BYTES {tensor.nbytes}",
            ]
            if tensor.quantization is not None:
                lines.append(f"#define {label}_SCALE {_float(tensor.scale)}")
                lines.append(f"#define {label}_ZERO_POINT ({tensor.zero_point})")
            lines.append("")
    lines += [
        f"#define {prefix}_ARENA_BYTES {plan.arena_bytes}",
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        "",
        f"/* Runs the model once. The arena holds what lies between the layers: {prefix}_ARENA_BYTES bytes, aligned to",
        " * TERN_ALIGNMENT, free for other use between calls. Inputs, outputs and arena do not overlap.",
        " * Returns TERN_OK (0), or the tern_status that says what is wrong. */",
        f"{_prototype(name, graph)};",
        "",
        "#ifdef __cplusplus",
        "}",
        "#endif",
        "#endif",
        "",
    ]
    return "\n".join(lines)


def source(name: str, graph: Graph, plan: MemoryPlan, origin: str) -> str:
    """The source of a model. Arguments as in `header`.

    Returns:
        C source.
    """
    blocks = [f'/* {origin} */\n#include "{name}.h"\n', _HOOK]
    blocks += [_array(_flash_name(tensor), tensor.data) for tensor in tensors_in_flash(plan.calls)]
    names: dict[tuple[str, bytes], str] = {}  # of the arrays, by their content
    for step, (call, constants) in enumerate(zip(plan.calls, distinct_constants(plan.calls), strict=True)):
        names |= _constant_names(step, constants)
        blocks.append(_definitions(step, call, constants, names))
    blocks.append(_invoke(name, graph, plan))
    return "\n".join(blocks)


def _constant_names(step: int, constants: Sequence[Constant]) -> dict[tuple[str, bytes], str]:
    """The C name of each constant, by its content; of one role, as of an LSTM's gates, they are numbered."""
    names: dict[tuple[str, bytes], str] = {}
    roles: Counter[str] = Counter()
    for constant in constants:
        roles[constant.role] += 1
        number = "" if roles[constant.role] == 1 else roles[constant.role]
        names[constant.key] = f"op{step}_{constant.role}{number}"
    return names


def _prototype(name: str, graph: Graph) -> str:
    if not _several(graph):
        read, written = _C_TYPES[graph.inputs[0].dtype], _C_TYPES[graph.outputs[0].dtype]
        return f"int {name}_invoke(const {read} *input, {written} *output, void *arena)"
    kind = "void" if _mixed(graph) else "int8_t"
    return f"int {name}_invoke(const {kind} *const inputs[], {kind} *const outputs[], void *arena)"


def _several(graph: Graph) -> bool:
    return len(graph.inputs) > 1 or len(graph.outputs) > 1


def _mixed(graph: Graph) -> bool:
    """Whether inputs and outputs come as arrays of pointers to nothing in particular."""
    return _several(graph) and any(tensor.dtype != "int8" for tensor in (*graph.inputs, *graph.outputs))


def _definitions(
    step: int, call: KernelCall, constants: Sequence[Constant], names: Mapping[tuple[str, bytes], str]
) -> str:
    inputs = ", ".join(map(_shape, call.inputs))
    lines = [f"/* {step}. {call.op.name}: {inputs} -> {_shape(call.output)}", f" * {_comment(call.output.name)} */"]
    lines += [_array(names[constant.key], constant.data) for constant in constants]
    lines.append(f"static const {call.struct} op{step} = {{\n{_fields(call.fields, names, 1)}}};\n")
    return "\n".join(lines)


def _fields(fields: Mapping[str, Field], names: Mapping[tuple[str, bytes], str], depth: int) -> str:
    indent = "    " * depth
    text = ""
    for key, value in fields.items():
        if not isinstance(value, Mapping):
            text += f"{indent}.{key} = {_value(value, names)},\n"
        elif all(isinstance(item, int | float) for item in value.values()):
            numbers = ", ".join(f".{inner} = {_value(item, names)}" for inner, item in value.items())
            text += f"{indent}.{key} = {{{numbers}}},\n"
        else:
            text += f"{indent}.{key} = {{\n{_fields(value, names, depth + 1)}{indent}}},\n"
    return text


def _value(value: Field, names: Mapping[tuple[str, bytes], str]) -> str:
    if value is None:
        return "0"
    if isinstance(value, Constant):
        return names[value.key]
    if isinstance(value, tuple):
        return "{" + ", ".join(_value(item, names) for item in value) + "}"
    assert isinstance(value, int | float)
    return _integer(value) if isinstance(value, int) else _float(value)


def _invoke(name: str, graph: Graph, plan: MemoryPlan) -> str:
    required = ["input", "output", "arena"]
    if _several(graph):
        required = [f"inputs[{i}]" for i in range(len(graph.inputs))]
        required = ["inputs", "outputs", "arena", *required, *(f"outputs[{i}]" for i in range(len(graph.outputs)))]
    checks = textwrap.fill(" || ".join(f"!{pointer}" for pointer in required), _COLUMNS, subsequent_indent=" " * 8)
    lines = [f"{_prototype(name, graph)} {{"]
    if plan.buffers:
        lines.append("    int8_t *const a = (int8_t *)arena;")
    lines += [
        "    tern_status status;",
        "",
        f"    if ({checks}) return TERN_ERROR_NULL;",
        "    if ((uintptr_t)arena % TERN_ALIGNMENT != 0) return TERN_ERROR_ALIGNMENT;",
        "",
    ]
    for step, call in enumerate(plan.calls):
        arguments = [f"&op{step}", *(_pointer(tensor, graph, plan, "const ") for tensor in call.inputs)]
        arguments.append(_pointer(call.output, graph, plan))
        if step in plan.scratch:
            arguments.append(f"a + {plan.scratch[step]}")
        lines.append(f"    status = {call.function}({', '.join(arguments)});")
        lines.append("    if (status != TERN_OK) return (int)status;")
        lines.append(f"    TERN_AFTER_OP({step});")
    return "\n".join([*lines, "    return TERN_OK;", "}", ""])


def _pointer(tensor: Tensor, graph: Graph, plan: MemoryPlan, qualifier: str = "") -> str:
    location = plan.locations[tensor.index]
    if location.place == "flash":
        return _flash_name(tensor)
    wanted, base, kind, offset = _C_TYPES[tensor.dtype], "a", "int8_t", location.index
    if location.place != "arena":
        offset = location.offset
        base = f"{location.place}s[{location.index}]" if _several(graph) else location.place
        owner = (graph.inputs if location.place == "input" else graph.outputs)[location.index]
        kind = "void" if _mixed(graph) else _C_TYPES[owner.dtype]
    elements, rest = divmod(offset, tensor.nbytes // tensor.size)
    if kind == "void":
        base, kind = f"({qualifier}{wanted} *){base}", wanted
    if kind == wanted and rest == 0:
        return f"{base} + {elements}" if elements or location.place == "arena" else base
    bytes_at = base if kind == "int8_t" else f"({qualifier}int8_t *){base}"
    return f"({qualifier}{wanted} *)({qualifier}void *)({bytes_at} + {offset})"


def _array(name: str, data: np.ndarray | None) -> str:
    assert data is not None
    return c_array(f"static const {_C_TYPES[data.dtype.name]} {name}[{data.size}]", data)


def c_array(declaration: str, data: np.ndarray) -> str:
    """An initialised array.

    Args:
        declaration: what stands before the `=`.
        data: integers or float32, of any shape; flattened.

    Returns:
        C source.
    """
    values = data.reshape(-1).tolist()
    per_line = 10 if data.dtype.itemsize > 1 else 24
    if data.dtype == np.float32:
        lines = [", ".join(map(_float, values[i : i + per_line])) for i in range(0, len(values), per_line)]
    else:  # Python prints a list of integers as C does, faster than one by one
        lines = [str(values[i : i + per_line])[1:-1] for i in range(0, len(values), per_line)]
    text = ",\n    ".join(lines)
    if data.dtype == np.int32:
        text = text.replace(str(-(2**31)), _integer(-(2**31)))
    return f"{declaration} = {{\n    {text},\n}};"


def _integer(value: int) -> str:
    # C has no negative literals: -2147483648 is the negation of a number that does not fit an int.
    return "(-2147483647 - 1)" if value == -(2**31) else str(int(value))


def _float(value: float) -> str:
    text = np.format_float_scientific(np.float32(value), unique=True)
    return f"{text}f"


def _flash_name(tensor: Tensor) -> str:
    return f"constant{tensor.index}"


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))


def _comment(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text).replace("*/", "* /").replace("/*", "/ *")[:200]
