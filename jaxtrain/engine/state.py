"""EngineState: where a run stands, as handlers see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


class Interrupted(Exception):
    """Raised by a handler of EPOCH_COMPLETED that can't finish, since the run is to stop.

    The engine then stands where it stood before the event, which the continued run fires anew.
    """


@dataclass
class EngineState:
    """Where a run stands. Counting follows Ignite: epoch and iteration are 1 during the first.

    Attributes:
        epoch: epochs begun.
        iteration: iterations begun, over all epochs.
        epoch_iteration: iterations begun in this epoch.
        max_epochs: epochs at which the run is over, or None where `max_iters` says it.
        max_iters: iterations at which the run is over, or None.
        epoch_length: iterations an epoch, or None until the first epoch of an iterator ends.
        epoch_open: True between EPOCH_STARTED and EPOCH_COMPLETED.
        times: seconds that the last epoch ("EPOCH_COMPLETED") and the run ("COMPLETED") took.
        stopped: "terminate", "interrupt" or "failed" where that ended the run, "" otherwise.
    """

    epoch: int = 0
    iteration: int = 0
    epoch_iteration: int = 0
    max_epochs: int | None = None
    max_iters: int | None = None
    epoch_length: int | None = None
    epoch_open: bool = False
    times: dict[str, float] = field(default_factory=dict)
    stopped: str = ""
    _train_state: Any = field(default=None, repr=False)
    _shared: bool = field(default=True, repr=False)
    _output: Any = field(default=None, repr=False)
    _look: Callable[[], Any] | None = field(default=None, repr=False)
    _metrics: dict[str, Any] = field(default_factory=dict, repr=False)
    _fetch: Callable[[], dict[str, Any]] | None = field(default=None, repr=False)
    _on_output: Callable[[], None] | None = field(default=None, repr=False)

    @property
    def output(self) -> Any:
        """What the last step gave; arrays stay on the device until somebody reads them."""
        if self._on_output is not None:
            self._on_output()
        return self._output

    @property
    def batch(self) -> Any:
        """What the last step was given, or, before the step, what it is about to be given."""
        return None if self._look is None else self._look()

    @property
    def metrics(self) -> dict[str, Any]:
        """The figures of the last completed epoch, by name. Fetched when they are first read."""
        fetch, self._fetch = self._fetch, None
        if fetch is not None:
            self._metrics |= fetch()
        return self._metrics

    @metrics.setter
    def metrics(self, value: dict[str, Any]) -> None:
        self._metrics, self._fetch = value, None

    @property
    def train_state(self) -> Any:
        """The TrainState after the last step; assigning another takes effect at the next one.

        Whoever reads it may keep it: before the engine gives its buffers away to the next step,
        it copies a state that somebody has seen.
        """
        self._shared = True
        return self._train_state

    @train_state.setter
    def train_state(self, value: Any) -> None:
        self._shared = True
        self._train_state = value

    COUNTERS = ("epoch", "iteration", "epoch_iteration", "epoch_open", "epoch_length", "stopped")

    def counters(self) -> dict[str, Any]:
        """The part that a resumed run needs, as plain JSON values."""
        return {name: getattr(self, name) for name in self.COUNTERS} | {
            "metrics": {n: v if np.ndim(v) == 0 else v.tolist() for n, v in self.metrics.items()}
        }

    def restore(self, counters: dict[str, Any]) -> None:
        """Take up what `counters()` gave."""
        for name in self.COUNTERS:
            setattr(self, name, counters[name])
        self.metrics = dict(counters["metrics"])

    def is_over(self) -> bool:
        """Whether nothing is left to do: terminated, or all epochs or iterations are done."""
        if self.stopped in ("terminate", "failed"):
            return True
        if self.max_iters is not None and self.iteration >= self.max_iters:
            return not self.epoch_open
        return self.max_epochs is not None and self.epoch >= self.max_epochs and not self.epoch_open
