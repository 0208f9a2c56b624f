"""Stopping together: whoever of several processes is asked to stop, all stop at the same place.

    stop = Together.of_next()         # one for each engine; None where a process is alone
    stop.ask()                        # in any process, in a signal handler, in any thread
    if stop.reached(): ...            # at places that all processes come to in the same order

Processes that compute one thing together launch the same programs in the same order, and each is
ahead of the device by as much as it likes. So one that stops at once leaves the others waiting for
it for ever. Here a thread looks a few times a second whether anybody was asked. If so, it closes a
gate at this process's next place, and tells how many places are behind it; when all have told, the
gate opens, and the stop is at the first place that is behind nobody. No thread waits for another
process's main thread, which may be waiting itself for what this one has yet to launch.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
import weakref
from typing import Any

import jax

from jaxtrain.errors import PeerError
from jaxtrain.parallel.meeting import client
from jaxtrain.parallel.process import several

logger = logging.getLogger(__name__)

SECONDS = 120.0
"""How long a place waits for what the threads of the others have to tell."""

_LOOK_SECONDS = 0.2
_ROOT = "jaxtrain/stop/"
_serials = itertools.count()


class Together:
    """A stop of one engine that all processes share.

    Args:
        number: by which the processes know it: the how-manieth it is in each of them.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._round = 0  # stops that are over
        self._asked = False
        self._passed = 0  # places that are behind this process
        self._gate = threading.Condition()
        self._told = False  # of this round: the gate is closed until the place is known
        self._place: int | None = None  # at which all stop
        _watcher.watch(self)

    @classmethod
    def of_next(cls) -> Together | None:
        """For the next engine. All processes have to make theirs in the same order."""
        return cls(next(_serials)) if several() else None

    def ask(self) -> None:
        """Ask all to stop. It only leaves a note: a signal handler may do that anywhere."""
        self._asked = True

    def reached(self) -> bool:
        """Whether all stop here, at this place; called in the main thread, and by all of them.

        Raises:
            PeerError: another process did not tell in time where it is.
        """
        with self._gate:
            if self._told:
                self._wait()
                if self._passed + 1 == self._place:
                    self._passed += 1
                    self._round, self._asked, self._told, self._place = (
                        self._round + 1,
                        False,
                        False,
                        None,
                    )
                    return True
            self._passed += 1
            return False

    def _wait(self) -> None:
        end = time.monotonic() + SECONDS
        while self._place is None:
            left = end - time.monotonic()
            if left <= 0:
                raise PeerError(
                    f"a stop was asked for, and in {SECONDS:g} s not every process has told where "
                    f"it is; missing: {', '.join(map(str, self._missing()))}"
                )
            self._gate.wait(left)

    def _missing(self) -> list[int]:
        told = {int(key.rpartition("/")[2]) for key, _ in client().key_value_dir_get(self._at)}
        return sorted({*range(jax.process_count())} - told)

    # -- the watcher's side --------------------------------------------------------------------

    @property
    def _key(self) -> str:
        return f"{_ROOT}{self._number}/{self._round}"

    @property
    def _at(self) -> str:
        return f"{self._key}/at/"

    def look(self, service: Any, entries: dict[str, str]) -> None:
        """What the watcher has found at the coordinator's: tell, or learn where all are."""
        with self._gate:
            key, at = self._key, self._at
            asked = f"{key}/asked" in entries
            if self._asked and not asked:
                service.key_value_set(f"{key}/asked", str(jax.process_index()), True)
                asked = True
            if not asked or self._place is not None:
                return
            if not self._told:
                # From here on the main thread waits at its next place.
                self._told = True
                service.key_value_set(f"{at}{jax.process_index()}", str(self._passed))
            told = [int(value) for name, value in entries.items() if name.startswith(at)]
            if len(told) == jax.process_count():
                self._place = max(told) + 1
                self._gate.notify_all()


class _Watcher:
    """The thread of a process that looks for what was asked, for all of its engines."""

    def __init__(self) -> None:
        self._stops: weakref.WeakSet[Together] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._over = threading.Event()

    def watch(self, stop: Together) -> None:
        with self._lock:
            self._stops.add(stop)
            if self._thread is None:
                self._over.clear()
                self._thread = threading.Thread(
                    target=self._work, name="jaxtrain-together", daemon=True
                )
                self._thread.start()

    def end(self) -> None:
        """Let go of the coordinator, which is about to go."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._over.set()
            thread.join()

    def _work(self) -> None:
        # A coordinator that a thousand processes ask is asked less often by each.
        seconds = max(_LOOK_SECONDS, jax.process_count() / 2000)
        while not self._over.wait(seconds):
            try:
                service = client()
                entries = dict(service.key_value_dir_get(_ROOT))
                with self._lock:
                    stops = list(self._stops)
                for stop in stops:
                    stop.look(service, entries)
            except (jax.errors.JaxRuntimeError, PeerError) as error:
                # The coordinator is gone: JAX is about to end this process, and says why.
                logger.debug("nobody tells any more whether the run is to stop: %s", error)
                return


_watcher = _Watcher()


def end() -> None:
    """Look no more whether somebody was asked; before the run's processes part."""
    _watcher.end()
