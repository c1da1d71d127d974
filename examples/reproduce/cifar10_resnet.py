"""ResNets on CIFAR-10: the tables of the TTQ paper and of He, Gong, Fan, with other methods beside them.

    python examples/reproduce/cifar10_resnet.py --only resnet20_ttq
    python examples/reproduce/cifar10_resnet.py --only resnet20_he SWS --epochs 12

"resnet20_ttq" is the pre-activation network of TTQ (Zhu et al., arXiv:1612.01064): the weights start from the trained
float network, the first layer stays float. The paper's errors are moving averages; its 400 epochs are 390 steps each,
which at the batch of 256 of the authors' code are two passes over the images, and here, at 128, one.

"resnet20_he" is the network of He, Gong, Fan (arXiv:1807.07948): every layer ternary, from random weights. The other
methods train as theirs does; they have no figure for this network in their own papers. DoReFa and BWN keep the first
and the last layer float, as their authors do.
"""

from command import main
from recipe import Method, Recipe, Run

TTQ_RECIPE = Recipe(
    "cifar10",
    epochs=400,
    batch=128,
    optimizer="sgd",
    learning_rate=0.1,
    drops=((80, 1e-2), (120, 1e-3), (300, 1e-4)),
    pad=4,
    flip=True,
)
HE_RECIPE = Recipe(
    "cifar10",
    epochs=200,
    batch=128,
    optimizer="nesterov",
    learning_rate=0.1,
    drops=((80, 1e-2), (120, 1e-3), (160, 5e-4)),
    pad=4,
    flip=True,
)
# depth: accuracy of the float and of the ternary network in the paper
TTQ_PAPER = {20: (91.77, 91.13), 32: (92.33, 92.37), 44: (92.82, 92.98), 56: (93.20, 93.56)}
HE_PAPER = {20: (91.70, 91.65), 32: (92.36, 92.48), 44: (92.47, 92.71), 56: (92.68, 92.86)}
OTHERS = (
    Method("REL2", "rel(t_ex=2)", weight_decay=3e-4),
    Method("TWN", "twn", weight_decay=3e-4),
    Method("BWN", "bwn(per_filter=True)", weight_decay=3e-4, skip=("first", "last")),
    Method("DoReFa", "dorefa", weight_decay=3e-4, skip=("first", "last")),
    Method("TGA", "tga", weight_decay=3e-4, start="FP"),
)


def ttq_float(depth: int) -> Method:
    """The float network that TTQ starts from."""
    return Method("FP", paper=TTQ_PAPER[depth][0], weight_decay=2e-4)


def ttq(depth: int) -> Method:
    """TTQ as published."""
    return Method("TTQ", "ttq", paper=TTQ_PAPER[depth][1], weight_decay=2e-4, start="FP", skip=("first",))


def he_methods(depth: int) -> tuple[Method, ...]:
    """The two lines of the paper, and for ResNet-20 the other methods."""
    in_float, ternary = HE_PAPER[depth]
    own = (
        Method("FP", paper=in_float, weight_decay=3e-4),
        Method("SWS", "sws", paper=ternary, weight_decay=3e-4),
    )
    return own + (OTHERS if depth == 20 else ())


RUNS = [
    *(
        Run(f"resnet{depth}_ttq", method, TTQ_RECIPE)
        for depth in TTQ_PAPER
        for method in (ttq_float(depth), ttq(depth))
    ),
    *(Run(f"resnet{depth}_he", method, HE_RECIPE) for depth in HE_PAPER for method in he_methods(depth)),
]

if __name__ == "__main__":
    main("cifar10_resnet", __doc__, RUNS)
