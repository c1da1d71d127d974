"""The command line that the experiments share."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import datasets
import records
from datasets import Images
from recipe import Run, train


def main(
    experiment: str,
    description: str,
    runs: Sequence[Run],
    measure: Callable[[Run, Images, Path], dict[str, Any]] | None = None,
) -> None:
    """Train those of an experiment's runs that are asked for and not recorded yet.

    Args:
        experiment: its name, and that of its file of results.
        description: for --help.
        runs: all its runs, in the order to train them.
        measure: of a run, its data set and the folder that keeps its weights, returns what the row is to hold besides.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="folder with the data sets as .npz; Keras downloads them without")
    parser.add_argument("--only", nargs="+", metavar="WORD", default=[], help="train the runs that have these words")
    parser.add_argument("--epochs", type=int, default=0, help="fewer epochs than the paper's; recorded as such")
    parser.add_argument("--list", action="store_true", help="list the runs and train none")
    parser.add_argument("--results", type=Path, default=records.RESULTS, help="folder for the rows of results")
    parser.add_argument("--out", type=Path, default=Path("build/reproduce"), help="folder for weights and checkpoints")
    options = parser.parse_args()

    wanted = [replace(run, epochs=options.epochs) for run in runs if set(options.only) <= set(run.name.split())]
    if not wanted:
        parser.error(f"no run has the words {' '.join(options.only)}: see --list")
    if options.list:
        for run in wanted:
            row = records.find(records.read(options.results), run)
            print(f"{run.name}, {run.epochs} epochs: " + (f"{row['accuracy']:.2f} %" if row else "missing"))
        return

    load = cache(datasets.load)  # once for all runs, and only if one is missing
    for run in wanted:
        if records.find(records.read(options.results), run):
            print(f"{run.name}: recorded")
            continue
        start = None
        if run.method.start is not None:
            source = replace(run, method=replace(run.method, name=run.method.start))
            start = options.out / source.folder / "final.weights.h5"
            if not start.exists():
                parser.error(f"{run.name} starts from the weights of {source.name}, which is to be trained first")
        try:
            images = load(run.recipe.dataset, options.data_dir)
        except FileNotFoundError as error:
            parser.error(str(error))
        folder = options.out / run.folder
        row = train(run, images, folder, start)
        if measure is not None:
            row |= measure(run, images, folder)
        records.append(experiment, row, options.results)
        print(f"{run.name}: {row['accuracy']:.2f} % after {run.epochs} epochs, {row['compression']:.1f} times smaller")
