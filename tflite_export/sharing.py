"""Which tensors share bytes: views of one another, and outputs that take over an input's place.

A storage is a set of tensors at fixed distances. Two tensors in it that overlap must not live at the same time, unless
they hold the same values there, or the one is computed in the other's place.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from tflite_export.arena import TENSOR_ALIGNMENT
from tflite_export.graph import Graph, Tensor
from tflite_export.kernel_call import KernelCall


@dataclass(frozen=True)
class Share:
    """That the call at `step` shares memory: the kind says how, `operand` is the input that is concerned.

    `kind` is "source view" (the output is a part of the input), "target view" (the input is a part of the output) or
    "in place".
    """

    step: int
    kind: str
    operand: int = 0


@dataclass(eq=False)
class Storage:
    """Tensors at fixed distances.

    Attributes:
        members: their indices.
        owner: the caller's input or output that the storage is, if it is one; a tensor index.
    """

    members: np.ndarray
    owner: int | None = None


@dataclass(eq=False)
class Sharing:
    """The outcome of `share`.

    Attributes:
        shares: every sharing, in the order of the calls.
        storages: all of them, in the order of their first tensors.
        starts: of every tensor, relative to others in its storage.
        firsts: of every tensor, the step that writes it first.
        lasts: the step that reads it last.
    """

    shares: list[Share]
    storages: list[Storage]
    starts: np.ndarray
    firsts: np.ndarray
    lasts: np.ndarray


def share(graph: Graph, calls: Sequence[KernelCall], refused: Collection[Share] = ()) -> Sharing:
    """Let tensors share bytes wherever that is possible, a call after the other.

    A view may be of the caller's input; nothing is computed in its place. A caller's output holds whatever fits into it
    until it is written. Bytes are not shared where an offset would not be aligned.

    Args:
        graph: the model.
        calls: its lowered operators.
        refused: what not to share.

    Returns:
        The storages.
    """
    return _Sharer(graph, calls).run(refused)


@dataclass(eq=False)
class _Sharer:
    graph: Graph
    calls: Sequence[KernelCall]
    storages: dict[int, Storage] = field(default_factory=dict)  # by tensor
    values: dict[int, np.ndarray] = field(default_factory=dict)  # by tensor: those that hold parts of the same values

    def __post_init__(self) -> None:
        tensors = {t.index: t for call in self.calls for t in (*call.inputs, call.output) if t.data is None}
        tensors |= {t.index: t for t in (*self.graph.inputs, *self.graph.outputs)}
        self.tensors = tensors
        count = max(tensors) + 1
        self.starts = np.zeros(count, np.int64)
        self.sizes = np.zeros(count, np.int64)
        self.firsts = np.full(count, len(self.calls), np.int64)
        self.lasts = np.full(count, -1, np.int64)
        self.value_of = np.arange(count)
        self.writers = np.zeros(count, np.int64)
        for step, call in enumerate(self.calls):
            for tensor in (*call.inputs, call.output):
                self.firsts[tensor.index] = min(self.firsts[tensor.index], step)
                self.lasts[tensor.index] = step
            self.writers[call.output.index] += 1
        for tensor in self.graph.inputs:
            self.firsts[tensor.index] = -1
        for tensor in self.graph.outputs:
            self.lasts[tensor.index] = len(self.calls)
        self.inputs = {tensor.index for tensor in self.graph.inputs}
        owned = self.inputs | {tensor.index for tensor in self.graph.outputs}
        for index, tensor in tensors.items():
            self.sizes[index] = tensor.nbytes
            self.storages[index] = Storage(np.array([index]), index if index in owned else None)
            self.values[index] = np.array([index])

    def run(self, refused: Collection[Share]) -> Sharing:
        shares = []
        for step, call in enumerate(self.calls):
            for wanted in _possible_shares(step, call):
                if wanted not in refused and self._try(call, wanted):
                    shares.append(wanted)
                    break
        storages = list({id(storage): storage for storage in self.storages.values()}.values())
        return Sharing(shares, storages, self.starts, self.firsts, self.lasts)

    def _try(self, call: KernelCall, wanted: Share) -> bool:
        source, target = call.inputs[wanted.operand], call.output
        if source.data is not None or self.storages[source.index] is self.storages[target.index]:
            return False
        if wanted.kind == "target view":
            return self._view_in_target(source, target, call.target_view or 0)
        if self.writers[target.index] != 1:
            return False
        if wanted.kind == "source view":
            return self._view_of_source(source, target, call.source_view or 0)
        return self._in_place(call, wanted)

    def _view_of_source(self, source: Tensor, target: Tensor, offset: int) -> bool:
        if offset + target.nbytes > source.nbytes:
            return False
        return self._join(source.index, target.index, offset, same_value=True)

    def _view_in_target(self, source: Tensor, target: Tensor, offset: int) -> bool:
        if offset + source.nbytes > target.nbytes or self._is_input(source.index):
            return False
        # whatever holds parts of the source lies inside of it, so that it fills no more than its part of the target
        same = self.values[source.index]
        start, end = self.starts[source.index], self.starts[source.index] + self.sizes[source.index]
        if (self.starts[same] < start).any() or (self.starts[same] + self.sizes[same] > end).any():
            return False
        parts = self.values[target.index]
        parts = parts[parts != target.index]
        start = self.starts[target.index] + offset
        if ((self.starts[parts] < start + source.nbytes) & (self.starts[parts] + self.sizes[parts] > start)).any():
            return False
        return self._join(target.index, source.index, offset, same_value=True)

    def _in_place(self, call: KernelCall, wanted: Share) -> bool:
        source, target = call.inputs[wanted.operand], call.output
        if source.nbytes < target.nbytes or self._is_input(source.index):
            return False
        # an operand read beside its place would be overwritten too early
        aside = {t.index for i, t in enumerate(call.inputs) if t.data is None and i not in call.in_place}
        allowed = {
            tensor.index
            for tensor in call.inputs
            if tensor.data is None
            and tensor.index not in aside
            and self.lasts[tensor.index] == wanted.step
            and self.storages[tensor.index] is self.storages[source.index]
            and self.starts[tensor.index] == self.starts[source.index]
        }
        return source.index in allowed and self._join(source.index, target.index, 0, allowed=allowed)

    def _is_input(self, index: int) -> bool:
        return self.storages[index].owner in self.inputs

    def _join(
        self, fixed: int, moved: int, offset: int, same_value: bool = False, allowed: Collection[int] = ()
    ) -> bool:
        """Join two storages such that `moved` starts `offset` bytes behind the start of `fixed`, if that is possible.

        Args:
            fixed: a tensor.
            moved: another, of another storage.
            offset: bytes between them.
            same_value: where they overlap, they hold the same.
            allowed: tensors that those of the moved storage may overlap for a moment.
        """
        one, other = self.storages[fixed], self.storages[moved]
        shift = self.starts[fixed] + offset - self.starts[moved]
        if shift % TENSOR_ALIGNMENT or (one.owner is not None and other.owner is not None):
            return False
        members = one.members[~np.isin(one.members, list(allowed))] if allowed else one.members
        for index in other.members:
            conflicts = self._overlap(members, index, shift)
            if same_value:
                joined = (self.value_of[fixed], self.value_of[moved])
                conflicts &= (self.value_of[members] != joined[0]) | (self.value_of[index] != joined[1])
            if conflicts.any():
                return False
        if not self._fits_owner(one, other, shift):
            return False
        self._merge(one, other, shift)
        if same_value:
            same = np.concatenate([self.values[fixed], self.values[moved]])
            self.value_of[same] = self.value_of[fixed]
            self.values |= dict.fromkeys(same.tolist(), same)
        return True

    def _overlap(self, members: np.ndarray, index: int, shift: int) -> np.ndarray:
        """Which members overlap a tensor, moved by `shift`, while both live."""
        start = self.starts[index] + shift
        return (
            (self.starts[members] < start + self.sizes[index])
            & (self.starts[members] + self.sizes[members] > start)
            & (self.firsts[members] <= self.lasts[index])
            & (self.lasts[members] >= self.firsts[index])
        )

    def _fits_owner(self, one: Storage, other: Storage, shift: int) -> bool:
        """Whether all lie inside of the caller's buffer, if one of the storages is a caller's.

        That buffer is aligned for its own type alone, so guests are of this type, or bytes.
        """
        for storage, guests, by in ((one, other, shift), (other, one, -shift)):
            if storage.owner is not None:
                start = self.starts[storage.owner]
                end = start + self.sizes[storage.owner]
                guest_starts = self.starts[guests.members] + by
                if (guest_starts < start).any() or (guest_starts + self.sizes[guests.members] > end).any():
                    return False
                dtypes = {self.tensors[index].dtype for index in guests.members.tolist()}
                if not dtypes <= {self.tensors[storage.owner].dtype, "int8", "uint8"}:
                    return False
        return True

    def _merge(self, one: Storage, other: Storage, shift: int) -> None:
        self.starts[other.members] += shift
        one.members = np.concatenate([one.members, other.members])
        one.owner = other.owner if one.owner is None else one.owner
        self.storages |= dict.fromkeys(other.members.tolist(), one)


def _possible_shares(step: int, call: KernelCall) -> list[Share]:
    possible = []
    if call.source_view is not None:
        possible.append(Share(step, "source view"))
    if call.target_view is not None:
        possible.append(Share(step, "target view"))
    return possible + [Share(step, "in place", operand) for operand in call.in_place]
