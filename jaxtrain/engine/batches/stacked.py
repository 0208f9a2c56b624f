"""Stacked: batches of any loader, put together in a thread while the device works.

It is for loaders whose data is not in arrays on the device. Batches of equal shapes are stacked on
a new first axis, one or `full` of them: two shapes of portion, so two compilations, for each shape
of batch. Nothing is ever padded: what does not fill a portion goes one by one.

Axes: S batches of a portion.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxtrain.data import Ahead, Cursor, Loader, MembersLoader, OnMesh
from jaxtrain.engine.batches.door import PlainIterable, as_arrays
from jaxtrain.engine.batches.portion import Portion

# A portion of more batches takes more memory and saves no more time.
LONGEST = 64
# To copy a larger batch takes longer than to launch a dispatch for it.
LARGEST = 128 * 2**10
# Seconds after which a consumer that waits gets what there is.
_PATIENCE = 0.1


@dataclass(frozen=True)
class _Stack:
    data: Any  # [S, ...] each
    cursors: list[Cursor | None]  # behind each of its S batches
    seen: Any = None  # what a look sees of it, where that is not all of it


class Stacked:
    """Portions of stacked batches.

    A loader is read one portion ahead. A plain iterable is never read beyond what the epoch wants.

    Of a loader that lies over a mesh, batches are stacked where they are read, and laid out once a
    portion. Where several processes have parts of it, how many stand in a portion depends on
    nothing that differs between them, and a look sees the rows of its own process.
    """

    def __init__(self, loader: Loader | PlainIterable) -> None:
        self._mesh = loader if isinstance(loader, OnMesh) else None
        self._loader = loader if self._mesh is None else self._mesh.local
        self._alone = jax.process_count() == 1
        self._cursor: Cursor | None = None
        self._stacks: Ahead[_Stack] | None = None
        self._in_a_row = _InARow()
        self._stack: _Stack | None = None
        self._used = 0
        self._too_few = 0  # batches to come of which there are not enough for a full stack

    def begin(self, cursor: Cursor | None, *, anew: bool) -> None:
        """Go to the cursor; a plain iterable goes on, or begins anew."""
        if isinstance(self._loader, PlainIterable):
            if anew:
                self._stack, self._too_few = None, 0
                self._loader.restart()
        elif self._stacks is None or cursor != self._cursor:
            self.close()
            self._cursor = cursor
            self._stacks = Ahead(self._endless(self._loader.batches(cursor)), 1)

    def take(self, limit: int, wanted: int | None) -> Portion | None:
        """Up to `limit` batches of the present stack."""
        if self._stack is None or self._used == len(self._stack.cursors):
            stack = self._next(wanted)
            if stack is None:
                return None
            self._used, self._stack = 0, stack
        stack, start = self._stack, self._used
        length = min(limit, len(stack.cursors) - start)
        seen = stack.data if stack.seen is None else stack.seen
        look = partial(_on_host, seen)
        members = 1 if isinstance(self._loader, MembersLoader) else None
        return Portion(stack.data, start, length, pick, look, axes=1, members=members)

    def used(self, count: int) -> Cursor | None:
        """So many batches of the stack are used."""
        assert self._stack is not None
        self._used += count
        self._cursor = self._stack.cursors[self._used - 1]
        if isinstance(self._loader, PlainIterable):
            self._loader.drop(count)
        return self._cursor

    def get_ready(self) -> None:
        """Nothing: the thread does."""

    def close(self) -> None:
        """Stop the thread; what it has ready is read again from the cursor."""
        if self._stacks is not None:
            # It may be stuck in a loader that gives nothing: then it is given up.
            self._stacks.close(patience=1.0)
        if not isinstance(self._loader, PlainIterable):
            self._stacks = self._stack = None

    def _next(self, wanted: int | None) -> _Stack | None:
        if isinstance(self._loader, PlainIterable):
            return self._read(self._loader, LONGEST if wanted is None else wanted)
        if self._stacks is None:
            self._stacks = Ahead(self._endless(self._loader.batches(self._cursor)), 1)
        stacks, self._stacks = self._stacks, None  # broken, where something is raised in it
        try:
            stack = next(stacks)
        except BaseException:
            stacks.close(patience=1.0)
            raise
        self._stacks = stacks
        return stack

    def _read(self, loader: PlainIterable, most: int) -> _Stack | None:
        """The next batches of equal shapes, a full stack of them or one; they stay the loader's."""
        found = loader.ahead(1)
        if not found:
            loader.begin_again()
            return None
        batches = [as_arrays(found[0])]
        size = min(self._in_a_row.size_for(batches[0], most), most)
        if self._too_few:  # known from when a full stack was tried
            self._too_few, size = self._too_few - 1, 1
        for count in range(2, size + 1):
            found = loader.ahead(count)
            if len(found) < count:
                break
            batch = as_arrays(found[-1])
            if shapes_of(batch) != shapes_of(batches[0]):
                break
            batches.append(batch)
        if len(batches) < size:  # nothing is padded: they go one by one
            self._too_few = len(batches) - 1
            del batches[1:]
        return _Stack(_stacked(batches), [None] * len(batches))

    def _endless(self, batches: Iterator[tuple[Any, Cursor]]) -> Iterator[_Stack]:
        """Stacks of a loader's batches, in the thread; full ones where shapes stay equal."""
        collected: list[tuple[Any, Cursor | None]] = []
        size, began = 1, time.monotonic()
        try:
            for batch, cursor in batches:
                if collected and shapes_of(batch) != shapes_of(collected[0][0]):
                    yield from self._stacks_of(collected, size)
                    collected, began = [], time.monotonic()
                collected.append((batch, cursor))
                size = self._in_a_row.size_for(batch, None)
                if len(collected) >= size or self._is_late(began):
                    yield from self._stacks_of(collected, size)
                    collected, began = [], time.monotonic()
        finally:
            close = getattr(batches, "close", None)
            if close is not None:
                close()

    def _stacks_of(self, collected: list[tuple[Any, Cursor | None]], size: int) -> Iterator[_Stack]:
        """One stack of `size` batches, or as many of one as there are batches."""
        if len(collected) < size:
            size = 1
        for first in range(0, len(collected), size):
            group = collected[first : first + size]
            batches, cursors = [batch for batch, _ in group], [cursor for _, cursor in group]
            if self._mesh is None:
                yield _Stack(_stacked(batches), cursors)
            else:
                local = jax.tree.map(lambda *leaves: np.stack(leaves), *batches)
                seen = None if self._alone else local
                yield _Stack(self._mesh.place(local, axes=1), cursors, seen)

    def _is_late(self, began: float) -> bool:
        """Whether the consumer has waited long enough: a few batches are better than none."""
        if not self._alone:  # another process may not be late, and its portion would be another
            return False
        awaited = self._stacks is None or self._stacks.awaited
        return awaited and time.monotonic() - began > _PATIENCE


