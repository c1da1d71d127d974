"""A run as basic blocks, one after the other."""

from __future__ import annotations

from dataclasses import dataclass, field

from tflite_export.cycles import Trace


@dataclass
class Recorder:
    """Collects basic blocks, from call to call of a hook.

    Attributes:
        hook: the address of the function that separates the steps. It is left out itself.
        traces: what lay before its first call, between it and the second one, and so on.
    """

    hook: int
    traces: list[Trace] = field(default_factory=lambda: [Trace()])
    _block: tuple[int, int] | None = None
    _resume: int | None = None

    def block(self, start: int, end: int) -> None:
        """A block is entered."""
        if self._resume is not None:
            if start != self._resume:
                return
            self._resume = None
        elif self._block is not None:
            self.traces[-1][*self._block, start] += 1
            if start == self.hook:
                self._resume, self._block = self._block[1], None
                self.traces.append(Trace())
                return
        self._block = (start, end)

    def finish(self) -> None:
        """The last block returned."""
        if self._block is not None:
            self.traces[-1][*self._block, 0] += 1
            self._block = None
