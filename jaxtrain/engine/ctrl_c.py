"""Ctrl-C without losing the state: a KeyboardInterrupt waits where a state is on its way.

    with ctrl_c.deferred():                   # for the length of a run, in the main thread
        with ctrl_c.held:                     # a dispatch consumes the old state, gives the new one
            state = step(state, batch)
        ...                                   # anywhere else it is raised at once

A dispatch gives the buffers of a state away before its result has a name. An exception raised
between the two would leave nobody with a state. A second Ctrl-C is raised at once, even there.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class _Held:
    """Where a KeyboardInterrupt has to wait. One for the process: engines run inside engines."""

    def __init__(self) -> None:
        self.depth = 0
        self.pending = False

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1
        if self.pending and not self.depth:
            self.pending = False
            raise KeyboardInterrupt


held = _Held()


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Let a Ctrl-C wait while something is `held`.

    Where a program has a handler of its own for SIGINT, or in another thread, nothing is changed.
    """
    if not in_main_thread() or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _raise_or_wait)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _raise_or_wait(number: int, frame: FrameType | None) -> None:
    if held.depth and not held.pending:
        held.pending = True
        return
    held.pending = False
    raise KeyboardInterrupt


def in_main_thread() -> bool:
    """Whether this is the thread in which Python runs signal handlers."""
    return threading.current_thread() is threading.main_thread()