class _InARow:
    """How many batches of one shape came in a row: only long rows are worth full portions."""

    def __init__(self) -> None:
        self._shapes: Any = None
        self._count = 0

    def size_for(self, batch: Any, left: int | None) -> int:
        """How many batches like this one to put into a portion.

        Args:
            batch: the batch that has just come.
            left: how many are going to come at most, where that is known.
        """
        shapes = shapes_of(batch)
        if shapes != self._shapes:
            self._shapes, self._count = shapes, 0
        self._count += 1
        if sum(map(_bytes_of, jax.tree.leaves(batch))) > LARGEST:
            return 1
        if left is not None and left < LONGEST:
            return 1
        return LONGEST if self._count > LONGEST // 2 else 1


def pick(data: Any, index: jax.Array) -> Any:
    """Batch `index` of a portion."""
    return jax.tree.map(
        lambda leaf: jax.lax.dynamic_index_in_dim(leaf, index, keepdims=False), data
    )


def shapes_of(batch: Any) -> Any:
    """What must be equal for two batches to be stacked: structure, shapes and dtypes."""
    leaves, treedef = jax.tree.flatten(batch)
    return treedef, [(np.shape(leaf), getattr(leaf, "dtype", type(leaf))) for leaf in leaves]


def _bytes_of(leaf: Any) -> int:
    # Of an array that lies over several processes as well, which none of them can fetch.
    return int(leaf.nbytes if hasattr(leaf, "nbytes") else np.asarray(leaf).nbytes)


def _stacked(batches: list[Any]) -> Any:
    data = jax.tree.map(lambda *leaves: _stack_leaves(leaves), *batches)
    return data if len(batches) == 1 else jax.device_put(data)


def _stack_leaves(leaves: tuple[Any, ...]) -> Any:
    """`[...]` each as `[S, ...]`, which lies where they do."""
    first = leaves[0]
    if not isinstance(first, jax.Array):
        return np.asarray(first)[None] if len(leaves) == 1 else np.stack(leaves)
    if len(first.sharding.device_set) == 1 or not isinstance(first.sharding, NamedSharding):
        return jnp.stack(leaves)
    spec = PartitionSpec(None, *first.sharding.spec)
    where = NamedSharding(first.sharding.mesh, spec, memory_kind=first.sharding.memory_kind)
    return jax.jit(lambda *parts: jnp.stack(parts), out_shardings=where)(*leaves)


def _on_host(data: Any, index: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[index], jax.device_get(data))
