"""Following: what becomes of each member of a population, epoch by epoch.

    following = trainer.attach(Following(members=64, monitor=Monitor("val/loss")))
    trainer.run(loader, max_epochs=30)
    following.best, following.best_epochs, following.history

It keeps the best state of each, and lets those rest that have stopped getting better; the run is
over when all of them rest. Of a member that has failed nothing is kept from then on.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxtrain.direction import rank
from jaxtrain.engine import Engine, Events
from jaxtrain.hooks import EarlyStopping
from jaxtrain.hooks.monitor import Monitor
from jaxtrain.hooks.registry import EPOCH_METRICS
from jaxtrain.sweeps.member import with_verdict

logger = logging.getLogger(__name__)

_SECONDS = 5.0  # between two lines about how far it is
_EACH = ("best", "best_epochs", "failed_at", "stopped_at")


class Following:
    """See the module.

    Args:
        members: their numbers in the sweep, for what is told of them.
        monitor: which figure says which epoch is the best.
        stopping: an early stopping of each, as a run has it; empty for none.
    """

    def __init__(
        self,
        members: Sequence[int],
        monitor: Monitor,
        stopping: Sequence[EarlyStopping] = (),
    ) -> None:
        self.members = tuple(members)
        self.monitor = monitor
        self.stopping = tuple(stopping)
        self._told = -math.inf
        count = len(members)
        self.history: list[dict[str, Any]] = []
        self.best: list[float | None] = [None] * count
        self.best_epochs: list[int | None] = [None] * count
        self.failed_at: list[int] = [0] * count
        self.stopped_at: list[int] = [0] * count

    def attach(self, engine: Engine) -> None:
        """Subscribe, after everything that adds metrics."""
        engine.attach_handler(Events.STARTED | Events.RESUMED, self._start)
        engine.attach_handler(Events.EPOCH_COMPLETED, self._look, needs=(EPOCH_METRICS,))

    def state(self) -> dict[str, Any]:
        """What must survive a restart."""
        return {
            "history": [dict(row) for row in self.history],
            "best": list(self.best),
            "best_epochs": list(self.best_epochs),
            "failed_at": list(self.failed_at),
            "stopped_at": list(self.stopped_at),
            "stopping": [hook.state() for hook in self.stopping],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state()` returned.

        Raises:
            ValueError: it is that of other members.
        """
        if len(state["best"]) != len(self.members):
            raise ValueError(f"expected {len(self.members)} members, found {len(state['best'])}")
        self.history = [dict(row) for row in state["history"]]
        self.best, self.best_epochs = list(state["best"]), list(state["best_epochs"])
        self.failed_at, self.stopped_at = list(state["failed_at"]), list(state["stopped_at"])
        for hook, said in zip(self.stopping, state["stopping"], strict=True):
            hook.restore(said)

    def only(self, places: Sequence[int]) -> dict[str, Any]:
        """The state of those members alone, at these places."""
        whole = self.state()
        found = {name: [whole[name][place] for place in places] for name in _EACH}
        if self.stopping:
            found["stopping"] = [whole["stopping"][place] for place in places]
        return {"history": [], "stopping": [], **found}

    def trains(self) -> np.ndarray:
        """Who still does, bool `[M]`."""
        return np.array(
            [not f and not s for f, s in zip(self.failed_at, self.stopped_at, strict=True)]
        )

    def _start(self, engine: Engine) -> None:
        self._stop_if_over(engine)

    def _look(self, engine: Engine) -> None:
        members = engine.state.train_state
        epoch = engine.state.epoch
        before = self.trains()
        failed = np.asarray(members.failed_at)
        for place in np.flatnonzero(before & (failed > 0)):
            self.failed_at[place] = int(failed[place])
            logger.warning(
                "member %d: iteration %d was not finite; it rests, the others go on",
                self.members[place],
                failed[place],
            )
        figures = {n: np.asarray(v) for n, v in engine.state.metrics.items() if np.ndim(v) == 1}
        self._remember(epoch, engine.state.iteration, figures)
        better = self._compare(epoch, figures)
        engine.state.train_state = with_verdict(members, better, self.trains())
        self._tell(epoch)
        self._stop_if_over(engine)

    def _tell(self, epoch: int) -> None:
        """How far it is, not more often than somebody could read it."""
        now = time.monotonic()
        if now - self._told < _SECONDS:
            return
        self._told = now
        known = [place for place, value in enumerate(self.best) if value is not None]
        best = "no good figure yet"
        if known:
            order = [(rank(self.best[place], self.monitor.direction), place) for place in known]
            place = min(order)[1]
            best = (
                f"best {self.monitor.name} {self.best[place]:.4g}, of member {self.members[place]}"
            )
        logger.info(
            "epoch %d of %d members (%d to %d), %d of which train: %s",
            epoch,
            len(self.members),
            self.members[0],
            self.members[-1],
            int(self.trains().sum()),
            best,
        )

    def _remember(self, epoch: int, iteration: int, figures: dict[str, np.ndarray]) -> None:
        trains = self.trains()
        row: dict[str, Any] = {"epoch": epoch, "iteration": iteration}
        row["members"] = list(self.members)
        for name, values in figures.items():
            row[name] = [
                float(v) if t and np.isfinite(v) else None
                for v, t in zip(values, trains, strict=True)
            ]
        self.history.append(row)

    def _compare(self, epoch: int, figures: dict[str, np.ndarray]) -> np.ndarray:
        """Whose best epoch it was, bool `[M]`; who has waited long enough is stopped."""
        better = np.zeros(len(self.members), bool)
        self.monitor.read(dict.fromkeys(figures, 0.0))  # or it says which there are
        row = self.history[-1]
        for place in np.flatnonzero(self.trains()):
            value = row[self.monitor.name][place]
            if self.monitor.improves(value, self.best[place]):
                better[place] = True
                self.best[place], self.best_epochs[place] = value, epoch
            self._wait(int(place), epoch, row)
        return better

    def _wait(self, place: int, epoch: int, row: dict[str, Any]) -> None:
        if not self.stopping:
            return
        hook = self.stopping[place]
        values = {n: v[place] for n, v in row.items() if isinstance(v, list) and n != "members"}
        hook.take({n: math.nan if v is None else v for n, v in values.items()}, epoch)
        if hook.is_over:
            self.stopped_at[place] = epoch

    def _stop_if_over(self, engine: Engine) -> None:
        if not self.trains().any():
            engine.terminate()
