"""How a run is described, built and trained, on any Keras backend."""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from checkpoint import Checkpoint
from datasets import Batches, Images
from networks import NETWORKS
from progress import Progress

import tern_keras
from tern_keras import quantizers
from tern_keras.models import TwoPassModel
from tern_keras.optimizers import SplitOptimizer
from tern_keras.regularizers import AdaptiveRegularizer

TEST_BATCH = 500


@dataclass(frozen=True)
class Recipe:
    """A paper's way to train.

    Attributes:
        dataset: name of the data set, for `datasets.load`.
        epochs: number of epochs.
        batch: samples a batch.
        optimizer: "adam"; "sgd" or "nesterov", both with a momentum of 0.9.
        learning_rate: the rate at first.
        drops: (epoch, rate from then on), at least one, rising.
        pad: see `datasets.Batches`.
        flip: see `datasets.Batches`.
    """

    dataset: str
    epochs: int
    batch: int
    optimizer: str
    learning_rate: float
    drops: tuple[tuple[int, float], ...]
    pad: int = 0
    flip: bool = False


@dataclass(frozen=True)
class Method:
    """A line of a paper's table.

    Attributes:
        name: the method's short name in the table.
        quantizer: what `tern_keras.quantizers.get` takes, or None for the float network.
        paper: accuracy in the paper, in percent; None where it has none for this network.
        weight_decay: λ of λ/2 · Σw², over kernels and TTQ's scales, as in the papers' code.
        strength: λ of SQ's penalty; 0 for none.
        gamma: γ of SQ's penalty.
        start: name of the method whose trained weights this one starts from, or None for random weights.
        skip: layers that stay float, for `tern_keras.ternarize`.
    """

    name: str
    quantizer: str | None = None
    paper: float | None = None
    weight_decay: float = 0.0
    strength: float = 0.0
    gamma: float = 0.0
    start: str | None = None
    skip: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        network: name of the network in `networks.NETWORKS`.
        method: how its weights are quantised.
        recipe: how it trains.
        seed: seed of weights, order and distortions.
        epochs: number of epochs; fewer than the recipe's shorten each stage of its schedule alike. 0 for the recipe's.
    """

    network: str
    method: Method
    recipe: Recipe
    seed: int = 0
    epochs: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "epochs", self.epochs or self.recipe.epochs)

    @property
    def name(self) -> str:
        """The words that tell the run from others of its experiment."""
        distortion = f" pad{self.recipe.pad}" if self.recipe.pad else ""
        return f"{self.network}{distortion} {self.method.name} seed{self.seed}"

    @property
    def folder(self) -> str:
        """Name of the folder that keeps the run's state."""
        return f"{self.name} {self.epochs} epochs".replace(" ", "_")

    def config(self) -> dict[str, Any]:
        """All that the training depends on, as JSON has it; what has its default value is left out."""
        return {
            "network": self.network,
            "method": _without_defaults(replace(self.method, paper=None)),
            "recipe": _without_defaults(self.recipe),
            "seed": self.seed,
            "epochs": self.epochs,
        }


def _without_defaults(part: Recipe | Method) -> dict[str, Any]:
    values = {
        field.name: getattr(part, field.name) for field in fields(part) if getattr(part, field.name) != field.default
    }
    return json.loads(json.dumps(values))  # tuples become lists


def build(run: Run, shape: Sequence[int], steps: int, start: Path | None = None) -> keras.Model:
    """Build and compile the model of a run.

    Args:
        run: the run.
        shape: (height, width, channels) of the images.
        steps: batches an epoch, for the schedule.
        start: weights of the float network to start from; None for random ones.

    Returns:
        The compiled model, its optimizer built too.
    """
    keras.utils.set_random_seed(run.seed)
    method = run.method
    model = NETWORKS[run.network](shape)
    if start is not None:
        model.load_weights(start)
    if method.quantizer is not None:
        model = tern_keras.ternarize(model, _quantizer(method), skip=method.skip)
    if method.weight_decay:
        _decay(model, method.weight_decay)
    optimizer = _optimizer(run, steps)
    if method.quantizer is not None and method.quantizer.startswith("tga"):
        # as its authors train it: the threshold in a pass of its own, with gradients clipped
        model = TwoPassModel(model.inputs[0], model.outputs[0])
        thresholds = keras.optimizers.SGD(_rate(run, steps), momentum=0.9, nesterov=True, clipvalue=1e-3)
        optimizer = SplitOptimizer(optimizer, thresholds)
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        # on a CPU TensorFlow's XLA takes longer both to compile and to run: 14 ms a step of LeNet-5 against 11
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    model.optimizer.build(model.trainable_variables)
    return model


