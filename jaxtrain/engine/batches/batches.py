"""Batches: what an engine runs over, and the place behind the last batch that a step has used.

batches = Batches()
batches.accept(loader)
batches.begin("fused", anew=True, mid_epoch=False)
portion = batches.take(limit=100, wanted=None)
batches.used(portion)                       # only now the place is behind it
"""

from __future__ import annotations

import logging
import time
from typing import Any

import jax

from jaxtrain.data import Cursor, IndexedLoader, Loader, OnMesh
from jaxtrain.engine.batches.door import PlainIterable, as_arrays, as_loader
from jaxtrain.engine.batches.one_by_one import OneByOne
from jaxtrain.engine.batches.portion import Feed, Portion
from jaxtrain.engine.batches.resident import Resident, fits_on_device
from jaxtrain.engine.batches.stacked import Stacked
from jaxtrain.engine.form import Form
from jaxtrain.errors import CheckpointMismatchError, Interrupted

logger = logging.getLogger(__name__)


class Batches:
    """The loader of a run, its feed, and the run's place in it.

    Attributes:
        cursor: the place behind the last batch used; None before the first, and for a plain
            iterable.
        waiting: whether a batch is being waited for that would not be lost.
        broken_off: whether the last waiting was ended by a signal.
        waited: seconds spent on getting batches, of all runs together; any thread may read it.
    """

    def __init__(self) -> None:
        self.cursor: Cursor | None = None
        self.waiting = False
        self.broken_off = False
        self.waited = 0.0
        self._given: Any = None
        self._loader: Loader | PlainIterable | None = None
        self._feed: Feed | None = None
        self._fed: tuple[Any, Any] | None = None  # the loader and the form that the feed is for
        self._has_run = False

    @property
    def loader(self) -> Loader | PlainIterable:
        """What was accepted last."""
        assert self._loader is not None
        return self._loader

    @property
    def batch_size(self) -> int | None:
        """Examples of a batch, where what was accepted says it."""
        loader = self._loader
        return None if loader is None or isinstance(loader, PlainIterable) else loader.batch_size

    def accept(self, given: Any) -> Loader | PlainIterable:
        """Adapt what an engine is given to run over; the same object again is the same loader."""
        if self._given is not given:
            self._given, self._loader = given, as_loader(given)
        return self.loader

    def forget(self) -> None:
        """Begin from the start with the next run."""
        self.cursor = None

    def restore(self, cursor: Cursor | None) -> None:
        """Begin at this place with the next run, which has to be over the same data."""
        self.cursor, self._has_run = cursor, False

    def begin(self, form: Form | None, *, anew: bool, mid_epoch: bool) -> None:
        """Go to the place.

        Args:
            form: of the dispatches; None for a host engine.
            anew: from the start.
            mid_epoch: an epoch goes on.

        Raises:
            CheckpointMismatchError: the place is one in other data.
        """
        loader = self.loader
        if anew:
            self.cursor = None
        other = self._fed is None or self._fed[0] is not loader
        if self._fed is None or self._fed != (loader, form):
            self.close()
            self._feed, self._fed = _make_feed(loader, form), (loader, form)
        assert self._feed is not None
        if isinstance(loader, PlainIterable):
            if other and not anew and mid_epoch:
                _warn_of_no_place(loader.source)
            self.cursor = None
            self._feed.begin(None, anew=anew)
        else:
            if self.cursor is None and not anew and mid_epoch:
                _warn_of_no_place(loader)
            try:
                self._feed.begin(self.cursor or self._loader_start(), anew=anew)
            except CheckpointMismatchError:
                # A run may go on over other data from one epoch to the next, but not in an epoch,
                # and not where it was left by another process.
                if mid_epoch or not (other and self._has_run):
                    raise
                logger.info("going on over other data, from their start")
                self.cursor = loader.start()
                self._feed.begin(self.cursor, anew=True)
        self._has_run = True

    def take(self, limit: int, wanted: int | None) -> Portion | None:
        """The next batches; None at the end of a plain iterable, or where a signal came.

        Until they are used the same come again.
        """
        assert self._feed is not None
        self.broken_off = False
        began = time.perf_counter()
        try:
            self.waiting = not isinstance(self._loader, PlainIterable)
            portion = self._feed.take(limit, wanted)
            self.waiting = False
        except Interrupted:
            self.broken_off = True
            return None
        finally:
            self.waiting = False
            self.waited += time.perf_counter() - began
        return portion

    def used(self, count: int) -> None:
        """Steps were launched with the first `count` batches of what was taken last."""
        assert self._feed is not None
        self.cursor = self._feed.used(count)

    def _loader_start(self) -> Cursor:
        assert not isinstance(self.loader, PlainIterable)
        return self.loader.start()

    def get_ready(self) -> None:
        """The device is at work: a good time to prepare what comes next."""
        assert self._feed is not None
        self._feed.get_ready()

    def close(self) -> None:
        """The run is left: let go of threads and processes."""
        if self._feed is not None:
            self._feed.close()


def _make_feed(loader: Loader | PlainIterable, form: Form | None) -> Feed:
    """Single batches for the single form; for the fused one, the device if the data fits there."""
    if form is None:  # a host engine gets them as they are
        return OneByOne(loader)
    if form == "single":
        return OneByOne(loader, as_arrays)
    mesh = loader if isinstance(loader, OnMesh) else None
    whole = loader if mesh is None else mesh.whole
    # Of several processes each reads only its own rows, and none has all arrays on its devices.
    alone = mesh is None or jax.process_count() == 1
    if alone and isinstance(whole, IndexedLoader) and fits_on_device(whole):
        return Resident(whole, mesh)
    return Stacked(loader)


def _warn_of_no_place(loader: Any) -> None:
    logger.warning(
        "an epoch goes on over %s, which holds no place in the data: it begins with its first "
        "batch, and some may be seen twice. A loader with cursors (ArrayLoader) goes on exactly.",
        type(loader).__name__,
    )
