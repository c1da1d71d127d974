"""What a training shows: a bar in a terminal, and a line an epoch everywhere."""

from typing import Any, Self

import keras
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar


class Progress:
    """Shows a run; a context that lasts while it trains.

    Args:
        name: name of the run.
        epochs: its epochs.
        steps: batches an epoch.

    Attributes:
        epoch: the epoch in work, from 0; set by the training.
    """

    def __init__(self, name: str, epochs: int, steps: int) -> None:
        self.name, self.epochs, self.steps = name, epochs, steps
        self.epoch = 0
        self.console = Console(soft_wrap=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("about"), TimeRemainingColumn())
        self.bar = Bar(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)
        self.task = self.bar.add_task(name, total=epochs * steps)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def callback(self) -> keras.callbacks.Callback:
        """Return the callback that moves the bar."""

        def move(batch: int, logs: Any) -> None:
            self.bar.update(self.task, completed=self.epoch * self.steps + batch + 1)

        return keras.callbacks.LambdaCallback(on_train_batch_end=move)

    def show(self, point: dict[str, float]) -> None:
        """Print the line of the epoch that has ended."""
        minutes = (self.epochs - self.epoch - 1) * point["seconds"] / 60
        left = f", about {minutes:.0f} min left" if minutes else ""
        self.console.print(
            f"{self.name}: epoch {self.epoch + 1} of {self.epochs}, loss {point['loss']:.4f}, "
            f"train {point['train']:.2f} %, test {point['test']:.2f} %, {point['seconds']:.1f} s{left}",
            highlight=False,
        )