def _quantizer(method: Method) -> quantizers.Quantizer:
    quantizer = quantizers.get(method.quantizer)
    if method.strength:
        quantizer.regularizer = AdaptiveRegularizer(method.strength, method.gamma)
    return quantizer


def _decay(model: keras.Model, strength: float) -> None:
    """Add weight decay to the penalties that kernels have already, that is SQ's."""
    decay = keras.regularizers.L2(strength / 2)
    for variable in model.trainable_variables:
        if variable.name in ("kernel", "wp", "wn"):
            variable.regularizer = _sum_of(variable.regularizer, decay)


def _sum_of(penalty: keras.regularizers.Regularizer | None, decay: keras.regularizers.Regularizer) -> Any:
    return decay if penalty is None else lambda w: penalty(w) + decay(w)


def _rate(run: Run, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return the recipe's schedule, shortened to the run's epochs."""
    share = run.epochs / run.recipe.epochs
    boundaries = [math.ceil(epoch * share) * steps - 1 for epoch, _ in run.recipe.drops]
    rates = [run.recipe.learning_rate, *(rate for _, rate in run.recipe.drops)]
    return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, rates)


def _optimizer(run: Run, steps: int) -> keras.optimizers.Optimizer:
    rate = _rate(run, steps)
    if run.recipe.optimizer == "adam":
        return keras.optimizers.Adam(rate)
    return keras.optimizers.SGD(rate, momentum=0.9, nesterov=run.recipe.optimizer == "nesterov")


def train(run: Run, images: Images, folder: Path, start: Path | None = None) -> dict[str, Any]:
    """Train a run to its end, from where an earlier call was interrupted.

    Args:
        run: the run.
        images: its data set.
        folder: keeps the state after each epoch, and at the end `final.weights.h5`.
        start: as for `build`.

    Returns:
        The row of results, without the experiment's name.
    """
    recipe = run.recipe

    def batches(epoch: int) -> Batches:
        return Batches(images, recipe.batch, recipe.pad, recipe.flip, run.seed, epoch)

    model = build(run, images.x_train.shape[1:], len(batches(0)), start)
    checkpoint = Checkpoint(folder, run.config())
    curve = checkpoint.restore(model)
    x_test = images.normalised(images.x_test)
    with Progress(run.name, run.epochs, len(batches(0))) as progress:
        for epoch in range(len(curve), run.epochs):
            started = time.perf_counter()
            progress.epoch = epoch
            trained = model.fit(batches(epoch), verbose=0, shuffle=False, callbacks=[progress.callback()]).history
            _, accuracy = model.evaluate(x_test, images.y_test, batch_size=TEST_BATCH, verbose=0)
            point = {
                "loss": round(trained["loss"][0], 5),
                "train": round(100 * trained["accuracy"][0], 3),
                "test": round(100 * accuracy, 2),
                "seconds": round(time.perf_counter() - started, 2),
            }
            curve.append(point)
            checkpoint.save(model, curve)
            progress.show(point)
    model.save_weights(folder / "final.weights.h5")
    return {**_measured(model, curve, x_test, images.y_test), "config": run.config(), "name": run.name}


def _measured(model: keras.Model, curve: list[dict[str, float]], x_test: np.ndarray, y_test: np.ndarray) -> dict:
    profile = tern_keras.profile(model)
    final = tern_keras.finalize(model)
    finalised = final.predict(x_test, batch_size=TEST_BATCH, verbose=0).argmax(1) == y_test
    return {
        "accuracy": round(100 * float(np.mean(finalised)), 2),
        "best": max(point["test"] for point in curve),
        "curve": [point["test"] for point in curve],
        "loss": [point["loss"] for point in curve],
        "train": curve[-1]["train"],
        "seconds": round(sum(point["seconds"] for point in curve), 1),
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        "compression": round(profile.weights_compression, 3),
        "bytes": profile.bytes,
        "layers": [
            {
                "name": layer.name,
                "weights": layer.weights,
                "bits": layer.bits,
                "density": round(layer.density, 4),
                **_depth(model.get_layer(layer.name)),
            }
            for layer in profile.layers
            if layer.kernel_shape
        ],
    }


def _depth(layer: keras.layers.Layer) -> dict[str, float]:
    quantizer = getattr(layer, "kernel_quantizer", None)
    if not isinstance(quantizer, quantizers.SQ):
        return {}
    return {"beta": round(float(keras.ops.convert_to_numpy(quantizer.beta)), 4)}
