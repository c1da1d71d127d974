"""TTQ's accuracy against its share of zeros: figure 5 of the TTQ paper.

    python examples/reproduce/ttq_sparsity.py --only resnet20_ttq
    python examples/reproduce/ttq_sparsity.py --only lenet5_bn

The share of zeros is held constant in every layer, "TTQ-r0.5", or follows from the threshold t, "TTQ-t0.1", which is
0.05 in "TTQ" itself. All start from the weights of the float network. The paper has the figure for ResNet-20 on
CIFAR-10; LeNet-5 on MNIST is a small one beside it.
"""

from collections.abc import Iterator
from dataclasses import replace

import cifar10_resnet
import mnist_lenet5
from command import main
from recipe import Method, Run

SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
THRESHOLDS = (0.1, 0.2)  # beside the method's own, 0.05


def sweep(ttq: Method) -> Iterator[Method]:
    """The method, and others that differ from it in their zeros."""
    yield ttq
    for share in SHARES:
        yield replace(ttq, name=f"{ttq.name}-r{share}", quantizer=f"ttq(sparsity={share})", paper=None)
    for threshold in THRESHOLDS:
        yield replace(ttq, name=f"{ttq.name}-t{threshold}", quantizer=f"ttq(threshold={threshold})", paper=None)


LENET, MNIST_RECIPE = mnist_lenet5.SETTINGS[0]
MNIST_TTQ = Method("TTQ-tuned", "ttq", start="FP")  # that of mnist_lenet5.py starts from random weights
RUNS = [
    Run("resnet20_ttq", cifar10_resnet.ttq_float(20), cifar10_resnet.TTQ_RECIPE),
    *(Run("resnet20_ttq", method, cifar10_resnet.TTQ_RECIPE) for method in sweep(cifar10_resnet.ttq(20))),
    Run(LENET, mnist_lenet5.METHODS[0], MNIST_RECIPE),
    *(Run(LENET, method, MNIST_RECIPE) for method in sweep(MNIST_TTQ)),
]

if __name__ == "__main__":
    main("ttq_sparsity", __doc__, RUNS)
