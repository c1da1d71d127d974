"""Write docs/benchmarks.md and its pictures from what benchmarks/kernels.py and benchmarks/models.py kept.

python benchmarks/page.py
python benchmarks/page.py --check   # fails where the page is not what the rows say
"""

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import kernels
import matplotlib as mpl
import models
from matplotlib import pyplot as plt
from records import FOLDER, read_rows

PAGE = FOLDER.parent / "docs" / "benchmarks.md"
PICTURES = FOLDER.parent / "docs" / "_static" / "benchmarks"
CORES = {
    "m4": "Cortex-M4",
    "m7": "Cortex-M7",
    "m3": "Cortex-M3",
    "m0": "Cortex-M0",
    "m55": "Cortex-M55",
    "rv32": "RV32IMAC",
}
PEERS = ("cmsis_conv_s8", "cmsis_dw_s8", "cmsis_fc_s8", "plain_c_s8")
INTRODUCTION = """# Benchmarks

What the kernels take, beside the same layers and networks with int8 weights in CMSIS-NN and TFLM. This page is written
by `benchmarks/page.py` from the rows that `benchmarks/kernels.py` and `benchmarks/models.py` keep; nothing in it is
typed by hand.

- **Instructions are exact**, of one inference on an emulated core, compiled with `-O2`. Every output was compared with
  TFLite's reference kernels, bit for bit.
- **Cycles are estimates**: on the Cortex-M0, M3 and M4 from Arm's timing tables without wait states; on the M7 and M55
  from a model of in-order issue that may be wrong by 20 to 30 %; on RV32 a cycle an instruction. Caches, flash wait
  states and unaligned accesses are not in them. **Nothing was measured on silicon.**
- The others' figures were counted with the same emulators and estimated by the same rules, for the versions that
  `benchmarks/baselines.json` names: CMSIS-NN's int8 kernels at `-O3`; on RV32, for which there are none, a plain C
  loop.
"""


def best_peer(core: str, layer: str) -> int | None:
    """The cycles of the int8 kernel that a layer is held against."""
    found = kernels.baselines(core, layer)
    return next((found[name] for name in PEERS if name in found), None)


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; all columns but the first to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def select(rows: list[dict[str, Any]], **wanted: object) -> list[dict[str, Any]]:
    """Rows of a kind, in the order of the set of layers."""
    found = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    return sorted(found, key=lambda row: list(kernels.LAYERS).index(row["layer"]))


def ratio(row: dict[str, Any]) -> float | None:
    """How many times as fast as int8."""
    peer = best_peer(row["core"], row["layer"])
    return None if peer is None else peer / row["cycles"]


def times(value: float | None) -> str:
    """A ratio, for people."""
    return "" if value is None else f"{value:.2f}x"


def as_deployed(rows: list[dict[str, Any]], core: str) -> list[dict[str, Any]]:
    """The layers with the weights that they are deployed with, half of them zeros."""
    found = select(rows, core=core, optimize="speed", levels=1)
    return [row for row in found if row["weights"] == kernels.LAYERS[row["layer"]].weights and row["zeros"] in (0, 50)]


def layer_tables(rows: list[dict[str, Any]]) -> str:
    """A table a core."""
    parts = []
    for core, name in CORES.items():
        peer = "plain C" if core == "rv32" else "CMSIS-NN"
        body = [
            (
                f"`{row['layer']}`",
                f"`{row['kernel'].removeprefix('tern_')}`",
                f"{row['instructions']:,}",
                f"{row['cycles']:,}",
                f"{row['cycles'] / row['macs']:.2f}",
                f"**{times(ratio(row))}**",
                f"{row['bits']:.2f}",
                f"{row['scratch']:,}",
            )
            for row in as_deployed(rows, core)
        ]
        head = (
            "layer",
            "kernel",
            "instructions",
            "cycles",
            "a MAC",
            f"as fast as {peer} int8",
            "bits a weight",
            "scratch",
        )
        parts.append(f"### {name}\n\n{markdown(head, body)}")
    return "\n".join(parts)


VARIANTS: dict[str, dict[str, object]] = {
    "30 % zeros": {"weights": "ternary", "zeros": 30, "levels": 1, "optimize": "speed"},
    "50 %": {"weights": "ternary", "zeros": 50, "levels": 1, "optimize": "speed"},
    "70 %": {"weights": "ternary", "zeros": 70, "levels": 1, "optimize": "speed"},
    "two levels": {"weights": "ternary", "zeros": 50, "levels": 2, "optimize": "speed"},
    "for size": {"weights": "ternary", "zeros": 50, "levels": 1, "optimize": "size"},
    "binary": {"weights": "binary", "levels": 1, "optimize": "speed"},
    "int8": {"weights": "int8", "levels": 1, "optimize": "speed"},
}


def variant_table(rows: list[dict[str, Any]], show: Callable[[dict[str, Any]], str]) -> str:
    """What other weights take on the Cortex-M4."""
    body = []
    for layer in kernels.LAYERS:
        cells = []
        for wanted in VARIANTS.values():
            found = select(rows, core="m4", layer=layer, **wanted)
            cells.append(show(found[0]) if found else "")
        body.append((f"`{layer}`", *cells))
    return markdown(("layer", *VARIANTS), body)


