"""LeNet-5 on MNIST: table 1 of the SQ paper, with TTQ, SWS and TGA beside its methods.

    python examples/reproduce/mnist_lenet5.py --only lenet5_bn pad2 seed0
    python examples/reproduce/mnist_lenet5.py --list

The paper is Razani et al., arXiv:1909.12205. The runs come in four kinds: with batch normalisation ("lenet5_bn") and
without, with shifted images ("pad2") and without. BC, whose weights have no scale, wants the former; SQ the network
without, where its weights keep their size.
"""

from dataclasses import replace

from command import main
from recipe import Method, Recipe, Run

RECIPE = Recipe("mnist", epochs=60, batch=64, optimizer="adam", learning_rate=0.01, drops=((15, 1e-3), (30, 1e-4)))
SHIFTED = replace(RECIPE, pad=2)
SETTINGS = (("lenet5_bn", SHIFTED), ("lenet5", SHIFTED), ("lenet5_bn", RECIPE), ("lenet5", RECIPE))
METHODS = (
    Method("FP", paper=99.44),
    Method("TWN", "twn", paper=99.38, weight_decay=1e-4),
    Method("SQ", "sq", paper=99.37, strength=0.1, gamma=1e-2),
    # the paper has weight decay for the binary and ternary methods alone
    Method("SQ-decay", "sq", weight_decay=1e-4, strength=0.1, gamma=1e-2),
    Method("BWN", "bwn", paper=99.32, weight_decay=1e-4),
    Method("BC", "bc", paper=99.35, weight_decay=1e-4),
    Method("TTQ", "ttq"),
    Method("SWS", "sws"),
    Method("TGA", "tga"),
)
RUNS = [Run(network, method, recipe, seed) for seed in range(3) for network, recipe in SETTINGS for method in METHODS]

if __name__ == "__main__":
    main("mnist_lenet5", __doc__, RUNS)
