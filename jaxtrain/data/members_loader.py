"""Batches of many runs at once: those of each member, in its own order, behind one another.

    loader = members_loader([ArrayLoader(rows, batch_size=32, seed=seed) for seed in range(64)])
    next(iter(loader))["inputs"].shape               # (64, 32, 784)

Rows that several members have are in memory once, even where each holds another part of them back.

Axes: M members, B rows of a batch, S batches of an epoch, N rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxtrain.batch import Batch
from jaxtrain.data.fingerprint import fingerprint
from jaxtrain.data.loader import Cursor, IndexedLoader, Loader, closing, one_epoch
from jaxtrain.errors import CheckpointMismatchError, ConfigError


def members_loader(loaders: Sequence[Loader]) -> Loader:
    """One loader of all members' batches; where they all read the same, simply the first.

    Raises:
        ConfigError: their batches have different shapes, or their epochs different lengths.
    """
    if len({loader.fingerprint() for loader in loaders}) == 1:
        return loaders[0]
    if all(isinstance(loader, IndexedLoader) for loader in loaders):
        return IndexedMembers(loaders)
    return MembersLoader(loaders)


class MembersLoader:
    """See `members_loader`.

    Attributes:
        loaders: of the members, M of them.
    """

    def __init__(self, loaders: Sequence[Loader]) -> None:
        self.loaders = tuple(loaders)
        kinds = {(str(loader.example()), loader.steps_per_epoch) for loader in loaders}
        if len(kinds) != 1:
            found = "; ".join(f"{steps} batches of {shapes}" for shapes, steps in sorted(kinds))
            raise ConfigError(f"members: expected epochs of one length and shape, found {found}")

    @property
    def batch_size(self) -> int:
        """B, of each member."""
        return self.loaders[0].batch_size

    @property
    def steps_per_epoch(self) -> int:
        """S."""
        return self.loaders[0].steps_per_epoch

    def __len__(self) -> int:
        return self.steps_per_epoch

    def fingerprint(self) -> str:
        """Those of the members, in their order, as one digest."""
        said = "\n".join(loader.fingerprint() for loader in self.loaders)
        digest = fingerprint({"said": np.frombuffer(said.encode(), np.uint8)})
        return f"{len(self.loaders)} members sha256={digest}"

    def of_one(self) -> dict[str, Any]:
        """Shapes and dtypes of one member's batches."""
        return dict(self.loaders[0].example())

    def example(self) -> dict[str, Any]:
        """Shapes and dtypes of every batch, `[M, B, ...]`."""
        return {
            name: jax.ShapeDtypeStruct((len(self.loaders), *leaf.shape), leaf.dtype)
            for name, leaf in self.of_one().items()
        }

    def start(self, epoch: int = 0) -> Cursor:
        """The beginning of an epoch, counted from 0."""
        return self._cursor([loader.start(epoch) for loader in self.loaders])

    def batches(self, cursor: Cursor | None = None) -> Iterator[tuple[Batch, Cursor]]:
        """The batches from `cursor` on, each with the place behind it.

        Raises:
            CheckpointMismatchError: the cursor is of other data or other options.
        """
        places: Sequence[Cursor | None] = [None] * len(self.loaders)
        if cursor is not None:
            self._refuse_other(cursor)
            places = cursor["members"]
        pairs = zip(self.loaders, places, strict=True)
        return self._zipped([loader.batches(place) for loader, place in pairs])

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, counted from 0."""
        return one_epoch(self, epoch)

    def __iter__(self) -> Iterator[Batch]:
        """The batches of the first epoch."""
        return one_epoch(self)

    def _zipped(self, sources: list[Iterator[tuple[Batch, Cursor]]]) -> Iterator[Any]:
        try:
            for found in zip(*sources, strict=True):
                batches = [batch for batch, _ in found]
                stacked = {name: np.stack([b[name] for b in batches]) for name in batches[0]}
                yield stacked, self._cursor([place for _, place in found])
        finally:
            for source in sources:
                with closing(source):
                    pass

    def _cursor(self, places: Sequence[Cursor]) -> Cursor:
        return {"members": list(places), "fingerprint": self.fingerprint()}

    def _refuse_other(self, cursor: Mapping[str, Any]) -> None:
        found = cursor.get("fingerprint")
        if found != self.fingerprint():
            raise CheckpointMismatchError(
                f"the place is one in the data of other members: expected {self.fingerprint()}, "
                f"found {found}"
            )


class IndexedMembers(MembersLoader):
    """The same over arrays in memory, which it offers: a dispatch can gather on the device.

    Attributes:
        arrays: by name `[N, ...]`: every row that a member has, once.
    """

    def __init__(self, loaders: Sequence[Any]) -> None:
        super().__init__(loaders)
        self.arrays, self._rows = _pooled([loader.arrays for loader in loaders])
        self._said: str | None = None

    @property
    def masked(self) -> bool:
        """Whether batches have a `row_mask`."""
        return bool(self.loaders[0].masked)  # type: ignore[attr-defined]

    def fingerprint(self) -> str:
        """Those of the members, in their order, as one digest; computed once."""
        if self._said is None:
            self._said = super().fingerprint()
        return self._said

    def indices(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows of all batches `[M, S, B]` int32, and their masks `[M, S, B]` float32."""
        found = [loader.indices(epoch) for loader in self.loaders]  # type: ignore[attr-defined]
        rows = [mine[indices] for mine, (indices, _) in zip(self._rows, found, strict=True)]
        return np.stack(rows), np.stack([mask for _, mask in found])

    def position(self, cursor: Cursor) -> tuple[int, int]:
        """Epoch and batch, both from 0, that a cursor says.

        Raises:
            CheckpointMismatchError: it is of other data or other options.
        """
        self._refuse_other(cursor)
        return self.loaders[0].position(cursor["members"][0])  # type: ignore[attr-defined]

    def cursor_at(self, epoch: int, batch: int) -> Cursor:
        """The place before a batch, both from 0."""
        return self._cursor(
            [loader.cursor_at(epoch, batch) for loader in self.loaders]  # type: ignore[attr-defined]
        )


