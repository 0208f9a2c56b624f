"""Feed: the batches of a run, one after the other, over the ends of a loader's epochs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


class Feed:
    """Hands out a loader's batches; where they end, it begins the loader anew.

    The iterator lives as long as the run. An epoch of the engine that is shorter than the loader's
    goes on with the next batch, a longer one with the loader's first.

    Args:
        loader: an iterable of batches.
    """

    def __init__(self, loader: Iterable[Any]) -> None:
        self._loader = loader
        self._batches: Iterator[Any] | None = None

    def take(self, *, may_end: bool, iteration: int) -> tuple[Any, bool]:
        """The next batch, or the news that the loader's epoch has ended.

        Args:
            may_end: whether the end of the loader ends the epoch, too.
            iteration: for the error message.

        Returns:
            The batch and False, or None and True at an end.

        Raises:
            ValueError: the loader is empty.
        """
        for batches in (self._batches, None):
            if batches is None:
                batches = self._batches = iter(self._loader)
            try:
                return next(batches), False
            except StopIteration:
                self._batches = None
                if may_end:
                    return None, True
        raise ValueError(
            f"the loader gave no batch for iteration {iteration}; it is empty, or an iterator "
            "that can be used only once"
        )

    def close(self) -> None:
        """Let go of the iterator, so that a prefetching one stops its thread."""
        close = getattr(self._batches, "close", None)
        if close is not None:
            close()
        self._batches = None


def length_of(loader: Iterable[Any]) -> int | None:
    """Batches an epoch: `steps_per_epoch`, or `len()`, or None where the loader has neither."""
    steps = getattr(loader, "steps_per_epoch", None)
    if steps is not None:
        return int(steps)
    try:
        return len(loader)  # type: ignore[arg-type]
    except TypeError:
        return None
