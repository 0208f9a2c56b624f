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

The same thread sees when a process has failed and left. This one then waits for it somewhere, and
would do so until JAX ends it with code 134, a heartbeat later; it ends here, as after a signal.
"""

from __future__ import annotations

import itertools
import logging
import os
import sys
import threading
import time
import weakref
from typing import Any, NoReturn

import jax

from jaxtrain.errors import PeerError
from jaxtrain.parallel.meeting import client
from jaxtrain.parallel.process import is_first, several

logger = logging.getLogger(__name__)

SECONDS = 120.0
"""How long a place waits for what the threads of the others have to tell."""

_LOOK_SECONDS = 0.2
_ROOT = "jaxtrain/stop/"
_ENDS = "jaxtrain/ends/"
AT_ONCE = "at once"

# To fail of the same, and say so, before the failure of another one ends this one.
LEFT_SECONDS = 10.0
_LAST_SECONDS = 2.0
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
        self._left_at: float | None = None

    def watch(self, stop: Together) -> None:
        with self._lock:
            self._stops.add(stop)

    def begin(self) -> None:
        self._over.clear()
        self._left_at = None
        self._thread = threading.Thread(target=self._work, name="jaxtrain-together", daemon=True)
        self._thread.start()

    def end(self) -> None:
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
                self._look_who_left()
            except (jax.errors.JaxRuntimeError, PeerError) as error:
                # The coordinator is gone: JAX is about to end this process, and says why.
                logger.debug("nobody tells any more whether the run is to stop: %s", error)
                return

    def _look_who_left(self) -> None:
        fine = ("0", str(PeerError.exit_code))
        left = {number: code for number, code in ends().items() if code not in fine}
        if not left:
            return
        now = time.monotonic()
        self._left_at = self._left_at or now
        if now - self._left_at > LEFT_SECONDS:
            who = ", ".join(f"process {number} with code {code}" for number, code in left.items())
            print(
                f"another process: the run was left by {who}; this one can't go on without it\n"
                "run the same command again to go on",
                file=sys.stderr,
            )
            tell_end(AT_ONCE)
            if is_first():  # with it goes the coordinator, and JAX would end those that are ending
                time.sleep(_LAST_SECONDS)
            end_at_once(PeerError.exit_code)


_watcher = _Watcher()


def begin() -> None:
    """Look from now on whether somebody was asked to stop; the run's processes have met."""
    _watcher.begin()


def end() -> None:
    """Look no more; before the run's processes part."""
    _watcher.end()


def tell_end(how: int | str) -> None:
    """Tell the others that this process is done, and with which code."""
    client().key_value_set(f"{_ENDS}{jax.process_index()}", str(how), True)


def ends() -> dict[int, str]:
    """Who has told so."""
    return {int(key.rpartition("/")[2]): how for key, how in client().key_value_dir_get(_ENDS)}


def all_end(seconds: float) -> bool:
    """Wait until all have told it; whether they have, and all wait for each other now."""
    end, count = time.monotonic() + seconds, jax.process_count()
    while len(told := ends()) < count and time.monotonic() < end:
        time.sleep(_LOOK_SECONDS / 4)
    return len(told) == count and AT_ONCE not in told.values()


def end_at_once(code: int) -> NoReturn:
    """End past everything that would wait for the others: JAX's own handlers at the exit, too."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)
