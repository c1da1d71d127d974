"""A training's state after each epoch."""

import json
from pathlib import Path
from typing import Any

import keras


class Checkpoint:
    """Keeps weights, optimizer and curve in a folder; a kill at any moment leaves the one state or the next.

    Args:
        folder: where to; made if need be.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.curve = folder / "curve.json"

    def restore(self, model: keras.Model) -> list[dict[str, Any]]:
        """Load the last state into a compiled model with a built optimizer.

        Returns:
            One entry an epoch trained so far; none, and the model as it was, if there is no state.
        """
        if not self.curve.exists():
            return []
        curve = json.loads(self.curve.read_text())
        model.load_weights(self._weights(len(curve)))
        return curve

    def save(self, model: keras.Model, curve: list[dict[str, Any]]) -> None:
        """Keep the state after the epochs of `curve`, in place of the one before."""
        model.save_weights(self._weights(len(curve)))
        temporary = self.folder / "curve.new"
        temporary.write_text(json.dumps(curve))
        temporary.replace(self.curve)  # from here on the new weights count
        for path in self.folder.glob("epoch*.weights.h5"):
            if path != self._weights(len(curve)):
                path.unlink()

    def _weights(self, epochs: int) -> Path:
        return self.folder / f"epoch{epochs}.weights.h5"
