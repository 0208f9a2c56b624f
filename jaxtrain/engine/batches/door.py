"""The engine's door: whatever it is given to run over becomes a loader, once.

as_loader(ArrayLoader(...))         # as it is: it has cursors
as_loader([batch, batch])           # a PlainIterable: it has none
as_loader(torch_dataloader)         # likewise; its tensors become arrays without a copy
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import numpy as np

from jaxtrain.data import Loader, MembersLoader

_METHODS = ("fingerprint", "example", "start", "batches")
_ATTRIBUTES = ("batch_size", "steps_per_epoch")


class PlainIterable:
    """An iterable of batches that knows no places, used up as it goes.

    What was read of it waits in `ahead` until it is dropped, so that nothing that was read and not
    used is lost, whatever is raised meanwhile.

    Args:
        batches: a list, a generator, a torch DataLoader, …

    Attributes:
        source: what it was made of.
        length: batches of an epoch, where `len()` says it.
    """

    def __init__(self, batches: Iterable[Any]) -> None:
        if not hasattr(type(batches), "__iter__") and not hasattr(type(batches), "__getitem__"):
            raise TypeError(
                f"expected a loader or an iterable of batches to run over, found {batches!r}"
            )
        self.source = batches
        self.length = _length(batches)
        self._iterator: Iterator[Any] | None = None
        self._ahead: deque[Any] = deque()
        self._at_end = False

    def restart(self) -> None:
        """Begin with a new iterator, unless the iterable is an iterator itself."""
        if not isinstance(self.source, Iterator):
            self._iterator, self._at_end = None, False
            self._ahead.clear()

    def first(self) -> Any:
        """The next batch, which is still to come afterwards.

        Raises:
            ValueError: there is none.
        """
        for batch in self.ahead(1):
            return batch
        raise ValueError("the loader gave no batch: it is empty, or was used up before")

    def ahead(self, count: int) -> list[Any]:
        """Up to `count` next batches, which are still to come; fewer where the iterable ends."""
        if self._iterator is None and not self._at_end:
            self._iterator = iter(self.source)
        while len(self._ahead) < count and self._iterator is not None:
            before = len(self._ahead)
            # In one call, so that no Ctrl-C comes between the reading and the keeping.
            self._ahead.extend(itertools.islice(self._iterator, 1))
            if len(self._ahead) == before:
                self._iterator, self._at_end = None, True
        return list(itertools.islice(self._ahead, count))

    def drop(self, count: int) -> None:
        """The next `count` batches are used."""
        for _ in range(count):
            self._ahead.popleft()

    def begin_again(self) -> None:
        """Its end was told: whoever asks again begins anew."""
        self._at_end = False


def as_loader(batches: Any) -> Loader | PlainIterable:
    """A loader as it is, anything else that can be iterated over as a `PlainIterable`.

    The type is asked for the methods, not the object: some objects answer to every name.

    Raises:
        TypeError: it can't be iterated over.
    """
    if isinstance(batches, PlainIterable):
        return batches
    has_methods = all(hasattr(type(batches), name) for name in _METHODS)
    if has_methods and all(hasattr(batches, name) for name in _ATTRIBUTES):
        loader: Loader = batches
        return loader
    return PlainIterable(batches)


def length_of(loader: Loader | PlainIterable) -> int | None:
    """Batches of an epoch; None where nobody knows, or there are none."""
    if isinstance(loader, PlainIterable):
        return loader.length or None
    return loader.steps_per_epoch


def example_of(loader: Loader | PlainIterable) -> Any:
    """A batch, or its shapes, for whoever must know what is coming. Nobody is moved by it.

    Where each member of a population has its own, that of one of them.
    """
    if isinstance(loader, MembersLoader):
        return loader.of_one()
    if isinstance(loader, PlainIterable):
        return as_arrays(loader.first())
    return loader.example()


def as_arrays(batch: Any) -> Any:
    """The batch with torch tensors as numpy arrays, which share their memory on a CPU."""
    if not any(map(_is_tensor, jax.tree.leaves(batch))):
        return batch
    return jax.tree.map(
        lambda leaf: np.asarray(leaf.detach().cpu()) if _is_tensor(leaf) else leaf, batch
    )


def refuse_unnamed(batch: Any) -> None:
    """Say what to do about a batch without names, where a step could not take it.

    Raises:
        TypeError: it is a list or a tuple.
    """
    if isinstance(batch, list | tuple):
        raise TypeError(
            f"the loader gives a {type(batch).__name__} of {len(batch)}, and the step can't take "
            "that; steps of make_train_step take a dict of arrays: give "
            "the loader a collate function that makes {'inputs': x, 'labels': y}"
        )


def _is_tensor(leaf: Any) -> bool:
    # By name: torch is no dependency, and where it is not imported nothing is a tensor.
    return any(c.__module__ == "torch" and c.__name__ == "Tensor" for c in type(leaf).__mro__)


def _length(batches: Any) -> int | None:
    try:
        return len(batches)
    except TypeError:
        return None
