"""SQ's depths against γ, on LeNet-5 and MNIST: figure 3 of the SQ paper.

    python examples/reproduce/sq_gamma.py

γ pulls the layers towards one bit: at 1e-1 all of the paper's end binary (β near π/2), at 1e-5 all ternary (π/4). The
γ of the paper's table, 1e-2, is a run of mnist_lenet5.py.
"""

from dataclasses import replace

import mnist_lenet5
from command import main
from recipe import Run

GAMMAS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
NETWORK, RECIPE = "lenet5", mnist_lenet5.SHIFTED
(SQ,) = (method for method in mnist_lenet5.METHODS if method.name == "SQ")
RUNS = [
    Run(NETWORK, SQ if gamma == SQ.gamma else replace(SQ, name=f"SQ-{gamma:.0e}", gamma=gamma, paper=None), RECIPE)
    for gamma in GAMMAS
]

if __name__ == "__main__":
    main("sq_gamma", __doc__, RUNS)
