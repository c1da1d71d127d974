"""Running a firmware in Unicorn, a CPU emulator from PyPI: for machines without QEMU.

Unicorn has the core but neither semihosting nor a system timer. So the run stops at the instruction that would trap
into the debugger, its call is served here, and instructions are counted from outside. https://www.unicorn-engine.org
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import unicorn
from unicorn import arm_const, riscv_const

from tflite_export.boards import Board
from tflite_export.elf import Elf
from tflite_export.emulator_run import EmulatorRun, Progress, timeout_message
from tflite_export.errors import ExportError
from tflite_export.firmware import Firmware
from tflite_export.recorder import Recorder

# "Semihosting for AArch32 and AArch64", 2.0
_SYS_OPEN, _SYS_CLOSE, _SYS_WRITE0, _SYS_WRITE, _SYS_READ, _SYS_EXIT_EXTENDED = 0x01, 0x02, 0x04, 0x05, 0x06, 0x20

# The Cortex-M's system registers: plain memory here, since SysTick's count is not used.
_SYSTEM_CONTROL_SPACE = (0xE000E000, 0x1000)


def run_unicorn(
    firmware: Firmware, samples: bytes, timeout: float, progress: Progress | None, recorder: Recorder | None = None
) -> EmulatorRun:
    """Run a firmware in Unicorn. Arguments, result and error are those of `run_qemu`."""
    elf = Elf.read(firmware.elf)
    machine = _Machine(firmware.board, elf)
    host = _Host(machine, samples)
    instructions = None
    reported = 0
    try:
        while host.status is None:
            machine.run_until(elf.symbols["semihosting_trap"], timeout)
            host.serve_call()
            if host.samples_read == 1 and instructions is None:
                machine.run_until(elf.symbols["tern_model_invoke"], timeout)
                instructions = machine.count_until_return(timeout, recorder)
            done = len(host.output) // firmware.interface.result_bytes
            if done > reported:
                reported = done
                if progress is not None:
                    progress(done)
    except unicorn.UcError as error:
        host.console += f"fault: pc {machine.pc:#010x}: {error}\n"
        host.status = 1
    except TimeoutError:
        raise ExportError(timeout_message("Unicorn", firmware.board.name, reported, timeout)) from None
    return EmulatorRun(host.status, host.console, bytes(host.output), instructions)


@dataclass(frozen=True)
class _Registers:
    """Unicorn's numbers of the registers that are touched: first argument and result, second argument, ..."""

    argument0: int
    argument1: int
    link: int
    stack: int
    pc: int


_REGISTERS = {
    "cortex_m": _Registers(
        argument0=arm_const.UC_ARM_REG_R0,
        argument1=arm_const.UC_ARM_REG_R1,
        link=arm_const.UC_ARM_REG_LR,
        stack=arm_const.UC_ARM_REG_SP,
        pc=arm_const.UC_ARM_REG_PC,
    ),
    "riscv": _Registers(
        argument0=riscv_const.UC_RISCV_REG_A0,
        argument1=riscv_const.UC_RISCV_REG_A1,
        link=riscv_const.UC_RISCV_REG_RA,
        stack=riscv_const.UC_RISCV_REG_SP,
        pc=riscv_const.UC_RISCV_REG_PC,
    ),
}


