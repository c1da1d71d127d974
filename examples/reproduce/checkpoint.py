"""A training's state after each epoch."""

import json
from pathlib import Path
from typing import Any

import keras


class Checkpoint:
    """Keeps weights, optimizer and curve in a folder; a kill at any moment leaves the one state or the next.

    Args:
        folder: where to; made if need be.
        config: what the training depends on, of plain values.
    """

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.config = config
        self.state = folder / "state.json"

    def restore(self, model: keras.Model) -> list[dict[str, Any]]:
        """Load the last state into a compiled model with a built optimizer.

        Returns:
            One entry an epoch trained so far; none, and the model as it was, if there is no state.

        Raises:
            ValueError: the state is of another training.
        """
        if not self.state.exists():
            return []
        state = json.loads(self.state.read_text())
        if state["config"] != self.config:
            raise ValueError(f"{self.folder} holds the state of another recipe, {state['config']}: remove it.")
        curve = state["curve"]
        model.load_weights(self._weights(len(curve)))
        return curve

    def save(self, model: keras.Model, curve: list[dict[str, Any]]) -> None:
        """Keep the state after the epochs of `curve`, in place of the one before."""
        model.save_weights(self._weights(len(curve)))
        temporary = self.state.with_suffix(".new")
        temporary.write_text(json.dumps({"config": self.config, "curve": curve}))
        temporary.replace(self.state)  # from here on the new weights count
        for path in self.folder.glob("epoch*.weights.h5"):
            if path != self._weights(len(curve)):
                path.unlink()

    def _weights(self, epochs: int) -> Path:
        return self.folder / f"epoch{epochs}.weights.h5"
