"""Stopping on a signal without losing anything.

    with stop_on_signals(trainer):
        trainer.run(loader, max_epochs=10)

The first SIGINT (Ctrl-C) or SIGTERM asks the engine to stop at the next safe place. From then on
the signals do again what they did before, so that a second one ends the process at once.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

from jaxtrain.engine import Engine

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def stop_on_signals(engine: Engine) -> Iterator[None]:
    """Turn the first signal into `engine.interrupt()`.

    Outside the main thread, where Python allows no signal handlers, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def put_back() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def stop(number: int, frame: Any) -> None:
        put_back()
        engine.interrupt()

    for number in _SIGNALS:
        signal.signal(number, stop)
    try:
        yield
    finally:
        put_back()
