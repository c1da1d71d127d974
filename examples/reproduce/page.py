"""Write docs/results.md and its pictures from the rows in docs/results.

python examples/reproduce/page.py
python examples/reproduce/page.py --check   # fails where the page is not what the rows say
"""

import argparse
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import cifar10_resnet
import cifar10_vgg7
import matplotlib as mpl
import mnist_lenet5
import records
import sq_gamma
import ttq_sparsity
from groups import Group, groups, longest
from networks_in_c import deployed_section, draw_methods, method_rows, methods_section
from pictures import draw_curves, draw_depths, draw_zeros
from recipe import Recipe, Run
from tables import markdown

Rows = Sequence[dict[str, Any]]

PAGE = records.RESULTS.parent / "results.md"
PICTURES = records.RESULTS.parent / "_static" / "results"
NONE = "–"
INTRODUCTION = """# Results

The papers' experiments, run again by the scripts in `examples/reproduce/`. This page is written by
`examples/reproduce/page.py` from the rows that they keep in `docs/results/`; nothing in it is typed by hand. The last
two sections have networks as they are deployed: what their C does, and what it takes.

- **Accuracy** is that of the finalised network on all test images after the last epoch, in percent: the mean over the
  runs, and their lowest and highest in brackets. **Best** is the highest after any epoch, of the network that trains,
  written the same way. The papers do not say which of the two they print.
- **Epochs**: "12 of 60" is a short run, each stage of whose schedule is shortened alike. It does not reproduce the
  figure of the paper, which took them all.
- **Bits** are those of a weight, layer by layer; **zeros** the share among the weights of all quantised layers of the
  first run.
- **Times smaller**: 32 bits over the bits of all weights, as the papers count: without scales, biases and
  normalisation.
"""
LENET = """
Table 1 of the SQ paper (Razani et al., [arXiv:1909.12205](https://arxiv.org/abs/1909.12205)), 6-16-120-84-10 with every
layer quantised, 61,470 weights. TTQ, SWS and TGA are not in its table. There the layers of SQ have 1-1-2-2-2 bits, 16.3
times smaller. `lenet5_bn` has batch normalisation behind each layer, `lenet5` none.
"""
GAMMA = """
Figure 3 of the SQ paper, on the `lenet5` above with shifted images: γ decides how many layers turn binary. The network
in training is ternary throughout; a layer of 1 bit loses its zeros when it is finalised.
"""
RESNET = """
`ttq`: Zhu, Han, Mao, Dally ([arXiv:1612.01064](https://arxiv.org/abs/1612.01064)). `he`: He, Gong, Fan
([arXiv:1807.07948](https://arxiv.org/abs/1807.07948)).
"""
VGG = """
Table 2 of the SQ paper.
"""
ZEROS = """
Figure 5 of the TTQ paper: the zeros of every layer held constant (r), or following from a threshold (t).
"""
DISTORTIONS = {
    (0, False): "",
    (2, False): ", images shifted by up to 2 pixels",
    (4, True): ", images shifted by up to 4 pixels and mirrored",
}


def percent(values: Iterable[float]) -> str:
    """A mean with its range."""
    values = list(values)
    if len(values) == 1:
        return f"{values[0]:.2f}"
    return f"{mean(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def accuracy_table(rows: Rows, runs: Sequence[Run]) -> str:
    """A line for each method and number of epochs, and one for a figure of the paper that has no run."""
    body = []
    for run in runs:
        if run.seed:
            continue
        paper = NONE if run.method.paper is None else f"{run.method.paper:.2f}"
        found = groups(rows, run)
        if not found and run.method.paper:
            body.append((run.method.name, paper, *[NONE] * 3, f"0 of {run.recipe.epochs}", *[NONE] * 3))
        for group in found:
            body.append(
                (
                    run.method.name,
                    paper,
                    percent(row["accuracy"] for row in group.rows),
                    percent(row["best"] for row in group.rows),
                    str(len(group.rows)),
                    group.epochs_of,
                    group.bits,
                    NONE if group.zeros is None else f"{100 * group.zeros:.1f} %",
                    f"{group.first['compression']:.1f}",
                )
            )
    return markdown(
        ("method", "paper", "accuracy", "best", "runs", "epochs", "bits", "zeros", "times smaller"),
        body,
    )


def network_tables(rows: Rows, runs: Sequence[Run]) -> str:
    """A table for each network and distortion of which a run is recorded."""
    parts = []
    for network, recipe in dict.fromkeys((run.network, run.recipe) for run in runs):
        own = [run for run in runs if (run.network, run.recipe) == (network, recipe)]
        if longest(rows, own):
            title = f"### `{network}`{DISTORTIONS[recipe.pad, recipe.flip]}"
            parts.append(f"{title}\n\n{recipe_text(recipe)}\n\n{accuracy_table(rows, own)}")
    return "\n".join(parts)


