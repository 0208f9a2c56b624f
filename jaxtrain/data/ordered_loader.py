"""A loader that knows its rows: an `EpochOrder`, and places in it. It holds no place itself.

    cursor = loader.cursor_at(epoch=2, batch=5)      # {"epoch": 2, "batch": 5, "fingerprint": ...}
    loader.position(cursor)                          # (2, 5)
    for epoch in range(3):
        for batch in loader.epoch(epoch):
            ...

`ArrayLoader` and `GrainLoader` are made of it.

Axis letters: B batch, N rows, S batches in an epoch.
"""

from __future__ import annotations

import abc
import copy
import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Self, TypeGuard

import jax
import numpy as np

from jaxtrain.data.epoch_order import EpochOrder
from jaxtrain.data.loader import Cursor, without_places
from jaxtrain.errors import CheckpointMismatchError, ConfigError


class OrderedLoader(abc.ABC):
    """All of a `Loader` that its order alone decides.

    Whoever inherits says which data these are (`fingerprint`), what a batch looks like (`example`),
    and makes the batches (`batches`). Everything that it has is fixed when it is made.
    """

    def __init__(self, order: EpochOrder) -> None:
        self._order = order

    @property
    def batch_size(self) -> int:
        """B, the rows of every batch, those of padding included."""
        return self._order.batch_size

    @property
    def steps_per_epoch(self) -> int:
        """S, the batches of an epoch."""
        return self._order.steps_per_epoch

    @property
    def masked(self) -> bool:
        """Whether batches have a `row_mask`."""
        return self._order.masked

    def only(self, places: Sequence[int]) -> Self:
        """A loader of the same batches, of which it makes the rows at these places alone.

        Fingerprint, places and the number of batches are those of the whole: so whoever reads a
        part of each batch is where the others are, and another number of them goes on from there.
        `batch_size` stays B.
        """
        part = copy.copy(self)
        part._order = self._order.only(places)
        return part

    def order(self, epoch: int) -> np.ndarray:
        """The rows `[N]` int32 in the order of `epoch`: a function of seed and epoch alone."""
        return self._order.order(epoch)

    def indices(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows of all batches `[S, B]` int32, and their masks `[S, B]` float32."""
        return self._order.indices(epoch)

    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Says which data in which order: equal fingerprints give equal batches."""

    @abc.abstractmethod
    def example(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and dtypes of every batch; reads nothing."""

    @abc.abstractmethod
    def batches(
        self, cursor: Cursor | None = None
    ) -> Iterator[tuple[dict[str, np.ndarray], Cursor]]:
        """The batches from `cursor` on, without end, each with the place behind it."""

    def epoch(self, epoch: int) -> Iterator[dict[str, np.ndarray]]:
        """The batches of an epoch, counted from 0.

        Raises:
            ConfigError: it is less than 0.
        """
        return without_places(self.batches(self.start(epoch)), self.steps_per_epoch)

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        """The batches of the first epoch, always; see `epoch` for the others."""
        return self.epoch(0)

    def __len__(self) -> int:
        """S: what `for batch in loader` goes through."""
        return self.steps_per_epoch

    def start(self, epoch: int = 0) -> Cursor:
        """The beginning of an epoch, counted from 0.

        Raises:
            ConfigError: it is less than 0.
        """
        return self.cursor_at(epoch, 0)

    def cursor_at(self, epoch: int, batch: int) -> Cursor:
        """The place before a batch, both from 0; S batches on, the next epoch begins.

        Raises:
            ConfigError: one of them is less than 0.
        """
        epoch, batch = operator.index(epoch), operator.index(batch)
        if epoch < 0 or batch < 0:
            raise ConfigError(f"expected epoch and batch from 0 on, found {epoch} and {batch}")
        more, batch = divmod(batch, self.steps_per_epoch)
        return {"epoch": epoch + more, "batch": batch, "fingerprint": self.fingerprint()}

    def position(self, cursor: Cursor) -> tuple[int, int]:
        """Epoch and batch, both from 0, that a cursor says.

        Raises:
            CheckpointMismatchError: it is of other data or other options, or no cursor.
        """
        if not isinstance(cursor, Mapping):
            raise CheckpointMismatchError(
                f"not a place in these data: {cursor!r}; expected what came with a batch"
            )
        saved, own = cursor.get("fingerprint"), self.fingerprint()
        if saved != own:
            raise CheckpointMismatchError(
                "the saved place in the data belongs to other data or other options, going on from "
                f"it would repeat or skip rows\n  saved: {saved}\n  now:   {own}\n"
                "restore the data and options, or start a new run"
            )
        epoch, batch, steps = cursor.get("epoch"), cursor.get("batch"), self.steps_per_epoch
        if not _is_count(epoch) or not _is_count(batch) or batch > steps:
            raise CheckpointMismatchError(
                f"not a place in these data: epoch {epoch!r}, batch {batch!r}; expected whole "
                f"numbers from 0, and a batch up to {steps}"
            )
        return (epoch + 1, 0) if batch == steps else (epoch, batch)


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
