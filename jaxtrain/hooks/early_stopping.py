"""Ends a run that has stopped getting better, or is as good as it has to be.

    trainer.attach(EarlyStopping(monitor="val/loss", patience=5))
    trainer.attach(EarlyStopping(monitor="val/accuracy", patience=20, target=0.98))

The count goes on where it stood when a run is resumed.
"""

from __future__ import annotations

import logging
import reprlib
from collections.abc import Mapping
from typing import Annotated, Any

import pydantic

from jaxtrain.engine import Engine, Events
from jaxtrain.hooks.monitor import Monitor
from jaxtrain.hooks.registry import EPOCH_METRICS, HOOKS
from jaxtrain.hooks.rows import is_figure
from jaxtrain.metrics import Mode
from jaxtrain.tracking import is_count

logger = logging.getLogger(__name__)


@HOOKS.register("early_stopping")
class EarlyStopping:
    """Terminates after `patience` epochs in a row without a better value, or at a `target`.

    Epochs that were not validated don't count. A NaN is no improvement.

    Args:
        monitor: the metric that decides.
        patience: how many epochs in a row it may fail to improve.
        mode: "min" where smaller is better, "max" where larger is; "auto" goes by the name
            of the metric (`jaxtrain.metrics.better`).
        min_delta: a value has to be better by more than this.
        target: the run ends with the first epoch whose value is as good as this, or better.

    Raises:
        ConfigError: when the run begins, where nobody provides a metric of that name; after the
            first epoch, where it was not there all the same.
    """

    def __init__(
        self,
        *,
        monitor: str = "val/loss",
        patience: pydantic.PositiveInt = 5,
        mode: Mode = "auto",
        min_delta: Annotated[float, pydantic.Field(ge=0)] = 0.0,
        target: float | None = None,
    ) -> None:
        self.monitor = Monitor(monitor, mode, min_delta)
        self.patience = patience
        self.target = target
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.waited = 0  # epochs since the best one

    def attach(self, engine: Engine) -> None:
        """Subscribe, after everything that adds metrics."""
        engine.attach_handler(Events.STARTED | Events.RESUMED, self._start)
        engine.attach_handler(Events.EPOCH_COMPLETED, self._look, needs=(EPOCH_METRICS,))

    def state(self) -> dict[str, Any]:
        """What must survive a restart."""
        return {"best": self.best, "best_epoch": self.best_epoch, "waited": self.waited}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state()` returned.

        Raises:
            ValueError: it is not that.
        """
        best, best_epoch, waited = state["best"], state["best_epoch"], state["waited"]
        if not (
            (best is None or is_figure(best))
            and (best_epoch is None or is_count(best_epoch))
            and (waited == 0 or is_count(waited))
        ):
            raise ValueError(f"expected what state() gave, found {reprlib.repr(state)}")
        self.best, self.best_epoch, self.waited = best, best_epoch, waited

    def _start(self, engine: Engine) -> None:
        self.monitor.require(engine)
        if engine.state.iteration == 0:  # begun anew
            self.best, self.best_epoch, self.waited = None, None, 0
        # A run that was stopped early and is started again must not train one epoch more.
        self._stop_if_over(engine)

    def _look(self, engine: Engine) -> None:
        self.take(engine.state.metrics, engine.state.epoch)
        self._stop_if_over(engine)

    def take(self, metrics: Mapping[str, float], epoch: int) -> None:
        """The figures of an epoch, whoever has them: of an engine, or of a member of many.

        Raises:
            ConfigError: the monitored one is not there, or is no number.
        """
        seen = self.best is not None or self.waited > 0
        if seen and self.monitor.name not in metrics:
            return  # an epoch without validation
        value = self.monitor.read(metrics)
        # What reaches the target ends the run, so it is the best, by however little.
        if self.monitor.improves(value, self.best) or self._is_there(value):
            self.best, self.best_epoch, self.waited = value, epoch, 0
        else:
            self.waited += 1

    @property
    def is_over(self) -> bool:
        """Whether what was taken is enough to stop."""
        return self._is_there(self.best) or self.waited >= self.patience

    def _is_there(self, value: float | None) -> bool:
        if value is None or self.target is None:
            return False
        return self.monitor.reaches(value, self.target)

    def _stop_if_over(self, engine: Engine) -> None:
        if self._is_there(self.best):
            logger.info(
                "stopped: %s is %.6g, and %.6g was to be reached (epoch %s)",
                self.monitor.name,
                self.best,
                self.target,
                self.best_epoch,
            )
            engine.terminate()
        elif self.waited >= self.patience:
            best = "no value yet" if self.best is None else f"{self.best:.6g}"
            logger.info(
                "stopped early: %s has not improved for %d epochs (best: %s, epoch %s)",
                self.monitor.name,
                self.waited,
                best,
                self.best_epoch,
            )
            engine.terminate()