def recipe_text(recipe: Recipe) -> str:
    """A recipe in words."""
    names = {"adam": "Adam", "sgd": "SGD with a momentum of 0.9", "nesterov": "SGD with a Nesterov momentum of 0.9"}
    drops = ", ".join(f"{rate:g} after {epoch}" for epoch, rate in recipe.drops)
    rates = f"at {recipe.learning_rate:g}, {drops}"
    return f"{recipe.epochs} epochs of {names[recipe.optimizer]} {rates}; {recipe.batch} images a batch."


def gamma_table(rows: Rows) -> str:
    """A line for each γ."""
    body = [
        (
            f"{group.run.method.gamma:g}",
            f"{group.first['accuracy']:.2f}",
            f"{group.first['curve'][-1]:.2f}",
            group.epochs_of,
            "-".join(str(layer["bits"]) for layer in group.first["layers"]),
            ", ".join(f"{layer['beta']:.3f}" for layer in group.first["layers"]),
            f"{group.first['compression']:.1f}",
        )
        for group in longest(rows, sq_gamma.RUNS)
    ]
    return markdown(("γ", "accuracy", "in training", "epochs", "bits", "β of the layers", "times smaller"), body)


def pictures(rows: Rows) -> dict[str, Callable[[Path], None]]:
    """What draws each picture, by its name, for those that have something to show."""
    network, recipe = mnist_lenet5.SETTINGS[0]
    lenet = [run for run in mnist_lenet5.RUNS if (run.network, run.recipe) == (network, recipe)]
    sweeps = {
        f"ttq_sparsity_{network}": [run for run in ttq_sparsity.RUNS if run.network == network]
        for network in dict.fromkeys(run.network for run in ttq_sparsity.RUNS)
    }
    wanted = {
        "mnist_lenet5": (draw_curves, longest(rows, lenet)),
        "sq_gamma": (draw_depths, longest(rows, sq_gamma.RUNS)),
        **{name: (draw_zeros, _with_float(longest(rows, runs))) for name, runs in sweeps.items()},
        "methods": (draw_methods, method_rows(rows)),
    }
    return {name: partial(draw, found) for name, (draw, found) in wanted.items() if found}


def _with_float(found: list[Group]) -> list[Group]:
    """Return the groups, or none where only the float network is recorded, which has no zeros to show."""
    return found if any(group.zeros is not None for group in found) else []


def section(rows: Rows, title: str, text: str, script: Any, tables: str, drawn: Sequence[tuple[str, str]]) -> str:
    """A section of the page.

    Args:
        rows: all rows.
        title: its heading.
        text: what the paper did.
        script: the module of its script.
        tables: its tables.
        drawn: names and captions of its pictures.
    """
    images = "\n\n".join(f"![{caption}](_static/results/{name}.svg)" for name, caption in drawn)
    left = sum(records.find(rows, run) is None for run in script.RUNS)
    command = f"python examples/reproduce/{script.__name__}.py"
    missing = f"{len(script.RUNS) - left} of {len(script.RUNS)} runs are recorded in full length: `{command}`."
    return "\n\n".join(part.strip() for part in (f"## {title}", text, tables, images, missing) if part) + "\n"


def page(rows: Rows) -> str:
    """The whole page."""
    drawn = pictures(rows)

    def images(prefix: str, caption: str) -> list[tuple[str, str]]:
        return [(name, caption) for name in drawn if name.startswith(prefix)]

    def accuracies(script: Any) -> str:
        return network_tables(rows, script.RUNS)

    curves = images("mnist_lenet5", "Test error after each epoch, first table")
    depths = images("sq_gamma", "β of the layers against γ")
    zeros = images("ttq_sparsity", "Test error against the share of zeros")
    gammas = gamma_table(rows) if depths else ""
    sections = (
        section(rows, "LeNet-5 on MNIST", LENET, mnist_lenet5, accuracies(mnist_lenet5), curves),
        section(rows, "SQ: depths against γ", GAMMA, sq_gamma, gammas, depths),
        section(rows, "ResNets on CIFAR-10", RESNET, cifar10_resnet, accuracies(cifar10_resnet), []),
        section(rows, "VGG-7 on CIFAR-10", VGG, cifar10_vgg7, accuracies(cifar10_vgg7), []),
        section(rows, "TTQ: accuracy against zeros", ZEROS, ttq_sparsity, accuracies(ttq_sparsity), zeros),
    )
    in_c = (deployed_section(rows), methods_section(rows, "_static/results/methods.svg"))
    return "\n".join(part for part in (INTRODUCTION, *sections, *in_c) if part)


def main() -> None:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the page differs")
    options = parser.parse_args()
    rows = records.read()
    text = page(rows)
    if options.check:
        if not PAGE.exists() or PAGE.read_text() != text:
            raise SystemExit(f"{PAGE} is not what the rows say: run python examples/reproduce/page.py")
        return
    mpl.use("svg")
    for name, draw in pictures(rows).items():
        draw(PICTURES / f"{name}.svg")
    PAGE.write_text(text)
    print(f"wrote {PAGE.relative_to(records.RESULTS.parents[1])}")


if __name__ == "__main__":
    main()
