"""The figures of an export, and `report.json`, which keeps them."""

from __future__ import annotations

import dataclasses
import errno
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from tflite_export.errors import ExportError
from tflite_export.memory import PlacedBuffer
from tflite_export.report.interface import Interface

REPORT_FILE = "report.json"
PAGE_FILE = "report.html"
# Raised whenever the meaning of a field changes, or one is taken away.
SCHEMA = 1
KIB = 1024


@dataclass(frozen=True)
class LayerReport:
    """A kernel call of the generated C.

    Attributes:
        op: the TFLite operator.
        name: its output tensor's name.
        kernel: the C function.
        reason: why this kernel and this format of the weights; empty where there is no choice.
        weights: "int8", "ternary", "base3", "binary" or None.
        input_shape: of its first input.
        output_shape: of its output.
        macs: multiply-accumulates of the convolution or product, padding included; 0 for other operators.
        weight_count: the number of its weights.
        density: the fraction of weights that are not zero, or None.
        weight_bytes: packed weights and levels, as stored; arrays that an earlier call holds are not stored again.
        entropy_bytes: what the weights would take at least, in any code that treats every weight of a channel alike:
            a channel's empirical entropy and its levels; 0 where an earlier call holds them.
        constant_bytes: bias, multipliers and shifts, and activations that are constant.
        scratch_bytes: working memory of the call, part of the arena.
    """

    op: str
    name: str
    kernel: str
    reason: str
    weights: str | None
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    macs: int
    weight_count: int
    density: float | None
    weight_bytes: int
    entropy_bytes: int
    constant_bytes: int
    scratch_bytes: int

    @property
    def bits(self) -> float | None:
        """Stored bits a weight, levels included; None where this call stores none."""
        return 8 * self.weight_bytes / self.weight_count if self.weight_bytes and self.weight_count else None

    @property
    def entropy_bits(self) -> float | None:
        """The bound of `bits`."""
        return 8 * self.entropy_bytes / self.weight_count if self.weight_bytes and self.weight_count else None


@dataclass(frozen=True)
class CoreReport:
    """The object code for a core: the model and the kernels that it calls, without the compiler's own library.

    Attributes:
        core: a name of `tflite_export.boards.CORES`.
        compiler: with its version.
        optimize: its optimisation flag.
        code_bytes: machine code, and the constants that the compiler places among it.
        constant_bytes: all constants: weights, biases, multipliers, and the parameters of the calls.
        stack_bytes: an upper bound for `NAME_invoke` and all that it calls; None where there is none.
        stack_note: why there is none.
        library_functions: functions of the compiler's library that the code calls; they are in neither figure.
    """

    core: str
    compiler: str
    optimize: str
    code_bytes: int
    constant_bytes: int
    stack_bytes: int | None
    stack_note: str
    library_functions: tuple[str, ...]

    @property
    def flash_bytes(self) -> int:
        """Code and constants."""
        return self.code_bytes + self.constant_bytes


@dataclass(frozen=True)
class Benchmark:
    """Instructions of one inference, exact, under emulation, and the clock cycles that are estimated from them.

    Attributes:
        board: the emulated one.
        core: its core.
        compiler: with its version.
        optimize: its optimisation flag.
        emulator: "qemu" or "unicorn".
        instructions: of the whole call.
        layers: instructions of every layer, in their order. They add up to `instructions`, but for a few at the end.
        cycles: of all layers, an estimate: memory without wait states. What it rests on is in ``tflite_export.cycles``.
        layer_cycles: of every layer.
    """

    board: str
    core: str
    compiler: str
    optimize: str
    emulator: str
    instructions: int
    layers: tuple[int, ...]
    cycles: int
    layer_cycles: tuple[int, ...]


@dataclass(frozen=True)
class Variant:
    """The same network with other numbers, planned by the same planner.

    Attributes:
        name: "float32" or "int8".
        weight_bytes: flash for the weights.
        constant_bytes: flash for biases and, where there are any, multipliers and shifts.
        arena_bytes: RAM between the layers.
    """

    name: str
    weight_bytes: int
    constant_bytes: int
    arena_bytes: int


@dataclass(frozen=True)
class Reserve:
    """What the rest of the firmware takes: drivers, its own stack, the network stack.

    Attributes:
        flash: bytes.
        ram: bytes.
    """

    flash: int = 16 * KIB
    ram: int = 4 * KIB


