"""The pictures of the page."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from groups import Group
from matplotlib import pyplot as plt

from tern_keras.quantizers import SQ


def draw_curves(found: Sequence[Group], path: Path) -> None:
    """Draw the test error of the first run of each group after each epoch."""
    figure, axes = plt.subplots(figsize=(8, 4.5))
    for group in found:
        errors = [100 - accuracy for accuracy in group.first["curve"]]
        axes.plot(range(1, len(errors) + 1), errors, label=group.run.method.name, linewidth=1)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.set(xlabel="epoch", ylabel="test error, %")
    axes.legend(ncols=2)
    save(figure, axes, path)


def draw_depths(found: Sequence[Group], path: Path) -> None:
    """Draw β of each layer over γ."""
    figure, axes = plt.subplots(figsize=(8, 4.5))
    gammas = [group.run.method.gamma for group in found]
    for number, layer in enumerate(found[0].first["layers"]):
        betas = [group.first["layers"][number]["beta"] for group in found]
        axes.plot(gammas, betas, "o-", label=layer["name"], linewidth=1)
    axes.axhline(SQ().depth_threshold, color="black", linewidth=0.8, linestyle="--", label="binary from here on")
    axes.set_xscale("log")
    axes.set(xlabel="γ", ylabel="β after training")
    axes.legend()
    save(figure, axes, path)


def draw_zeros(found: Sequence[Group], path: Path) -> None:
    """Draw the test error over the share of zeros: one line for shares held constant, one for thresholds."""
    figure, axes = plt.subplots(figsize=(8, 4.5))
    for label, held in (("share of zeros held constant", True), ("threshold", False)):
        points = sorted(
            (100 * group.zeros, 100 - group.first["accuracy"])
            for group in found
            if group.zeros is not None and ("sparsity" in group.run.method.quantizer) == held
        )
        if points:
            axes.plot(*zip(*points, strict=True), "o-", label=label, linewidth=1)
    for group in found:
        if group.zeros is None:
            axes.axhline(100 - group.first["accuracy"], color="black", linewidth=0.8, label="float")
    axes.set(xlabel="zeros, %", ylabel="test error, %")
    axes.legend()
    save(figure, axes, path)


def save(figure: plt.Figure, axes: plt.Axes, path: Path) -> None:
    """Save as SVG that is the same each time."""
    axes.grid(alpha=0.3, which="both")
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": "tern"}):
        figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
