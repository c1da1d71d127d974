"""The known ways to go wrong with quantised training: how each shows, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np

from tern_keras.callbacks.graph import Graph
from tern_keras.latent import LatentKernel
from tern_keras.optimizers import SplitOptimizer, without_loss_scaling
from tern_keras.quantizers import SQ

# an average of which the greater part is older than the training is not one of the training
STALE_SHARE = 0.5
DEAD_SHARE = 0.5
SHOWN = 4  # names in a message


class QuantizationWarning(UserWarning):
    """Something in a quantised model, or in how it is trained, that is known to spoil its accuracy.

    `warnings.simplefilter("error", QuantizationWarning)` makes an error of it, "ignore" silences it.
    """


class Finding(NamedTuple):
    """What a check has found.

    Attributes:
        key: by which the same finding is known again.
        message: what is wrong where, and the remedy.
    """

    key: str
    message: str


def dead_kernels(kernels: Iterable[LatentKernel]) -> Iterator[Finding]:
    """Find kernels whose codes are all zeros, in the whole kernel or in more than half of its filters."""
    for kernel in kernels:
        dead = ~np.any(kernel.quantized.codes, axis=kernel.filter_axes)
        if dead.mean() > DEAD_SHARE:
            yield Finding(
                f"{'dead' if dead.all() else 'half dead'} {kernel.name}",
                f"Layer '{kernel.name}': {dead.sum()} of its {dead.size} filters are quantised to zeros alone, and "
                "nothing passes those. Lower the threshold, e.g. ttq(threshold=...) or twn(factor=...), or the "
                "learning rate if they died in training; twn(per_filter=True) has a threshold for each filter.",
            )


def unit_scales(graph: Graph, kernels: Iterable[LatentKernel]) -> Iterator[Finding]:
    """Find kernels of scale 1 with no normalisation behind their layer."""
    unit = {id(kernel.layer) for kernel in kernels if np.all(kernel.quantized.scales == 1)}
    # a shared layer appears wherever it is used
    names = {layer.name: None for layer, _, way_past in graph.quantized_layers() if way_past and id(layer) in unit}
    if names:
        yield Finding(
            "unit scales",
            f"{_layers(list(names))}: the scale of the quantised weights is 1, far above the latent weights', and no "
            "normalisation follows. Put a BatchNormalization behind, or take a quantizer whose scale follows the "
            "weights: ttq(init='mean') for 'ttq', 'bwn' for 'bc'.",
        )


def stale_statistics(graph: Graph, steps: int) -> Iterator[Finding]:
    """Find batch normalisations behind quantised layers whose statistics are mostly older than the training.

    After n steps, momentumⁿ of a moving average is still its initial value: the statistics of the float model, or 0
    and 1. Frozen normalisations keep all of it.
    """
    behind = {id(norm): norm for _, norms, _ in graph.quantized_layers() for norm in norms}
    old = {
        norm.name: norm.momentum**steps if norm.trainable else 1.0
        for norm in behind.values()
        if isinstance(norm, keras.layers.BatchNormalization)
    }
    stale = [name for name, share in old.items() if share > STALE_SHARE]
    if stale:
        yield Finding(
            "stale statistics",
            f"{_layers(stale)}: evaluated with moving statistics of which {max(old.values()):.0%} are older than the "
            f"training ({steps} steps), from before the weights were as they are. Call "
            "tern_keras.recalibrate_batch_norm(model, x) before you evaluate, train for longer, or lower the momentum. "
            "If you have recalibrated, all is well.",
        )


def decayed_scales(optimizer: Any, variables: Iterable[keras.Variable]) -> Iterator[Finding]:
    """Find trainable variables of quantizers that the optimizer decays."""
    decayed = [variable.path for variable in variables if _is_decayed(optimizer, variable)]
    if decayed:
        yield Finding(
            "weight decay",
            f"The optimizer's weight decay pulls variables of quantizers to zero: {_listed(decayed)}. Use "
            "tern_keras.optimizers.SplitOptimizer with a second optimizer that has no decay, or before training "
            "optimizer.exclude_from_weight_decay(var_list=[v for v in model.trainable_variables if getattr(v, "
            "'owned_by_quantizer', False)]).",
        )


def fixed_betas(kernels: Iterable[LatentKernel]) -> Iterator[Finding]:
    """Find `SQ` quantizers whose β nothing moves, so that they never decide between two bits and one."""
    names = [k.name for k in kernels if isinstance(k.quantizer, SQ) and not k.quantizer.beta.trainable]
    if names:
        yield Finding(
            "fixed beta",
            f"{_layers(names)}: β of the SQ quantizer does not train, for want of an AdaptiveRegularizer. Use "
            "SQ(regularizer=AdaptiveRegularizer(strength=0.1, gamma=0.01)) to let a layer learn its bits, or 'twn' if "
            "it is to stay ternary.",
        )


def _layers(names: list[str]) -> str:
    return f"Layer{'' if len(names) == 1 else 's'} {_listed(names)}"


def _listed(names: list[str]) -> str:
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(f"'{name}'" for name in names[:SHOWN]) + rest


def _is_decayed(optimizer: Any, variable: keras.Variable) -> bool:
    if not getattr(variable, "owned_by_quantizer", False):
        return False
    optimizer = without_loss_scaling(optimizer)
    if isinstance(optimizer, SplitOptimizer):
        optimizer = optimizer.quantizer_optimizer
    # what an optimizer excludes can be asked nowhere else
    return bool(getattr(optimizer, "weight_decay", None)) and optimizer._use_weight_decay(variable)
