"""VGG-7 on CIFAR-10: table 2 of the SQ paper.

    python examples/reproduce/cifar10_vgg7.py --only SQ

Razani et al., arXiv:1909.12205: Adam from random weights, every layer quantised, SQ's penalty beside the weight decay.
The paper prints a compression of 18.3 for SQ's depths 2-1-1-1-2-2-2, which does not follow from this network: it gives
16.66.
"""

from command import main
from recipe import Method, Recipe, Run

RECIPE = Recipe(
    "cifar10",
    epochs=150,
    batch=64,
    optimizer="adam",
    learning_rate=1e-3,
    drops=((40, 1e-4), (80, 1e-5)),
    pad=4,
    flip=True,
)
METHODS = (
    Method("FP", paper=93.72, weight_decay=1e-4),
    Method("TWN", "twn", paper=92.74, weight_decay=1e-4),
    Method("SQ", "sq", paper=92.94, weight_decay=1e-4, strength=0.1, gamma=1e-3),
    Method("BWN", "bwn", paper=92.42, weight_decay=1e-4),
    Method("BC", "bc", paper=92.49, weight_decay=1e-4),
)
RUNS = [Run("vgg7", method, RECIPE) for method in METHODS]

if __name__ == "__main__":
    main("cifar10_vgg7", __doc__, RUNS)
