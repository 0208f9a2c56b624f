"""Pacer: keeps the device busy, and the loop never far ahead of it.

A dispatch returns before it is computed. Without a bound the loop would run away from the device:
a signal would be seen at once but obeyed only when all that was queued is done. So at most `depth`
dispatches are on their way, and none is planned to take more than about `seconds`.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import jax

LONGEST = 1024


class Pacer:
    """Says how long the next dispatch may be.

    Lengths end at multiples of a power of two, so that where dispatches end depends on the absolute
    iteration. The power starts at 1 and doubles while dispatches are short. How long they are has
    no influence on any result.

    Args:
        seconds: what a dispatch should take at most.
        depth: how many may be on their way.
    """

    def __init__(self, seconds: float, *, depth: int = 2) -> None:
        self._seconds = seconds
        self._depth = depth
        self._launched: deque[tuple[Any, int]] = deque()
        self._last_done = time.perf_counter()
        self.chunk = 1

    def begin(self) -> None:
        """A run begins: what was launched in an earlier one is done or forgotten."""
        self._launched.clear()
        self._last_done = time.perf_counter()

    def limit(self, iteration: int) -> int:
        """How many iterations after `iteration` the next dispatch may do."""
        return self.chunk - iteration % self.chunk

    def launched(self, token: Any, length: int) -> None:
        """Note a dispatch; wait for an earlier one where too many are on their way.

        Args:
            token: an array that is there when the dispatch is done.
            length: its iterations.
        """
        self._launched.append((token, length))
        if len(self._launched) <= self._depth:
            return
        oldest, length = self._launched.popleft()
        jax.block_until_ready(oldest)
        now = time.perf_counter()
        self._adapt((now - self._last_done) / length)
        self._last_done = now

    def _adapt(self, seconds_each: float) -> None:
        if self.chunk > 1 and self.chunk * seconds_each > self._seconds:
            self.chunk //= 2
        elif self.chunk < LONGEST and 4 * self.chunk * seconds_each < self._seconds:
            self.chunk *= 2
