"""Which method? One network, trained alike with each of them, as its C is on a Cortex-M4.

    python examples/reproduce/methods.py
    python examples/reproduce/methods.py --only TWN TTQ

LeNet-5 (6-16-120-84-10, batch normalisation) on Fashion-MNIST: a float network, and from its weights six more epochs
with each method, first and last layer int8. "int8" is the float network after six epochs more, as int8.
"""

import argparse
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import datasets
import records
from datasets import Batches, Images
from deployment import measure
from recipe import Method, Recipe, Run, build, train

EXPERIMENT = "methods"
RECIPE = Recipe(
    "fashion_mnist", epochs=6, batch=128, optimizer="adam", learning_rate=3e-3, drops=((3, 1e-3), (5, 1e-4)), pad=2
)
SKIP = ("first", "last")
START = Method("float")
METHODS = (
    START,
    Method("int8", start="float"),
    Method("TWN", "twn", start="float", skip=SKIP),
    Method("TWN per filter", "twn(per_filter=True)", start="float", skip=SKIP),
    Method("TTQ", "ttq", start="float", skip=SKIP),
    Method("SQ", "sq", start="float", skip=SKIP, strength=0.1, gamma=1e-2),
    Method("SWS", "sws", start="float", skip=SKIP),
    Method("REL", "rel", start="float", skip=SKIP),
    Method("TGA", "tga", start="float", skip=SKIP),
    Method("BC", "bc", start="float", skip=SKIP),
    Method("BWN", "bwn", start="float", skip=SKIP),
    Method("DoReFa", "dorefa", start="float", skip=SKIP),
)
RUNS = tuple(Run("lenet5_bn", method, RECIPE) for method in METHODS)


def deploy(run: Run, images: Images, folder: Path, board_samples: int) -> dict[str, Any]:
    """Measure the C of a trained run.

    Args:
        run: the run.
        images: its data set.
        folder: the run's, as `recipe.train` left it.
        board_samples: how many of the test images go to the emulated board.

    Returns:
        What `deployment.measure` returns, for speed and for size.
    """
    steps = len(Batches(images, run.recipe.batch, run.recipe.pad, run.recipe.flip, run.seed, 0))
    model = build(run, steps)
    model.load_weights(folder / "final.weights.h5")
    return {
        optimize: measure(model, images, folder / optimize, run.network, board_samples, optimize)
        for optimize in ("speed", "size")
    }


def main() -> None:
    """Train and measure the methods that are asked for and not recorded yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="folder with the data sets as .npz; Keras downloads them without")
    parser.add_argument("--only", nargs="+", metavar="METHOD", choices=[method.name for method in METHODS])
    parser.add_argument("--epochs", type=int, default=0, help="instead of six; recorded as such")
    parser.add_argument("--board-samples", type=int, default=100, help="test images for the emulated Cortex-M4")
    parser.add_argument("--results", type=Path, default=records.RESULTS, help="folder for the rows of results")
    parser.add_argument("--out", type=Path, default=Path("build/reproduce"), help="folder for weights and checkpoints")
    options = parser.parse_args()
    load = cache(datasets.load)  # once for all runs, and only if one is missing
    out = options.out / EXPERIMENT
    runs = {run.method.name: replace(run, epochs=options.epochs) for run in RUNS}
    float_weights = out / runs["float"].folder / "final.weights.h5"
    for name, run in runs.items():
        if options.only and name not in options.only:
            continue
        if records.find(records.read(EXPERIMENT, options.results), run):
            print(f"{name}: recorded")
            continue
        if run.method.start and not float_weights.exists():
            parser.error(f"{name} starts from the weights of float, which is to be trained first")
        images = load(run.recipe.dataset, options.data_dir)
        row = train(run, images, out / run.folder, float_weights if run.method.start else None)
        if run.method.start:
            row["deployed"] = deploy(run, images, out / run.folder, options.board_samples)
        records.append(EXPERIMENT, row, options.results)
        print(f"{name}: {row['accuracy']:.2f} %")


if __name__ == "__main__":
    main()