class _Machine:
    """A core with the memories of a board, its image loaded, at reset."""

    def __init__(self, board: Board, elf: Elf) -> None:
        self._thumb = board.core.architecture == "cortex_m"
        self._registers = _REGISTERS[board.core.architecture]
        assert board.core.unicorn is not None
        if self._thumb:
            self._uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
            self._uc.ctl_set_cpu_model(getattr(arm_const, board.core.unicorn))
            self._uc.mem_map(*_SYSTEM_CONTROL_SPACE)
        else:
            self._uc = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
            self._uc.ctl_set_cpu_model(getattr(riscv_const, board.core.unicorn))
        self._uc.mem_map(board.flash.origin, board.flash.size, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        self._uc.mem_map(board.ram.origin, board.ram.size, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE)
        for segment in elf.segments:
            self._uc.mem_write(segment.address, segment.data)
        self._uc.reg_write(self._registers.stack, elf.symbols["__stack_top__"])
        self._until = -1
        self.pc = elf.entry & ~1

    def run_until(self, address: int, timeout: float) -> None:
        """Run up to an instruction.

        Raises:
            TimeoutError: It was not reached in `timeout` seconds.
            unicorn.UcError: The core faulted.
        """
        address &= ~1
        if address != self._until:
            # Code that was translated before does not stop at a new address.
            self._uc.ctl_flush_tb()
            self._until = address
        self._uc.emu_start(self.pc | self._thumb, address, timeout=int(timeout * 1e6))
        if self.pc != address:
            raise TimeoutError

    def count_until_return(self, timeout: float, recorder: Recorder | None) -> int:
        """Run a function, from its first instruction to its return, and count its instructions."""
        count = 0
        lengths: dict[tuple[int, int], int] = {}

        def on_block(_uc: unicorn.Uc, address: int, size: int, _data: object) -> None:
            nonlocal count
            if (address, size) not in lengths:
                lengths[address, size] = self._instructions_in(self.read(address, size))
            count += lengths[address, size]
            if recorder is not None:
                recorder.block(address, address + size)

        handle = self._uc.hook_add(unicorn.UC_HOOK_BLOCK, on_block)
        self.run_until(self._uc.reg_read(self._registers.link), timeout)
        self._uc.hook_del(handle)
        if recorder is not None:
            recorder.finish()
        return count

    def _instructions_in(self, code: bytes) -> int:
        count = at = 0
        while at < len(code):
            (first,) = struct.unpack_from("<H", code, at)
            # Armv7-M A5.1: 0b11101, 0b11110 and 0b11111 start 32 bits. RISC-V 1.5: 0b11 ends 32 bits.
            wide = first >= 0xE800 if self._thumb else first & 3 == 3
            at += 4 if wide else 2
            count += 1
        return count

    @property
    def pc(self) -> int:
        """The address of the next instruction."""
        return self._uc.reg_read(self._registers.pc)

    @pc.setter
    def pc(self, address: int) -> None:
        self._uc.reg_write(self._registers.pc, address | self._thumb)

    def read(self, address: int, size: int) -> bytes:
        """Bytes of the memory."""
        return bytes(self._uc.mem_read(address, size))

    def write(self, address: int, data: bytes) -> None:
        """Change the memory."""
        self._uc.mem_write(address, data)

    def call_arguments(self) -> tuple[int, int]:
        """The two argument registers."""
        return self._uc.reg_read(self._registers.argument0), self._uc.reg_read(self._registers.argument1)

    def return_from_call(self, result: int) -> None:
        """Set the result and step over the trap: BKPT has 2 bytes, EBREAK 4."""
        self._uc.reg_write(self._registers.argument0, result & 0xFFFFFFFF)
        self.pc = self.pc + (2 if self._thumb else 4)


@dataclass
class _Host:
    """The debugger's side of semihosting, as far as the firmware uses it."""

    machine: _Machine
    samples: bytes
    position: int = 0
    samples_read: int = 0
    output: bytearray = field(default_factory=bytearray)
    console: str = ""
    status: int | None = None

    def serve_call(self) -> None:
        """Do what the call that the machine has stopped at asks for."""
        operation, parameter = self.machine.call_arguments()
        if operation == _SYS_WRITE0:
            self.console += self._text(parameter)
            result = 0
        elif operation == _SYS_OPEN:
            result = 1
        elif operation == _SYS_CLOSE:
            result = 0
        elif operation == _SYS_READ:
            result = self._read(parameter)
        elif operation == _SYS_WRITE:
            _, address, size = self._block(parameter, 3)
            self.output += self.machine.read(address, size)
            result = 0
        elif operation == _SYS_EXIT_EXTENDED:
            _, self.status = self._block(parameter, 2)
            result = 0
        else:
            raise ExportError(f"the firmware makes a semihosting call that is not supported: {operation:#x}")
        self.machine.return_from_call(result)

    def _read(self, parameter: int) -> int:
        _, address, size = self._block(parameter, 3)
        data = self.samples[self.position : self.position + size]
        self.machine.write(address, data)
        self.position += len(data)
        self.samples_read += len(data) == size
        return size - len(data)

    def _block(self, address: int, words: int) -> tuple[int, ...]:
        return struct.unpack(f"<{words}I", self.machine.read(address, 4 * words))

    def _text(self, address: int) -> str:
        text = bytearray()
        while (byte := self.machine.read(address + len(text), 1)) != b"\0":
            text += byte
        return text.decode(errors="replace")
