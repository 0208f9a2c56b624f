"""Lowers the learning rate of a run that has stopped getting better.

    trainer.attach(ReduceOnPlateau(monitor="val/loss", factor=0.1, patience=10))

As torch.optim.lr_scheduler.ReduceLROnPlateau, with its numbers. The rate is changed in the
optimizer's state, between two epochs; that, and the count, stand in every checkpoint.
"""

from __future__ import annotations

import logging
import reprlib
from typing import Annotated, Any, Literal

import pydantic

from jaxtrain.engine import Engine, Events
from jaxtrain.errors import ConfigError
from jaxtrain.hooks.monitor import Monitor
from jaxtrain.hooks.registry import EPOCH_METRICS, HOOKS
from jaxtrain.hooks.rows import is_figure
from jaxtrain.metrics import Mode
from jaxtrain.optim import learning_rate, refuse_fixed_rate, with_learning_rate
from jaxtrain.tracking import is_count

logger = logging.getLogger(__name__)

# A smaller change is none, as in PyTorch.
_SMALLEST_CHANGE = 1e-8


@HOOKS.register("reduce_on_plateau")
class ReduceOnPlateau:
    """Lowers the learning rate after more than `patience` epochs in a row without a better value.

    Epochs that were not validated don't count. A NaN is no improvement.

    Args:
        monitor: the metric that decides.
        mode: "min" where smaller is better, "max" where larger is; "auto" goes by the name
            of the metric (`jaxtrain.metrics.better`).
        factor: what the learning rate is multiplied by.
        patience: how many epochs in a row may fail to improve; the next one that does lowers it.
        cooldown: how many epochs after that do not count.
        min_learning_rate: it goes no lower.
        threshold: by how much a value has to be better to count as that.
        threshold_mode: "relative": by this times the best value; "absolute": by this.

    Raises:
        ConfigError: where a schedule sets the learning rate, or the optimizer keeps none in its
            state; when the run begins, where nobody provides a metric of that name; after the first
            epoch, where it was not there all the same.
    """

    decides = True  # what is learnt: a run with it is another than one without

    def __init__(
        self,
        *,
        monitor: str = "val/loss",
        mode: Mode = "auto",
        factor: Annotated[float, pydantic.Field(gt=0, lt=1)] = 0.1,
        patience: pydantic.NonNegativeInt = 10,
        cooldown: pydantic.NonNegativeInt = 0,
        min_learning_rate: Annotated[float, pydantic.Field(ge=0)] = 0.0,
        threshold: Annotated[float, pydantic.Field(ge=0)] = 1e-4,
        threshold_mode: Literal["relative", "absolute"] = "relative",
    ) -> None:
        self.monitor = Monitor(monitor, mode)
        self.factor = factor
        self.patience = patience
        self.cooldown = cooldown
        self.min_learning_rate = min_learning_rate
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.best: float | None = None
        self.waited = 0  # epochs since the best one, a reduction or the end of a cooldown
        self.cooling = 0  # epochs that do not count yet

    def attach(self, engine: Engine) -> None:
        """Subscribe, after everything that adds metrics.

        Raises:
            ConfigError: the learning rate can't be changed.
        """
        self._refuse_fixed(engine)
        engine.attach_handler(Events.STARTED | Events.RESUMED, self._start)
        engine.attach_handler(Events.EPOCH_COMPLETED, self._look, needs=(EPOCH_METRICS,))

    def state(self) -> dict[str, Any]:
        """What must survive a restart."""
        return {"best": self.best, "waited": self.waited, "cooling": self.cooling}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state()` returned.

        Raises:
            ValueError: it is not that.
        """
        best, waited, cooling = state["best"], state["waited"], state["cooling"]
        counts = all(count == 0 or is_count(count) for count in (waited, cooling))
        if not ((best is None or is_figure(best)) and counts):
            raise ValueError(f"expected what state() gave, found {reprlib.repr(state)}")
        self.best, self.waited, self.cooling = best, waited, cooling

    def _start(self, engine: Engine) -> None:
        self.monitor.require(engine)
        if engine.state.iteration == 0:  # begun anew
            self.best, self.waited, self.cooling = None, 0, 0

    def _look(self, engine: Engine) -> None:
        metrics = engine.state.metrics
        seen = self.best is not None or self.waited > 0 or self.cooling > 0
        if seen and self.monitor.name not in metrics:
            return  # an epoch without validation
        value = self.monitor.read(metrics)
        if self._improves(value):
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        if self.cooling:
            self.cooling -= 1
            self.waited = 0
        if self.waited > self.patience:
            self._reduce(engine)
            self.cooling, self.waited = self.cooldown, 0

    def _improves(self, value: float) -> bool:
        best, smaller = self.best, self.monitor.direction == "min"
        if best is None:
            return value == value and value != (float("inf") if smaller else float("-inf"))
        relative = self.threshold_mode == "relative"
        if smaller:
            return value < (best * (1 - self.threshold) if relative else best - self.threshold)
        return value > (best * (1 + self.threshold) if relative else best + self.threshold)

    def _reduce(self, engine: Engine) -> None:
        train_state = engine.state.train_state
        old = float(learning_rate(train_state.opt_state))  # type: ignore[arg-type]
        new = max(old * self.factor, self.min_learning_rate)
        if old - new <= _SMALLEST_CHANGE:
            return
        opt_state = with_learning_rate(train_state.opt_state, new)
        engine.state.train_state = train_state.replace(opt_state=opt_state)
        logger.info(
            "epoch %d: learning rate lowered from %.6g to %.6g; %s has not improved on %.6g",
            engine.state.epoch,
            old,
            new,
            self.monitor.name,
            float("nan") if self.best is None else self.best,
        )

    def _refuse_fixed(self, engine: Engine) -> None:
        opt_state = getattr(engine.state.train_state, "opt_state", None)
        if opt_state is None:
            raise ConfigError(
                "hook reduce_on_plateau: expected an engine with a TrainState, which has an "
                f"opt_state; found {reprlib.repr(engine.state.train_state)}"
            )
        try:
            refuse_fixed_rate(opt_state)
        except ConfigError as error:
            raise ConfigError(f"hook reduce_on_plateau: {error}") from error