def network_tables(rows: list[dict[str, Any]]) -> str:
    """A table a core: cycles, flash and arena, and the others' behind them."""
    parts = []
    for core, name in CORES.items():
        body = []
        for row in rows:
            if row["core"] != core:
                continue
            other = models.baseline(core, row["network"])
            beside = {key: f" ({other[key]:,})" if other else "" for key in ("cycles", "flash", "arena")}
            body.append(
                (
                    row["network"].replace("_", "\\_"),
                    f"{row['zeros']} %" + (", for size" if row["optimize"] == "size" else ""),
                    f"{row['cycles']:,}{beside['cycles']}",
                    f"{row['cycles'] / row['macs']:.2f}",
                    f"**{times(other['cycles'] / row['cycles'])}**" if other else "",
                    f"{row['flash']:,}{beside['flash']}",
                    f"{row['code']:,}",
                    f"{row['arena']:,}{beside['arena']}",
                )
            )
        head = ("network", "zeros", "cycles", "a MAC", "as fast", "flash, bytes", "of it code", "arena, bytes")
        parts.append(f"### {name}\n\n{markdown(head, body)}")
    return "\n".join(parts)


def page(layers: list[dict[str, Any]], networks: list[dict[str, Any]]) -> str:
    """The whole page."""
    return f"""{INTRODUCTION}
## Layers

Weights as they are deployed: the first layer int8, the others ternary with half of them zeros and one level a channel.
A layer's name has the input's height, width and channels, the kernel, and the output channels; `s2` is a stride of 2,
`dw` depthwise, `fc` fully connected.

![How many times as fast as int8, layer by layer and core by core](_static/benchmarks/layers.svg)

{layer_tables(layers)}
## Other weights, on the Cortex-M4

Cycles a MAC:

{variant_table(layers, lambda row: f"{row['cycles'] / row['macs']:.2f}")}
Bits a weight, with the levels, the ends of rows and what says where a channel begins:

{variant_table(layers, lambda row: f"{row['bits']:.2f}")}
## Networks

Random weights, the first and the last layer int8 (none in the autoencoder), ternary between. In brackets: the same
network with int8 weights under TFLM + CMSIS-NN. Flash is all of the image. The arena includes the buffers of input and
output.

![Cycles of an inference, beside TFLM with CMSIS-NN](_static/benchmarks/networks.svg)

{network_tables(networks)}
"""


def draw_layers(rows: list[dict[str, Any]], path: Path) -> None:
    """Bars: how many times as fast as int8."""
    figure, axes = plt.subplots(figsize=(10, 9))
    names = list(kernels.LAYERS)
    height = 0.8 / len(CORES)
    for number, (core, label) in enumerate(CORES.items()):
        ratios = {row["layer"]: ratio(row) or 0.0 for row in as_deployed(rows, core)}
        places = [place + number * height for place in range(len(names))]
        axes.barh(places, [ratios.get(name, 0.0) for name in names], height, label=label)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks([place + 0.4 - height / 2 for place in range(len(names))], names)
    axes.invert_yaxis()
    axes.set_xlabel("times as fast as int8 (CMSIS-NN; RV32: plain C), estimated cycles")
    axes.legend()
    save(figure, path)


def draw_networks(rows: list[dict[str, Any]], path: Path) -> None:
    """Bars: estimated cycles on the Cortex-M4."""
    figure, axes = plt.subplots(figsize=(8, 4))
    names = list(models.NETWORKS)
    found = {row["network"]: row for row in rows if (row["core"], row["zeros"], row["optimize"]) == ("m4", 50, "speed")}
    others = {name: models.baseline("m4", name) for name in names}
    ours = [found[name]["cycles"] / 1e6 if name in found else 0 for name in names]
    theirs = [other["cycles"] / 1e6 if (other := others[name]) else 0 for name in names]
    axes.barh([place - 0.2 for place in range(len(names))], theirs, 0.4, label="TFLM + CMSIS-NN, int8")
    axes.barh([place + 0.2 for place in range(len(names))], ours, 0.4, label="tern-keras, ternary with half zeros")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("million cycles of an inference on a Cortex-M4, estimated")
    axes.legend()
    save(figure, path)


def save(figure: plt.Figure, path: Path) -> None:
    """As SVG that is the same each time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": "tern"}):
        figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the page differs")
    options = parser.parse_args()
    layers, networks = read_rows(kernels.RESULTS), read_rows(models.RESULTS)
    text = page(layers, networks)
    if options.check:
        if PAGE.read_text() != text:
            raise SystemExit(f"{PAGE} is not what the rows say: run python benchmarks/page.py")
        return
    mpl.use("svg")
    draw_layers(layers, PICTURES / "layers.svg")
    draw_networks(networks, PICTURES / "networks.svg")
    PAGE.write_text(text)
    print(f"wrote {PAGE.relative_to(FOLDER.parent)}")


if __name__ == "__main__":
    main()
