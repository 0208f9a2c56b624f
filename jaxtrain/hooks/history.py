"""Remembers the metrics of every epoch, across restarts.

    history = trainer.attach(History())
    trainer.run(loader, max_epochs=10)
    history.epochs[-1]     # {"epoch": 10, "iteration": 9000, "train/loss": 0.02, "val/loss": ...}
    history.seconds        # how long the training took

The learning curves and metrics.json are made from it.
"""

from __future__ import annotations

import math
import reprlib
import time
from typing import Any

from jaxtrain.engine import Engine, Events
from jaxtrain.hooks.registry import EPOCH_METRICS
from jaxtrain.hooks.rows import Row, completed_epochs, epoch_row, is_figure, is_row


class History:
    """One row an epoch: `epoch`, `iteration` and every metric.

    `epochs` is one and the same list for as long as the hook lives, so that a report can be given
    it before the run begins.
    """

    PROVIDES = "history"

    def __init__(self) -> None:
        self.epochs: list[Row] = []
        self._seconds = 0.0  # of the runs that are over
        self._started: float | None = None  # None while no run is on

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of training so far, those before a restart included."""
        running = 0.0 if self._started is None else time.monotonic() - self._started
        return self._seconds + running

    def attach(self, engine: Engine) -> None:
        """Subscribe; what reads the history declares `needs=("history",)`."""
        over = Events.COMPLETED | Events.INTERRUPT | Events.EXCEPTION_RAISED
        engine.attach_handler(Events.STARTED | Events.RESUMED, self._start)
        engine.attach_handler(over, self._stop)
        engine.attach_handler(
            Events.EPOCH_COMPLETED,
            self._remember,
            needs=(EPOCH_METRICS,),
            provides=(self.PROVIDES,),
        )

    def state(self) -> dict[str, Any]:
        """What must survive a restart."""
        return {"epochs": [dict(row) for row in self.epochs], "seconds": self.seconds}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state()` returned.

        Raises:
            ValueError: it is not that.
        """
        rows, seconds = state["epochs"], state["seconds"]
        if not is_figure(seconds) or not 0 <= seconds < math.inf:
            raise ValueError(f"seconds: expected a number from 0 on, found {reprlib.repr(seconds)}")
        if not isinstance(rows, list):
            raise ValueError(f"epochs: expected a list, found {reprlib.repr(rows)}")
        before = 0
        for row in rows:
            if not is_row(row) or row["epoch"] <= before:
                raise ValueError(
                    f"epochs: expected the row of an epoch after {before}, found "
                    f"{reprlib.repr(row)}"
                )
            before = row["epoch"]
        self.epochs[:] = [dict(row) for row in rows]
        self._seconds = float(seconds)

    def _start(self, engine: Engine) -> None:
        del self.epochs[completed_epochs(engine.state) :]  # all of them, where it begins anew
        if not self.epochs and engine.state.iteration == 0:
            self._seconds = 0.0
        self._started = time.monotonic()

    def _stop(self, engine: Engine, *_: object) -> None:
        self._seconds, self._started = self.seconds, None

    def _remember(self, engine: Engine) -> None:
        self.epochs.append(epoch_row(engine))
