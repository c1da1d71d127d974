"""The emulated boards and their cores: compilers' options, memories, emulators' names."""

from dataclasses import dataclass

from tflite_export.errors import ExportError

GCC_ARM = ("arm-none-eabi-gcc",)
GCC_RISCV = ("riscv64-unknown-elf-gcc", "riscv32-unknown-elf-gcc", "riscv-none-elf-gcc")


@dataclass(frozen=True)
class Core:
    """A processor core, and how compilers and emulators call it.

    Attributes:
        name: Such as `"cortex-m4"`.
        architecture: `"cortex_m"` or `"riscv"`: which startup and counter the firmware takes.
        gcc: Names under which a GCC for it may be installed, the preferred first.
        gcc_flags: What GCC needs to compile and link for it.
        zig_flags: The same for `zig cc`.
        port: Which part of the kernels' `port.h` it compiles: "portable", "dsp" or "mve".
        unicorn: Unicorn's constant for it, or None where Unicorn does not emulate it.
    """

    name: str
    architecture: str
    gcc: tuple[str, ...]
    gcc_flags: tuple[str, ...]
    zig_flags: tuple[str, ...]
    port: str
    unicorn: str | None


@dataclass(frozen=True)
class Memory:
    """A range of addresses: `size` bytes from `origin`."""

    origin: int
    size: int


@dataclass(frozen=True)
class Board:
    """A machine of QEMU and the core that its code is compiled for.

    Attributes:
        name: What the user types.
        core: The core.
        qemu: The emulator's program.
        machine: The program's `-M` argument.
        flash: Code, constants and the initial values of variables.
        ram: Stack and variables.
        stack_bytes: How much of `ram` the stack gets.
        systick_hz: The frequency of the Cortex-M system timer, which instructions are counted with; 0 on RISC-V.
    """

    name: str
    core: Core
    qemu: str
    machine: str
    flash: Memory
    ram: Memory
    stack_bytes: int
    systick_hz: int


def _cortex_m(
    name: str,
    port: str = "portable",
    float_flags: tuple[str, ...] = (),
    zig_features: str = "",
    unicorn: bool = True,
) -> Core:
    abi = "eabihf" if float_flags else "eabi"
    identifier = name.replace("-", "_")
    return Core(
        name=name,
        architecture="cortex_m",
        gcc=GCC_ARM,
        gcc_flags=("-mthumb", f"-mcpu={name}", *float_flags),
        zig_flags=("-target", f"thumb-freestanding-{abi}", f"-mcpu={identifier}{zig_features}"),
        port=port,
        unicorn=f"UC_CPU_ARM_{identifier.upper()}" if unicorn else None,
    )


_RV32IMAC = Core(
    name="rv32imac",
    architecture="riscv",
    gcc=GCC_RISCV,
    # Until specification 2.2 the CSR instructions belong to I; as an extension GCC would find no libgcc for it.
    gcc_flags=("-march=rv32imac", "-misa-spec=2.2", "-mabi=ilp32", "-mcmodel=medany"),
    zig_flags=("-target", "riscv32-freestanding-none", "-mcpu=generic_rv32+m+a+c+zicsr", "-mcmodel=medany"),
    port="portable",
    unicorn="UC_CPU_RISCV32_BASE32",
)

CORES = {
    core.name: core
    for core in (
        _cortex_m("cortex-m0"),
        _cortex_m("cortex-m3"),
        _cortex_m("cortex-m4", "dsp", ("-mfpu=fpv4-sp-d16", "-mfloat-abi=hard")),
        _cortex_m("cortex-m7", "dsp", ("-mfpu=fpv5-d16", "-mfloat-abi=hard")),
        _cortex_m("cortex-m55", "mve", ("-mfloat-abi=hard",), "+mve_fp", unicorn=False),
        _RV32IMAC,
    )
}

# What the generator chooses kernels for, unless told otherwise.
DEFAULT_CORE = "cortex-m4"

_KIB = 1024
_MIB = 1024 * _KIB


def _mps2(name: str, core: str) -> Board:
    """Arm's MPS2 FPGA board: 4 MiB of each memory, clocked with 25 MHz (application notes 385, 386, 500)."""
    return Board(
        name=name,
        core=CORES[core],
        qemu="qemu-system-arm",
        machine=name.removesuffix("-m0"),
        flash=Memory(0x00000000, 4 * _MIB),
        ram=Memory(0x20000000, 4 * _MIB),
        stack_bytes=16 * _KIB,
        systick_hz=25_000_000,
    )


BOARDS = {
    board.name: board
    for board in (
        _mps2("mps2-an385", "cortex-m3"),
        _mps2("mps2-an386", "cortex-m4"),
        _mps2("mps2-an500", "cortex-m7"),
        # Armv6-M code runs on every later Cortex-M: a Cortex-M0 without the micro:bit's tight memory.
        _mps2("mps2-an385-m0", "cortex-m0"),
        Board(
            name="microbit",
            core=CORES["cortex-m0"],
            qemu="qemu-system-arm",
            machine="microbit",
            flash=Memory(0x00000000, 256 * _KIB),
            ram=Memory(0x20000000, 16 * _KIB),
            stack_bytes=2 * _KIB,
            systick_hz=16_000_000,
        ),
        Board(
            name="mps3-an547",
            core=CORES["cortex-m55"],
            qemu="qemu-system-arm",
            machine="mps3-an547",
            flash=Memory(0x00000000, 512 * _KIB),
            ram=Memory(0x21000000, 2 * _MIB),
            stack_bytes=16 * _KIB,
            systick_hz=32_000_000,
        ),
        Board(
            name="riscv-virt",
            core=CORES["rv32imac"],
            qemu="qemu-system-riscv32",
            machine="virt",
            flash=Memory(0x80000000, 4 * _MIB),
            ram=Memory(0x80400000, 4 * _MIB),
            stack_bytes=16 * _KIB,
            systick_hz=0,
        ),
    )
}


def get_core(name: str) -> Core:
    """Return the core of this name.

    Raises:
        ExportError: There is no such core; the message lists those that there are.

    Example:
        >>> get_core("cortex-m0").port
        'portable'
    """
    if name not in CORES:
        raise ExportError(f"unknown core {name!r}: choose from {', '.join(CORES)}")
    return CORES[name]


def get_board(name: str) -> Board:
    """Return the board of this name.

    Raises:
        ExportError: There is no such board; the message lists those that there are.

    Example:
        >>> get_board("mps2-an386").core.name
        'cortex-m4'
    """
    if name not in BOARDS:
        raise ExportError(f"unknown board {name!r}: choose one of {', '.join(BOARDS)}")
    return BOARDS[name]
