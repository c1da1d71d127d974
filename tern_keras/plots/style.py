"""What the pictures share: colours, sizes, and a figure without a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras

from tern_keras.latent import LatentKernel, latent_kernels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Colour = tuple[float, float, float]

_BLUE, _GREY, _RED = (0.23, 0.44, 0.71), (0.85, 0.85, 0.85), (0.78, 0.33, 0.24)
# red, green, blue by code
CODE_COLOURS: dict[int, Colour] = {-1: _BLUE, 0: _GREY, 1: _RED}
CODE_NAMES = {-1: "-", 0: "zero", 1: "+"}
# of models and methods beside each other
SERIES_COLOURS: Sequence[Colour] = (
    _BLUE,
    _RED,
    (0.35, 0.6, 0.37),
    (0.85, 0.62, 0.2),
    (0.5, 0.4, 0.65),
    (0.4, 0.4, 0.4),
)

TITLE, LABEL, TICK = 9, 9, 7  # font sizes in points


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure.

    Args:
        width: in inches.
        height: in inches.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("Plots need matplotlib: pip install 'tern-keras[plots]'") from error
    return Figure(figsize=(width, height), layout="constrained")  # no pyplot: nothing global, no window


def series_style(index: int) -> dict[str, Any]:
    """Return colour and marker of the series number `index`, told apart beyond the colours' number too."""
    return {"color": SERIES_COLOURS[index % len(SERIES_COLOURS)], "marker": "osD^v"[index // len(SERIES_COLOURS) % 5]}


def without_frame(axis: Axes) -> None:
    """Leave out the lines of an axis' frame that carry no scale."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=TICK)


def code_legend(figure: Figure) -> None:
    """Put the colours of the codes above the panels of `figure`."""
    from matplotlib.patches import Patch  # here: new_figure has explained a missing matplotlib by now

    patches = [Patch(color=colour, label=CODE_NAMES[code]) for code, colour in CODE_COLOURS.items()]
    figure.legend(handles=patches, loc="outside upper right", ncols=len(patches), fontsize=8)


def by_title(models: Mapping[str, keras.Model] | keras.Model) -> Mapping[str, keras.Model]:
    """Return the models to draw by their title: a single one by its name.

    Raises:
        TypeError: `models` is something else.
        ValueError: there are none.
    """
    if isinstance(models, keras.Model):
        return {models.name: models}
    if not isinstance(models, Mapping):
        raise TypeError(f"Expected a model, or models by their title, {{'TWN': model}}; received {type(models)}.")
    if not models:
        raise ValueError("There is no model to draw: pass one, or several by their title, {'TWN': model}.")
    return models


def drawable_kernels(title: str, model: keras.Model) -> list[LatentKernel]:
    """Return the quantised kernels of the model that the caller calls `title`.

    Raises:
        ValueError: there are none, or weights are NaN or infinite.
    """
    kernels = latent_kernels(model)
    if not kernels:
        raise ValueError(
            f"The model of '{title}' has no quantised layer to draw. Build it, and pass it before finalize()."
        )
    return kernels
