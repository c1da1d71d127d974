"""A model's profile as a table."""

import io
from collections.abc import Callable

import keras
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tern_keras.profile import LayerProfile, profile

WIDTH = 120
SCALES_SHOWN = 2


def summary(model: keras.Model, print_fn: Callable[[str], None] | None = None) -> None:
    """Print a row a layer: kernel shape, method, bits, density, scales, MACs, bytes; then the totals.

    Args:
        model: any built Keras model: float, in training or finalised.
        print_fn: called once with the whole table; `print` by default.

    Raises:
        ValueError: the model is not built, or has NaN or infinite weights.

    Example:
        >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
        >>> lines = []
        >>> summary(model, print_fn=lines.append)
        >>> "float32" in lines[0]
        True
    """
    result = profile(model)
    table = Table(box=box.SIMPLE_HEAD, title=escape(f"Ternary profile of {result.name}"), title_justify="left")
    for heading in ("Layer", "Type", "Kernel", "Method"):
        table.add_column(heading, overflow="fold")
    for heading in ("Bits", "Density", "Scales", "MACs", "Bytes"):
        table.add_column(heading, justify="right", overflow="fold")
    for layer in result.layers:
        table.add_row(*_cells(layer))
    macs = "?" if result.macs is None else f"{result.macs:,}"
    totals = (
        f"Stored {result.bytes:,} bytes of {result.float_bytes:,} as float32, {macs} MACs a sample\n"
        f"Compression {result.compression:.2f}x with scales, biases and normalisation; "
        f"{result.weights_compression:.2f}x of the weights alone"
    )
    text = io.StringIO()
    # fixed width and no terminal codes: the same text everywhere
    console = Console(file=text, width=WIDTH, color_system=None, force_terminal=False, highlight=False)
    console.print(table)
    console.print(totals, markup=False)
    (print_fn or print)("\n".join(line.rstrip() for line in text.getvalue().splitlines()))


def _cells(layer: LayerProfile) -> tuple[str, ...]:
    return (
        escape(layer.name),
        layer.type,
        "-" if layer.kernel_shape is None else "x".join(map(str, layer.kernel_shape)),
        layer.method,
        str(layer.bits),
        "-" if layer.density is None else f"{layer.density:.1%}",
        _scales(layer.scales),
        "-" if layer.kernel_shape is None else "?" if layer.macs is None else f"{layer.macs:,}",
        f"{layer.bytes:,}",
    )


def _scales(scales: tuple[float, ...]) -> str:
    if len(scales) > SCALES_SHOWN:
        return f"{len(scales)} scales"
    return " / ".join(f"{scale:.3g}" for scale in scales) or "-"
