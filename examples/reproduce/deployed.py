"""Networks as they are deployed: ternary weights between an int8 first and last layer, int8 activations, in C.

    python examples/reproduce/deployed.py resnet8 --pretrained pretrainedResnet.h5
    python examples/reproduce/deployed.py lenet5_fashion

Training has three stages: the float network; the same network with ternary weights, taught by the float one; and the
same with int8 activations, whose ranges are those of the C. The result is exported, and its C runs on all 10,000 test
images, where every output has to be the int8 reference's, bit for bit.

`pretrainedResnet.h5` is MLPerf Tiny's float ResNet-8, in its repository under
`benchmark/training/image_classification/trained_models`; it takes the place of the first stage. Networks take the
pixels themselves, 0 to 255. Interrupted training goes on at its last epoch.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import datasets
import keras
import numpy as np
import records
from checkpoint import Checkpoint
from datasets import Batches, Images
from deployment import measure
from distillation import DistillationLoss, Distilled, teach
from networks import NETWORKS

from tern_keras import applications, load_h5, recalibrate_batch_norm, ternarize
from tern_keras.layers import ActivationQuantizer

TEST_BATCH = 500
NORM_BATCHES = 100
STAGES = ("float", "ternary", "int8")


@dataclass(frozen=True)
class Deployment:
    """A network and how it trains.

    Attributes:
        network: name of the network.
        dataset: name of the data set, for `datasets.load`.
        epochs: of each stage: float, none if it is pretrained; ternary weights; int8 activations too.
        rates: peak learning rate of Adam in each stage; warm-up over half an epoch, then a cosine to 0.
        quantizer: what `tern_keras.quantizers.get` takes.
        batch: samples a batch.
        pad: see `datasets.Batches`; a float network that was trained elsewhere has to know such images to teach.
        border: see there.
        copies: distorted copies of the training set.
        temperature: see `distillation.DistillationLoss`.
        share: see there.
        pretrained: whether the first stage starts from given weights.
        seed: seed of weights, order and distortions.
    """

    network: str
    dataset: str
    epochs: tuple[int, int, int]
    rates: tuple[float, float, float]
    quantizer: str = "twn(per_filter=True)"
    batch: int = 128
    pad: int = 2
    border: str = "constant"
    copies: int = 6
    temperature: float = 3.0
    share: float = 0.5
    pretrained: bool = False
    seed: int = 0

    @property
    def name(self) -> str:
        """The words that tell the run from others."""
        return f"{self.network} {self.quantizer} seed{self.seed}"

    def config(self) -> dict[str, Any]:
        """All of it as JSON has it: what a row of results is found by."""
        return json.loads(json.dumps(asdict(self)))


DEPLOYMENTS = {
    "resnet8": Deployment("resnet8", "cifar10", (60, 30, 15), (2e-3, 1e-3, 5e-4), pad=3, border="edge"),
    "lenet5_fashion": Deployment("lenet5_bn", "fashion_mnist", (15, 20, 3), (3e-3, 3e-3, 2e-4)),
}
BUILDERS = {**NETWORKS, "resnet8": applications.resnet8}


def float_network(deployment: Deployment, shape: Sequence[int], pretrained: Path | None) -> keras.Model:
    """Return the float network, with logits as its output.

    Args:
        deployment: which network.
        shape: (height, width, channels) of the images.
        pretrained: `.h5` file whose weights are the network's, in its order; None for random ones.
    """
    model = BUILDERS[deployment.network](shape)
    if pretrained is not None:
        model.set_weights(load_h5(pretrained).get_weights())
    model.get_layer("head").activation = keras.activations.linear
    return model


def with_ranges(model: keras.Model) -> keras.Model:
    """Return a copy of `model` with int8 activations: a trained range for every tensor that the C stores.

    Those are what a ReLU returns, and both branches of a residual block before their sum. Images have a range that
    needs no training, 0 to 255, and so has the softmax; the logits' is calibrated.
    """

    def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        tensor = layer(*args, **kwargs)
        relu = isinstance(layer, keras.layers.ReLU | keras.layers.Activation)
        stored = relu or layer.name.endswith(("conv2_bn", "shortcut"))
        return ActivationQuantizer(name=f"{layer.name}_range")(tensor) if stored else tensor

    functional = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    result = keras.models.clone_model(functional, call_function=call)
    for layer in model.layers:
        if layer.weights:
            result.get_layer(layer.name).set_weights(layer.get_weights())
    return result


def train(
    model: keras.Model,
    deployment: Deployment,
    stage: int,
    batches: Callable[[int], keras.utils.PyDataset],
    images: Images,
    folder: Path,
) -> list[dict[str, float]]:
    """Train a stage to its end, from where an earlier call was interrupted.

    Args:
        model: its weights change.
        deployment: the run.
        stage: number of the stage, from 0.
        batches: the batches of an epoch.
        images: the data set, for the accuracy.
        folder: of the run; a folder in it keeps the state after each epoch.

    Returns:
        The curve: for each epoch loss and seconds, and now and then the accuracy on the test images, in percent.
    """
    epochs, rate = deployment.epochs[stage], deployment.rates[stage]
    steps = len(images.x_train) // deployment.batch
    if not epochs:
        return []
    checkpoint = Checkpoint(folder / STAGES[stage], deployment.config())
    warmup = steps // 2
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, epochs * steps - warmup, warmup_target=rate, warmup_steps=warmup
    )
    taught = DistillationLoss(deployment.temperature, deployment.share)
    untaught = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # TensorFlow's XLA is slower here, and compiles for long
    jit = False if keras.backend.backend() == "tensorflow" else "auto"
    model.compile(keras.optimizers.Adam(schedule), taught if stage else untaught, jit_compile=jit)
    model.optimizer.build(model.trainable_variables)
    curve = checkpoint.restore(model)
    for epoch in range(len(curve), epochs):
        started = time.perf_counter()
        point = {"loss": round(model.fit(batches(epoch), shuffle=False, verbose=0).history["loss"][0], 5)}
        if (epoch + 1) % math.ceil(epochs / 10) == 0 or epoch + 1 == epochs:
            point["test"] = accuracy(model, images)
        point["seconds"] = round(time.perf_counter() - started, 1)
        curve.append(point)
        checkpoint.save(model, curve)
        print(f"{deployment.name}, {STAGES[stage]}: epoch {epoch + 1} of {epochs}, {point}", flush=True)
    return curve


def accuracy(model: keras.Model, images: Images) -> float:
    """Accuracy on the test images, in percent."""
    predicted = model.predict(images.normalised(images.x_test), TEST_BATCH, verbose=0).argmax(1)
    return round(100 * float(np.mean(predicted == images.y_test)), 2)


def run(deployment: Deployment, images: Images, folder: Path, pretrained: Path | None, board_samples: int) -> dict:
    """Train, export, verify and measure.

    Args:
        deployment: the run.
        images: its data set.
        folder: for checkpoints and the exported files.
        pretrained: see `float_network`.
        board_samples: test images for the emulated board.

    Returns:
        The row of results.
    """
    images = replace(images, mean=np.float32(0), deviation=np.float32(1))
    keras.utils.set_random_seed(deployment.seed)

    def batches(epoch: int) -> Batches:
        copy = epoch % deployment.copies
        return Batches(images, deployment.batch, deployment.pad, True, deployment.seed, copy, deployment.border)

    logits: dict[int, np.ndarray] = {}

    def taught(epoch: int) -> Distilled:
        copy = epoch % deployment.copies
        if copy not in logits:
            logits[copy] = teach(teacher, batches(epoch))
        return Distilled(batches(epoch), logits[copy])

    teacher = float_network(deployment, images.x_train.shape[1:], pretrained)
    before = accuracy(teacher, images) if pretrained else None
    curves = [train(teacher, deployment, 0, batches, images, folder)]
    ternary = ternarize(teacher, deployment.quantizer)
    curves.append(train(ternary, deployment, 1, taught, images, folder))
    final = with_ranges(ternary)
    curves.append(train(final, deployment, 2, taught, images, folder))
    first = batches(0)
    sample = np.concatenate([first[number][0] for number in range(min(NORM_BATCHES, len(first)))])
    recalibrate_batch_norm(final, sample, deployment.batch)

    accuracies = {"pretrained": before, "float": accuracy(teacher, images), "ternary": accuracy(ternary, images)}
    return {
        "name": deployment.name,
        "config": deployment.config(),
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        "curves": dict(zip(STAGES, curves, strict=True)),
        "seconds": round(sum(point["seconds"] for curve in curves for point in curve), 1),
        "accuracy": {**accuracies, "ternary and int8 activations": accuracy(final, images)},
        "deployed": {
            f"{weights}, {optimize}": measure(
                model, images, folder / f"{weights}_{optimize}", deployment.network, board_samples, optimize
            )
            for model, weights, optimize in (
                (final, "ternary", "speed"),
                (final, "ternary", "size"),
                (teacher, "int8", "speed"),
            )
        },
    }


def main() -> None:
    """Train what is asked for and not recorded yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=DEPLOYMENTS)
    parser.add_argument("--pretrained", type=Path, help="float weights to start from, an .h5 file")
    parser.add_argument("--data-dir", type=Path, help="folder with the data sets as .npz; Keras downloads them without")
    parser.add_argument("--quantizer", help="instead of the recipe's")
    parser.add_argument("--epochs", type=int, nargs=3, metavar=("FLOAT", "TERNARY", "INT8"), help="of each stage")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--board-samples", type=int, default=20, help="test images for the emulated Cortex-M4")
    parser.add_argument("--results", type=Path, default=records.RESULTS, help="folder for the rows of results")
    parser.add_argument("--out", type=Path, default=Path("build/deployed"), help="folder for checkpoints and the C")
    options = parser.parse_args()
    chosen = {"quantizer": options.quantizer, "epochs": options.epochs and tuple(options.epochs)}
    recipe = DEPLOYMENTS[options.network]
    if options.pretrained is not None:
        recipe = replace(recipe, pretrained=True, epochs=(0, *recipe.epochs[1:]))
    deployment = replace(recipe, seed=options.seed, **{name: value for name, value in chosen.items() if value})
    if records.find(records.read(options.results), deployment):
        print(f"{deployment.name}: recorded")
        return
    try:
        images = datasets.load(deployment.dataset, options.data_dir)
    except FileNotFoundError as error:
        parser.error(str(error))
    row = run(deployment, images, options.out / options.network, options.pretrained, options.board_samples)
    records.append("deployed", row, options.results)
    print(f"{deployment.name}: {row['accuracy']}, C: {row['deployed']['ternary, speed']['accuracy']['C']:.2f} %")


if __name__ == "__main__":
    main()