def _pooled(
    given: Sequence[Mapping[str, np.ndarray]],
) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
    """Every row of any member once, and for each member where its own are `[N]` int32."""
    first = given[0]
    if all(arrays[name] is first[name] for arrays in given for name in first):
        return dict(first), [np.arange(len(next(iter(first.values()))), dtype=np.int32)] * len(
            given
        )
    places: dict[bytes, int] = {}
    pieces: list[dict[str, np.ndarray]] = []
    found = []
    for arrays in given:
        keys = _keys(arrays)
        new = [place for place, key in enumerate(keys) if key not in places]
        # Equal rows of one member are one row of the pool.
        for place in new:
            places.setdefault(keys[place], len(places))
        fresh = _firsts(keys, new)
        if fresh:
            pieces.append({name: array[fresh] for name, array in arrays.items()})
        found.append(np.fromiter((places[key] for key in keys), np.int32, len(keys)))
    pool = {name: np.concatenate([piece[name] for piece in pieces]) for name in first}
    return pool, found


def _firsts(keys: Sequence[bytes], places: Sequence[int]) -> list[int]:
    """Of these places, those at which a key stands for the first time."""
    seen: set[bytes] = set()
    found = []
    for place in places:
        if keys[place] not in seen:
            seen.add(keys[place])
            found.append(place)
    return found


def _keys(arrays: Mapping[str, np.ndarray]) -> list[bytes]:
    """A row's bytes in all arrays, row by row."""
    parts = []
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        parts.append(array.view(np.uint8).reshape(len(array), -1))
    joined = np.ascontiguousarray(np.concatenate(parts, axis=1))
    whole = joined.view(np.dtype((np.void, joined.shape[1]))).reshape(-1)
    return [row.tobytes() for row in whole]
