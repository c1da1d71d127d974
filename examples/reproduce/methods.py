"""Which method? One network, trained alike with each of them, as its C is on a Cortex-M4.

    python examples/reproduce/methods.py
    python examples/reproduce/methods.py --only TTQ

LeNet-5 (6-16-120-84-10, batch normalisation) on Fashion-MNIST: a float network, and from its weights six more epochs
with each method, first and last layer int8. "int8" is the float network after six epochs more, as int8.
"""

from pathlib import Path
from typing import Any

from command import main
from datasets import Images
from deployment import measure
from recipe import Method, Recipe, Run, build

RECIPE = Recipe(
    "fashion_mnist", epochs=6, batch=128, optimizer="adam", learning_rate=3e-3, drops=((3, 1e-3), (5, 1e-4)), pad=2
)
SKIP = ("first", "last")
METHODS = (
    Method("float"),
    Method("int8", start="float"),
    Method("TWN", "twn", start="float", skip=SKIP),
    Method("TWN-per-filter", "twn(per_filter=True)", start="float", skip=SKIP),
    Method("TTQ", "ttq", start="float", skip=SKIP),
    Method("TTQ-half-zeros", "ttq(sparsity=0.5)", start="float", skip=SKIP),
    Method("SQ", "sq", start="float", skip=SKIP, strength=0.1, gamma=1e-2),
    Method("SWS", "sws", start="float", skip=SKIP),
    Method("TGA", "tga", start="float", skip=SKIP),
    Method("BWN", "bwn", start="float", skip=SKIP),
    Method("BC", "bc", start="float", skip=SKIP),
    Method("REL", "rel", start="float", skip=SKIP),
    Method("DoReFa", "dorefa", start="float", skip=SKIP),
)
RUNS = [Run("lenet5_bn", method, RECIPE) for method in METHODS]
BOARD_SAMPLES = 100


def in_c(run: Run, images: Images, folder: Path) -> dict[str, Any]:
    """Measure the C of a trained run.

    Args:
        run: the run.
        images: its data set.
        folder: the run's, as `recipe.train` left it.

    Returns:
        "deployed": what `deployment.measure` returns, for speed and for size. Nothing for the network that the others
        start from.
    """
    if run.method.start is None:
        return {}
    model = build(run, images.x_train.shape[1:], steps=1)
    model.load_weights(folder / "final.weights.h5")
    return {
        "deployed": {
            optimize: measure(model, images, folder / optimize, run.network, BOARD_SAMPLES, optimize)
            for optimize in ("speed", "size")
        }
    }


if __name__ == "__main__":
    main("methods", __doc__, RUNS, in_c)
