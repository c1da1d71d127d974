"""Common microcontrollers, and whether an export fits them.

Flash, RAM and clock are the vendors', from the documents named. RAM that a part has in several pieces is counted as the
largest piece that a linker script takes for data by default. External flash is what the board named has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tflite_export.report.model import KIB, CoreReport, ExportReport, Reserve


@dataclass(frozen=True)
class Part:
    """A microcontroller.

    Attributes:
        name: the vendor's name.
        board: a board that carries it.
        core: the vendor's name of the core.
        built_as: the core of `tflite_export.boards.CORES` whose code it runs, or the nearest to its own.
        mhz: the highest clock.
        flash_kib: flash, or flash on the board where the part has none.
        ram_kib: RAM.
        source: the document that says so.
    """

    name: str
    board: str
    core: str
    built_as: str
    mhz: int
    flash_kib: int
    ram_kib: int
    source: str


_ROWS: tuple[tuple[str, str, str, str, int, int, int, str], ...] = (
    ("nRF51822", "BBC micro:bit", "M0", "cortex-m0", 16, 256, 16, "Nordic nRF51822 PS 3.1"),
    ("STM32F072RB", "NUCLEO-F072RB", "M0", "cortex-m0", 48, 128, 16, "ST DS9826"),
    ("STM32G031K8", "NUCLEO-G031K8", "M0+", "cortex-m0", 64, 64, 8, "ST DS12992"),
    ("STM32G071RB", "NUCLEO-G071RB", "M0+", "cortex-m0", 64, 128, 36, "ST DS12232"),
    ("SAMD21G18A", "Arduino Zero", "M0+", "cortex-m0", 48, 256, 32, "Microchip DS40001882"),
    ("RP2040", "Raspberry Pi Pico", "M0+", "cortex-m0", 133, 2048, 264, "Raspberry Pi RP2040 datasheet"),
    ("STM32F103C8", "Blue Pill", "M3", "cortex-m3", 72, 64, 20, "ST DS5319"),
    ("SAM3X8E", "Arduino Due", "M3", "cortex-m3", 84, 512, 96, "Microchip SAM3X/3A, 11057"),
    ("R7FA4M1AB", "Arduino UNO R4", "M4F", "cortex-m4", 48, 256, 32, "Renesas R01DS0355"),
    ("nRF52832", "nRF52 DK", "M4F", "cortex-m4", 64, 512, 64, "Nordic nRF52832 PS 1.8"),
    ("nRF52833", "BBC micro:bit V2", "M4F", "cortex-m4", 64, 512, 128, "Nordic nRF52833 PS 1.6"),
    ("nRF52840", "Arduino Nano 33 BLE", "M4F", "cortex-m4", 64, 1024, 256, "Nordic nRF52840 PS 1.8"),
    ("Apollo3 Blue", "SparkFun Edge", "M4F", "cortex-m4", 96, 1024, 384, "Ambiq Apollo3 Blue datasheet"),
    ("Apollo4 Plus", "Apollo4P EVB", "M4F", "cortex-m4", 192, 2048, 1024, "Ambiq Apollo4 Plus datasheet"),
    ("STM32F411CE", "Black Pill", "M4F", "cortex-m4", 100, 512, 128, "ST DS10314"),
    ("STM32L476RG", "NUCLEO-L476RG", "M4F", "cortex-m4", 80, 1024, 96, "ST DS10198"),
    ("STM32L4R5ZI", "NUCLEO-L4R5ZI", "M4F", "cortex-m4", 120, 2048, 640, "ST DS12023"),
    ("SAMD51J19A", "Adafruit Feather M4", "M4F", "cortex-m4", 120, 512, 192, "Microchip DS60001507"),
    ("MAX78000", "MAX78000FTHR", "M4F", "cortex-m4", 100, 512, 128, "Analog Devices MAX78000 datasheet"),
    ("EFR32MG24", "Arduino Nano Matter", "M33", "cortex-m4", 78, 1536, 256, "Silicon Labs EFR32MG24 datasheet"),
    ("nRF5340", "nRF5340 DK", "M33", "cortex-m4", 128, 1024, 512, "Nordic nRF5340 PS 1.3"),
    ("LPC55S69", "LPCXpresso55S69", "M33", "cortex-m4", 150, 640, 256, "NXP LPC55S6x datasheet"),
    ("RP2350", "Raspberry Pi Pico 2", "M33", "cortex-m4", 150, 4096, 520, "Raspberry Pi RP2350 datasheet"),
    ("STM32U575ZI", "NUCLEO-U575ZI-Q", "M33", "cortex-m4", 160, 2048, 768, "ST DS13737"),
    ("R7FA6M5BH", "EK-RA6M5", "M33", "cortex-m4", 200, 2048, 512, "Renesas R01DS0366"),
    ("STM32F746NG", "STM32F746G-DISCO", "M7", "cortex-m7", 216, 1024, 320, "ST DS10916"),
    ("STM32H743ZI", "NUCLEO-H743ZI2", "M7", "cortex-m7", 480, 2048, 512, "ST DS12110"),
    ("i.MX RT1062", "Teensy 4.1", "M7", "cortex-m7", 600, 7936, 512, "NXP IMXRT1060; PJRC Teensy 4.1"),
    ("R7FA8M1AH", "EK-RA8M1", "M85", "cortex-m55", 480, 2016, 896, "Renesas R01DS0421"),
    ("GD32VF103CB", "Longan Nano", "RV32IMAC", "rv32imac", 108, 128, 32, "GigaDevice GD32VF103 datasheet"),
    ("CH32V307VC", "CH32V307V-EVT", "RV32IMAFC", "rv32imac", 144, 256, 64, "WCH CH32V307 datasheet"),
    ("ESP32-C3", "ESP32-C3-DevKitM-1", "RV32IMC", "rv32imac", 160, 4096, 384, "Espressif ESP32-C3 datasheet"),
    ("ESP32-C6", "ESP32-C6-DevKitC-1", "RV32IMAC", "rv32imac", 160, 8192, 512, "Espressif ESP32-C6 datasheet"),
)
PARTS = tuple(Part(*row) for row in _ROWS)


@dataclass(frozen=True)
class Fit:
    """Whether an export fits a part, with a reserve.

    Attributes:
        part: the part.
        flash_bytes: needed, the reserve included.
        ram_bytes: needed, the reserve included.
        measured_on: the core that the code and the stack were measured on; None: they are not in the figures.
    """

    part: Part
    flash_bytes: int
    ram_bytes: int
    measured_on: str | None

    @property
    def missing_flash(self) -> int:
        """Bytes of flash that the part lacks."""
        return max(0, self.flash_bytes - self.part.flash_kib * KIB)

    @property
    def missing_ram(self) -> int:
        """Bytes of RAM that the part lacks."""
        return max(0, self.ram_bytes - self.part.ram_kib * KIB)

    @property
    def fits(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing_flash and not self.missing_ram

    @property
    def verdict(self) -> str:
        """In words."""
        lacks = ((self.missing_flash, "flash"), (self.missing_ram, "RAM"))
        return "fits" if self.fits else "lacks " + ", ".join(f"{n:,} B {what}" for n, what in lacks if n)


def fit_parts(report: ExportReport, reserve: Reserve | None = None, parts: Sequence[Part] = PARTS) -> list[Fit]:
    """Hold an export against microcontrollers.

    RAM is the arena, the inputs and outputs, and the stack. Code and stack are those of the core that the part is built
    as, or, where that was not measured, of the first core that was.

    Args:
        report: of an export with the target "c".
        reserve: what the rest of the firmware takes; None: 16 KiB of flash and 4 KiB of RAM.
        parts: the microcontrollers.

    Returns:
        A verdict a part.

    Example:
        >>> import keras, numpy as np, tempfile
        >>> from tflite_export import export
        >>> from tflite_export.report import fit_parts
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        >>> samples = np.random.default_rng(0).normal(size=(100, 4)).astype("float32")
        >>> fit_parts(export(model, tempfile.mkdtemp(), calibration=samples))[0].verdict
        'fits'
    """
    reserve = Reserve() if reserve is None else reserve
    by_name = {core.core: core for core in report.cores}
    return [_fit(report, reserve, part, by_name.get(part.built_as, next(iter(report.cores), None))) for part in parts]


def _fit(report: ExportReport, reserve: Reserve, part: Part, core: CoreReport | None) -> Fit:
    flash = report.weight_bytes + report.constant_bytes if core is None else core.flash_bytes
    stack = 0 if core is None or core.stack_bytes is None else core.stack_bytes
    ram = report.arena_bytes + report.interface_bytes + stack
    return Fit(part, flash + reserve.flash, ram + reserve.ram, None if core is None else core.core)
