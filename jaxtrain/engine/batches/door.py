"""The engine's door: whatever it is given to run over becomes a loader, once.

as_loader(ArrayLoader(...))         # as it is: it has cursors
as_loader([batch, batch])           # a PlainIterable: it has none
as_loader(torch_dataloader)         # likewise; its tensors become arrays without a copy
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import jax
import numpy as np

from jaxtrain.data import Cursor, Loader

_PROTOCOL = ("batch_size", "steps_per_epoch", "fingerprint", "example", "start", "batches")


class PlainIterable:
    """An iterable of batches that knows no places, used up as it goes.

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
        self._seen_ahead: list[Any] = []

    def restart(self) -> None:
        """Begin with a new iterator, unless the iterable is an iterator itself."""
        if self._iterator is not self.source:
            self._iterator, self._seen_ahead = None, []

    def first(self) -> Any:
        """The next batch, which is still to come afterwards.

        Raises:
            ValueError: there is none.
        """
        if not self._seen_ahead:
            batch = next(self.batches(), None)
            if batch is None:
                raise ValueError("the loader gave no batch: it is empty, or was used up before")
            self._seen_ahead.append(batch[0])
        return self._seen_ahead[0]

    def batches(self, cursor: Cursor | None = None) -> Iterator[tuple[Any, None]]:
        """What is left of the iterable. Asked again after its end, it begins anew."""
        if self._iterator is None:
            self._iterator = iter(self.source)
        while True:
            if self._seen_ahead:
                yield self._seen_ahead.pop(), None
                continue
            try:
                batch = next(self._iterator)
            except StopIteration:
                self._iterator = None
                return
            yield batch, None


def as_loader(batches: Any) -> Loader | PlainIterable:
    """A loader as it is, anything else that can be iterated over as a `PlainIterable`.

    The type is asked, not the object: some objects answer to every name.

    Raises:
        TypeError: it can't be iterated over.
    """
    if isinstance(batches, PlainIterable):
        return batches
    if all(hasattr(type(batches), name) for name in _PROTOCOL):
        loader: Loader = batches
        return loader
    return PlainIterable(batches)


def length_of(loader: Loader | PlainIterable) -> int | None:
    """Batches of an epoch; None where nobody knows, or there are none."""
    if isinstance(loader, PlainIterable):
        return loader.length or None
    return loader.steps_per_epoch


def example_of(loader: Loader | PlainIterable) -> Any:
    """A batch, or its shapes, for whoever must know what is coming. Nobody is moved by it."""
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
            "that; steps of make_train_step take a dict of arrays: run over ({'inputs': x, "
            "'labels': y} for x, y in loader), or give the loader a collate function that makes one"
        )


def _is_tensor(leaf: Any) -> bool:
    # By name: torch is no dependency, and where it is not imported nothing is a tensor.
    return any(c.__module__ == "torch" and c.__name__ == "Tensor" for c in type(leaf).__mro__)


def _length(batches: Any) -> int | None:
    try:
        return len(batches)
    except TypeError:
        return None
