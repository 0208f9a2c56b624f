"""Stopping on a signal without losing anything.

    with StopOnSignals() as signals:              # before anything slow
        experiment = Experiment(config)
        experiment.train(guard=signals.guard)

The first SIGINT (Ctrl-C), SIGTERM or SIGHUP (a closed terminal) asks for a stop at the next safe
place: between two dispatches, in an evaluation, while waiting for data; before the training has
begun, as soon as it does. Nothing is raised in the middle of other code. After the first SIGINT or
SIGTERM a second one does what `second` says.

A terminal that is closed is no person who insists: the kernel and the shell may both tell of it. So
a SIGHUP is heeded once, and never ends the process at once. Under `nohup` it is not heeded at all.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # this file is imported before jax is, to be there for an early Ctrl-C
    from jaxtrain.engine import Engine

_INSISTING = (signal.SIGINT, signal.SIGTERM)
_SAID = b"\nstopping at the next safe place; a second signal ends the process at once\n"


class StopOnSignals:
    """Catches the first signal, and hands it to the engine that is guarded.

    Outside the main thread, where Python allows no signal handlers, it does nothing.

    Args:
        second: what the signals do after the first one; what they did before, by default.
    """

    def __init__(self, second: Any = None) -> None:
        self._second = second
        self._before: dict[int, Any] = {}
        self._engine: Engine | None = None
        self.received = False

    def __enter__(self) -> StopOnSignals:
        if threading.current_thread() is threading.main_thread():
            for number in (*_INSISTING, signal.SIGHUP):
                if number in _INSISTING or signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def guard(self, engine: Engine) -> Iterator[None]:
        """Interrupt `engine` when the signal comes, or at once where it came before."""
        self._engine = engine
        if self.received:
            engine.interrupt()
        try:
            yield
        finally:
            self._engine = None

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.received = True
        for one, handler in self._before.items():
            if one == signal.SIGHUP:
                signal.signal(one, signal.SIG_IGN)
            elif number != signal.SIGHUP:
                signal.signal(one, handler if self._second is None else self._second)
        with contextlib.suppress(OSError):  # the terminal that was closed, or a broken pipe
            os.write(2, _SAID)  # not print: the signal may have come in the middle of one
        if self._engine is not None:
            self._engine.interrupt_waiting()


@contextlib.contextmanager
def ended_at_once() -> Iterator[None]:
    """Ctrl-C ends the process, as it ends a program that does not catch it.

    For what has nothing to clean up. The KeyboardInterrupt that Python would raise is lost where it
    comes up in a callback of XLA's. Outside the main thread this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end(number: int, frame: FrameType | None) -> None:
    with contextlib.suppress(OSError):
        os.write(2, b"\nstopped at once\n")
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


@contextlib.contextmanager
def stop_on_signals(engine: Engine) -> Iterator[None]:
    """Turn the first signal into `engine.interrupt()`; for a run that is about to begin."""
    with StopOnSignals() as signals, signals.guard(engine):
        yield
