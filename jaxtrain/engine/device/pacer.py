"""Pacer: keeps the device busy, and the loop never far ahead of it.

A dispatch returns before it is computed. Without a bound the loop would run away from the device:
a signal would be seen at once but obeyed only when all that was queued is done. So what is on its
way is at most `depth` dispatches, and takes at most about `seconds`, or as long as two steps do.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import jax

from jaxtrain.parallel import hear

LONGEST = 1024

# Dispatches between two agreements, and how much rarer they get while nothing changes.
_AGREED = 8
_RARER = 64

_serials = itertools.count()


class Pacer:
    """Says how long the next dispatch may be, and waits where too many are on their way.

    Lengths end at multiples of a power of two, so that where dispatches end depends on the absolute
    iteration. The power starts at 1 and doubles while dispatches are short. How long they are has
    no influence on any result.

    Processes that compute together must launch dispatches of the same lengths, and no two clocks
    are the same. There the first process says the power, every so many dispatches.

    Args:
        seconds: what is on its way should take at most.
        depth: how many dispatches may be on their way.
        agree: of several processes, gives what the first would take for what this one would.
    """

    def __init__(
        self, seconds: float, *, depth: int = 8, agree: Callable[[int], int] | None = None
    ) -> None:
        self._seconds = seconds
        self._depth = self._most = depth
        self._agree = agree
        self._wish = 1
        self._until_agreed = _AGREED
        self._rarer = 1
        self._launched: deque[tuple[Any, int]] = deque()
        self._last_done = time.perf_counter()
        self._seconds_each: float | None = None
        self.chunk = 1

    def begin(self) -> None:
        """A run begins: what was launched in an earlier one is done or forgotten."""
        self._launched.clear()
        self._most = 1 if _are_simulated() else self._depth
        self._last_done = time.perf_counter()

    def limit(self, iteration: int) -> int:
        """How many iterations after `iteration` the next dispatch may do; asked once for each."""
        if self._agree is not None:
            if self._until_agreed == 0:
                before, self.chunk = self.chunk, self._agree(self._wish)
                self._rarer = 1 if self.chunk != before else min(2 * self._rarer, _RARER)
                self._until_agreed = _AGREED * self._rarer
            self._until_agreed -= 1
        return self.chunk - iteration % self.chunk

    def launched(self, token: Any, length: int) -> None:
        """Note a dispatch; where too many are on their way, wait until half of them are done.

        Half, since to be woken has a price: on a CPU the woken loop takes a core from the device,
        and to do so after every step made a CNN's a tenth slower.

        Args:
            token: an array that is there when the dispatch is done.
            length: its iterations.
        """
        self._launched.append((token, length))
        depth, iterations = self._depth_now(), 0
        if len(self._launched) < depth:
            return
        while len(self._launched) > depth // 2:
            token, length = self._launched.popleft()
            iterations += length
        jax.block_until_ready(token)
        now = time.perf_counter()
        self._adapt((now - self._last_done) / iterations)
        self._last_done = now

    def _depth_now(self) -> int:
        """Two at least, or the device would wait for the loop; more where they are short."""
        if self._seconds_each is None:
            return min(2, self._most)
        each = self._seconds_each * self.chunk
        return min(self._most, max(2, int(min(self._depth, self._seconds / each))))

    def _adapt(self, seconds_each: float) -> None:
        self._seconds_each = max(seconds_each, 1e-9)
        self._wish = self.chunk
        if self.chunk > 1 and 2 * self.chunk * seconds_each > self._seconds:
            self._wish //= 2
        elif self.chunk < LONGEST and 8 * self.chunk * seconds_each < self._seconds:
            self._wish *= 2
        if self._agree is None:
            self.chunk = self._wish


def _are_simulated() -> bool:
    """Whether this process has several devices of one CPU.

    They compute in one pool of threads. Where dispatches queue up there, each of those threads may
    wait within one for a device that has no thread left to come that far.
    """
    return jax.default_backend() == "cpu" and jax.local_device_count() > 1


def agreed() -> Callable[[int], int]:
    """For the next engine's pacer, of several processes that make theirs in the same order."""
    name = f"pace/{next(_serials)}"
    return lambda wish: int(hear(name, str(wish)))
