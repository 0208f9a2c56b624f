"""What a feed hands out: consecutive batches, in the form that a dispatch takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from jaxtrain.data import Cursor


@dataclass(frozen=True)
class Portion:
    """Consecutive batches.

    Attributes:
        data: what the dispatch is given.
        start: where in `data` the first batch is.
        length: how many batches.
        get: `(data, index) -> batch`, traced inside the dispatch. None where `data` is one batch.
        look: `index -> batch`, on the host, for a handler that wants to see one.
        axes: axes of `data` before those of a batch.
        members: where in `data` the axis of members is, as an entry of `in_axes` of `jax.vmap`;
            None where all of them are given the same.
    """

    data: Any
    start: int
    length: int
    get: Callable[[Any, Any], Any] | None
    look: Callable[[int], Any]
    axes: int = 0
    members: Any = None


class Feed(Protocol):
    """Hands out the batches of one loader, portion by portion.

    Taking moves nothing: until `used` is called, the same batches come again. So whatever is raised
    between the two, and wherever, none is lost.
    """

    def begin(self, cursor: Cursor | None, *, anew: bool) -> None:
        """Go to a place; nothing, where the feed stands there already.

        Args:
            cursor: the place; None for a plain iterable, which goes on where it is.
            anew: the run begins from the start.
        """

    def take(self, limit: int, wanted: int | None) -> Portion | None:
        """Up to `limit` next batches; None where a plain iterable has come to its end.

        Args:
            limit: how many are wanted now.
            wanted: how many the engine's epoch is going to want, or None where nobody knows.
        """

    def used(self, count: int) -> Cursor | None:
        """The first `count` batches of what was taken last are used; the place behind them."""

    def get_ready(self) -> None:
        """The device is at work: a good time to prepare what comes next."""

    def close(self) -> None:
        """The run is left: let go of threads and processes."""