@dataclass(frozen=True)
class ExportReport:
    """What an export made.

    Attributes:
        folder: where the artefacts are.
        name: the model's name, the prefix of its files and C names.
        version: of tern-keras.
        targets: which artefacts there are: "int8" (`NAME.tflite` and the C array of it), "c".
        core: which the kernels and weight formats of the C are chosen for.
        optimize: what that choice prefers, "speed" or "size".
        inputs: of the model.
        outputs: of the model.
        tflite_bytes: size of the `.tflite` file.
        arena_bytes: RAM between the layers; 0 without C.
        arena_lower_bound: the largest sum of tensors that live at the same time.
        arena_proved_optimal: no arena is smaller, with these kernels and tensors that share bytes as they do.
        arena_peak: the layers that need most of the arena, as indices of `layers`.
        buffers: what lies in the arena, and from which layer to which.
        layers: a row a kernel call, in order; none without C.
        variants: the same network as float32 and as int8; none without C.
        cores: what the object code takes.
        benchmarks: instructions, where `bench` measured them.
        notes: what could not be measured, and why, a sentence each.
        files: every file written, relative to `folder`.
    """

    folder: Path
    name: str
    version: str
    targets: tuple[str, ...]
    core: str
    optimize: str
    inputs: tuple[Interface, ...]
    outputs: tuple[Interface, ...]
    tflite_bytes: int
    arena_bytes: int
    arena_lower_bound: int
    arena_proved_optimal: bool
    arena_peak: tuple[int, ...]
    buffers: tuple[PlacedBuffer, ...]
    layers: tuple[LayerReport, ...]
    variants: tuple[Variant, ...]
    cores: tuple[CoreReport, ...]
    benchmarks: tuple[Benchmark, ...]
    notes: tuple[str, ...]
    files: tuple[str, ...]

    @property
    def weight_bytes(self) -> int:
        """Flash for packed weights and their levels."""
        return sum(layer.weight_bytes for layer in self.layers)

    @property
    def entropy_bytes(self) -> int:
        """The bound of `weight_bytes`, channel by channel."""
        return sum(layer.entropy_bytes for layer in self.layers)

    @property
    def constant_bytes(self) -> int:
        """Flash for biases, multipliers and shifts."""
        return sum(layer.constant_bytes for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(layer.macs for layer in self.layers)

    @property
    def interface_bytes(self) -> int:
        """RAM for the inputs and the outputs, which are the caller's."""
        return sum(tensor.nbytes for tensor in (*self.inputs, *self.outputs))

    @property
    def tflite_path(self) -> Path:
        """The int8 reference."""
        return self.folder / f"{self.name}.tflite"

    def json(self) -> str:
        """The report as JSON, without its folder: artefacts may be moved.

        The keys are the attributes of the report and of its parts; `schema` says by which version of them.
        """
        fields = {"schema": SCHEMA, **dataclasses.asdict(self)}
        del fields["folder"]
        return json.dumps(fields, indent=1) + "\n"

    def html(self, reserve: Reserve | None = None) -> str:
        """The report as one page that needs no other file and no network.

        Args:
            reserve: what the rest of the firmware takes of a board; None: 16 KiB of flash and 4 KiB of RAM.
        """
        from tflite_export.report.page import page

        return page(self, reserve)

    def tables(self, reserve: Reserve | None = None) -> list[Table]:
        """The report as tables for the terminal. Argument as in `html`."""
        from tflite_export.report.terminal import tables

        return tables(self, reserve)

    def table(self) -> Table:
        """The layers as a table for the terminal."""
        from tflite_export.report.terminal import layer_table

        return layer_table(self)

    @classmethod
    def load(cls, folder: str | Path) -> ExportReport:
        """Read the report of an export.

        Args:
            folder: where it was exported to; `folder/NAME` and `folder/NAME.tflite` say the same.

        Raises:
            ExportError: if there is none, or it is damaged, or another version wrote it.
        """
        path = Path(folder)
        prefix = "" if path.is_dir() else path.name.removesuffix(".tflite")
        path = path.parent if prefix else path
        try:
            fields: dict[str, Any] = _tuples(json.loads((path / REPORT_FILE).read_text()))
            schema = fields.pop("schema")
            if schema != SCHEMA:
                raise ExportError(f"{path / REPORT_FILE} has the schema {schema}, not {SCHEMA}: export the model again")
            if prefix not in ("", fields["name"]):
                raise FileNotFoundError(errno.ENOENT, f"no export of this name, but of '{fields['name']}'", str(path))
            fields |= {key: tuple(row(**values) for values in fields[key]) for key, row in _ROWS.items()}
            return cls(folder=path, **fields)
        except OSError as error:
            raise ExportError(f"{folder} is no export: {error.strerror}; make one with tern-keras export") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ExportError(f"{path / REPORT_FILE} is damaged ({error}); run tern-keras export again") from error


_ROWS: dict[str, type] = {
    "inputs": Interface,
    "outputs": Interface,
    "layers": LayerReport,
    "buffers": PlacedBuffer,
    "variants": Variant,
    "cores": CoreReport,
    "benchmarks": Benchmark,
}


def _tuples(value: Any) -> Any:
    """JSON has no tuples: give them back to the dataclasses."""
    if isinstance(value, list):
        return tuple(map(_tuples, value))
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return value
