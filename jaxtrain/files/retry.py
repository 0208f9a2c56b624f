"""Try again, a few times, with longer and longer pauses.

    retry = Retry(attempts=3, base=1.0)                 # pauses of 1 s and 2 s
    body = retry.call(lambda: read(url), on=(ConnectionError, TimeoutError))

Only what is listed in `on` is tried again; everything else, and the last failure, comes out as is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Retry:
    """Exponential back-off.

    Args:
        attempts: how often to try in all, at least 1.
        base: the first pause, in seconds; each further one is twice as long.
        sleep: what waits; a test passes one that only notes the pauses.
    """

    attempts: int = 3
    base: float = 1.0
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts must be at least 1, found {self.attempts}")
        if self.base < 0:
            raise ValueError(f"base must be 0 or more seconds, found {self.base}")

    def delays(self) -> tuple[float, ...]:
        """The pauses between the attempts, in seconds.

        >>> Retry(attempts=4, base=0.5).delays()
        (0.5, 1.0, 2.0)
        """
        return tuple(self.base * 2.0**failure for failure in range(self.attempts - 1))

    def call(self, function: Callable[[], Result], *, on: tuple[type[Exception], ...]) -> Result:
        """What `function` returns, at the first attempt that raises none of `on`.

        Raises:
            Exception: what the last attempt raised, or at once what is not in `on`.
        """
        for delay in self.delays():
            try:
                return function()
            except on:
                self.sleep(delay)
        return function()
