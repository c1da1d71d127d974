"""The sections of the page on networks in C."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt
from pictures import save
from tables import markdown

Rows = Sequence[dict[str, Any]]

DEPLOYED = """
Ternary weights in all layers but the first and the last, which have int8 weights; int8 activations. "C" is the accuracy
of the generated C on all 10,000 test images, on this machine; "differ" counts the images on which one of its outputs is
not that of TFLite's reference kernels for the int8 model, and those on which the firmware on an emulated Cortex-M4
differs, which runs the first few. Cycles are estimates for the Cortex-M4, as on the page of benchmarks, with those of
TFLM and CMSIS-NN for the same network with int8 weights in brackets; the arena includes inputs and outputs.

The weights were trained with the logits of the float network as a second target, in the second stage with float
activations, in the third with int8 ones.
"""
METHODS = """
The same LeNet-5 (6-16-120-84-10, batch normalisation) on Fashion-MNIST, from the same float weights, the same number of
epochs more with every method; "int8" is the float network after as many. First and last layer have int8 weights. One
run each: differences of a few tenths say nothing. "C" is the accuracy of the C on all 10,000 test images, none of whose
outputs differs from those of TFLite's reference kernels. Where there are two figures, the first is of the C for speed
and the second of the C for size. Bits are those that a weight takes in flash, levels included, in the layers between
the first and the last, and zeros are counted in them; flash is code and constants; cycles are estimates for the
Cortex-M4.
"""
BASELINES = Path(__file__).resolve().parents[2] / "benchmarks" / "baselines.json"
TFLM_NAMES = {"resnet8": "resnet8", "lenet5_bn": "lenet5"}
TITLES = {"resnet8": "ResNet-8", "lenet5_bn": "LeNet-5", "cifar10": "CIFAR-10", "fashion_mnist": "Fashion-MNIST"}


def deployed_section(rows: Rows) -> str:
    """The section on the networks of `deployed.py`; empty if none is recorded."""
    found = [row for row in rows if "deployed" in row and "curves" in row]
    if not found:
        return ""
    tables = [_accuracies(found), _figures(found), *map(_layers, found)]
    return "\n".join(("## Networks in C", DEPLOYED, *tables, "`python examples/reproduce/deployed.py`\n"))


def _title(row: dict[str, Any]) -> str:
    return f"{TITLES[row['config']['network']]} on {TITLES[row['config']['dataset']]}"


def _accuracies(found: Rows) -> str:
    body = []
    for row in found:
        accuracy, ternary = row["accuracy"], row["deployed"]["ternary, speed"]
        body.append(
            (
                f"{_title(row)}, `{row['config']['quantizer']}`",
                f"{accuracy['float']:.2f}",
                f"{row['deployed']['int8, speed']['accuracy']['C']:.2f}",
                f"{accuracy['ternary']:.2f}",
                f"{accuracy['ternary and int8 activations']:.2f}",
                f"{ternary['accuracy']['int8']:.2f}",
                f"**{ternary['accuracy']['C']:.2f}**",
                f"{ternary['different']} of {ternary['images']:,}",
                f"{ternary['board']['different']} of {ternary['board']['images']:,}",
                "-".join(str(epochs) for epochs in row["config"]["epochs"]),
            )
        )
    head = (
        "network",
        "float, Keras",
        "int8 weights, C",
        "ternary, Keras",
        "with int8 activations",
        "int8 `.tflite`",
        "C",
        "differ",
        "on the M4",
        "epochs",
    )
    return markdown(head, body)


def _figures(found: Rows) -> str:
    body = []
    for row in found:
        tflm = _tflm(row["config"]["network"])
        for what, figures in row["deployed"].items():
            weights = figures["weight_bytes"]
            body.append(
                (
                    f"{_title(row)}, {what}",
                    f"{weights['C']:,}",
                    f"{weights['float32'] / weights['C']:.1f}",
                    f"{figures['flash']:,}",
                    f"{figures['arena']:,}",
                    f"{figures['board']['instructions']:,}",
                    f"{figures['board']['cycles']:,}{tflm}",
                )
            )
    head = ("network", "weights, bytes", "times smaller than float", "flash", "arena", "instructions", "cycles")
    return markdown(head, body)


def _tflm(network: str) -> str:
    rows = json.loads(BASELINES.read_text())["networks"]
    wanted = ("m4", TFLM_NAMES[network])
    return next((f" [{row['cycles']:,}]" for row in rows if (row["core"], row["network"]) == wanted), "")


def _layers(row: dict[str, Any]) -> str:
    body = [
        (
            f"`{layer['name']}`",
            f"{layer['weights']:,}",
            layer["format"],
            f"{layer['bits']:.2f}",
            "" if layer["density"] is None else f"{100 * (1 - layer['density']):.1f} %",
        )
        for layer in row["deployed"]["ternary, speed"]["layers"]
    ]
    title = f"The layers of the {_title(row)}, for speed:\n\n"
    return title + markdown(("layer", "weights", "format", "bits a weight", "zeros"), body)


def methods_section(rows: Rows, picture: str) -> str:
    """The section on the rows of `methods.py`; empty if none is recorded.

    Args:
        rows: all rows.
        picture: the path of what `draw_methods` drew.
    """
    found = method_rows(rows)
    if not found:
        return ""
    body = []
    for row in found:
        speed, size = row["deployed"]["speed"], row["deployed"]["size"]
        inner = speed["layers"][1:-1]
        weights = sum(layer["weights"] for layer in inner)
        zeros = sum(layer["weights"] * (1 - (layer["density"] or 0)) for layer in inner) / weights
        body.append(
            (
                row["config"]["method"]["name"],
                f"{row['accuracy']:.2f}",
                f"**{speed['accuracy']['C']:.2f}**",
                f"{_bits(speed):.2f} / {_bits(size):.2f}",
                f"{100 * zeros:.0f} %",
                f"{speed['flash']:,} / {size['flash']:,}",
                f"{speed['arena']:,}",
                f"{speed['board']['cycles']:,} / {size['board']['cycles']:,}",
            )
        )
    head = ("method", "Keras", "C", "bits a weight", "zeros", "flash", "arena", "cycles")
    image = f"![Test error against estimated cycles]({picture})\n"
    parts = ("## One network under every method", METHODS, markdown(head, body), image)
    return "\n".join((*parts, "`python examples/reproduce/methods.py`\n"))


def method_rows(rows: Rows) -> list[dict[str, Any]]:
    """The rows of `methods.py` that have figures of the C."""
    return [row for row in rows if "speed" in row.get("deployed", {})]


def _bits(figures: dict[str, Any]) -> float:
    inner = figures["layers"][1:-1]
    return sum(layer["bits"] * layer["weights"] for layer in inner) / sum(layer["weights"] for layer in inner)


def draw_methods(rows: Rows, path: Path) -> None:
    """Draw test error over estimated cycles, a point a method, for the rows of `method_rows`."""
    figure, axes = plt.subplots(figsize=(8, 4.5))
    for row in rows:
        speed = row["deployed"]["speed"]
        point = (speed["board"]["cycles"] / 1e6, 100 - speed["accuracy"]["C"])
        axes.plot(*point, "o")
        axes.annotate(row["config"]["method"]["name"], point, xytext=(5, 3), textcoords="offset points")
    axes.set(xlabel="estimated cycles on a Cortex-M4, millions", ylabel="test error of the C, %")
    save(figure, axes, path)
