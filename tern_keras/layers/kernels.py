"""Where the kernels of a layer are, and how their filters lie."""

from dataclasses import dataclass
from operator import attrgetter

import keras


@dataclass(frozen=True)
class KernelSpec:
    """One kernel of a layer class, the same for the stock class and its quantised sibling.

    Attributes:
        role: name of the kernel among those of its layer; its quantizer is the layer's argument `<role>_quantizer`.
        path: attribute of the layer that holds the weight, dotted where a cell holds it.
        channel_axes: axes, counted from the end, that tell the filters apart; a filter spans all the others.

    Example:
        >>> KernelSpec(channel_axes=(-2,)).filter_axes(4)
        (0, 1, 3)
    """

    role: str = "kernel"
    path: str = "kernel"
    channel_axes: tuple[int, ...] = (-1,)

    @property
    def argument(self) -> str:
        """Name of the constructor's argument, and of the attribute, that holds the quantizer."""
        return f"{self.role}_quantizer"

    def variable(self, layer: keras.layers.Layer) -> keras.Variable:
        """Return the latent weights of a built layer."""
        return attrgetter(self.path)(layer)

    def filter_axes(self, rank: int) -> tuple[int, ...]:
        """Return the axes that one filter of a kernel of `rank` axes spans."""
        return tuple(axis for axis in range(rank) if axis - rank not in self.channel_axes)
