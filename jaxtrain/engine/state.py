"""EngineState: where a run stands, as handlers see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from jaxtrain.errors import ConfigError


class View(Protocol):
    """What of a run is not counters: what its last step gave, and the state after it."""

    @property
    def output(self) -> Any:
        """What the last step gave."""

    @property
    def train_state(self) -> Any:
        """The state after the last step."""

    @train_state.setter
    def train_state(self, value: Any) -> None: ...


@dataclass
class EngineState:
    """Where a run stands. Counting follows Ignite: epoch and iteration are 1 during the first.

    Attributes:
        view: what lives on the device, as it may be looked at.
        epoch: epochs begun.
        iteration: iterations begun, over all epochs.
        epoch_iteration: iterations begun in this epoch.
        max_epochs: epochs at which the run is over, or None where `max_iters` says it.
        max_iters: iterations at which the run is over, or None.
        epoch_length: iterations an epoch, or None until the first epoch of an iterator ends.
        epoch_open: True between EPOCH_STARTED and EPOCH_COMPLETED.
        epoch_cut: whether `terminate_epoch()` has ended the open epoch.
        started: whether STARTED was fired.
        stopped: "terminate", "interrupt" or "failed" where that ended the run, "" otherwise.
        user: JSON values of your own; they are part of every snapshot, and so of checkpoints.
        times: seconds that the last epoch ("EPOCH_COMPLETED") and the run ("COMPLETED") took.
    """

    view: View = field(repr=False)
    epoch: int = 0
    iteration: int = 0
    epoch_iteration: int = 0
    max_epochs: int | None = None
    max_iters: int | None = None
    epoch_length: int | None = None
    epoch_open: bool = False
    epoch_cut: bool = False
    started: bool = False
    stopped: str = ""
    user: dict[str, Any] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)
    _look: Callable[[], Any] | None = field(default=None, repr=False)
    _metrics: dict[str, Any] = field(default_factory=dict, repr=False)
    _fetch: Callable[[], dict[str, Any]] | None = field(default=None, repr=False)

    @property
    def output(self) -> Any:
        """What the last step gave: of a pure step its scalars, read when they are asked for.

        Arrays are there where `engine.keep` has declared that somebody reads them.
        """
        return self.view.output

    @property
    def batch(self) -> Any:
        """What the last step was given, or, before the step, what it is about to be given."""
        return None if self._look is None else self._look()

    @property
    def metrics(self) -> dict[str, Any]:
        """The figures of the last completed epoch, by name. Fetched when they are first read."""
        if self._fetch is not None:
            # Forgotten only when it is done: a Ctrl-C may come while it waits for the device.
            self._metrics |= self._fetch()
            self._fetch = None
        return self._metrics

    @metrics.setter
    def metrics(self, value: dict[str, Any]) -> None:
        self._metrics, self._fetch = value, None

    @property
    def train_state(self) -> Any:
        """The TrainState after the last step; assigning another takes effect at the next one.

        Whoever reads it may keep it, from whatever thread: before the engine gives its buffers
        away to the next step, it copies a state that somebody has seen.
        """
        return self.view.train_state

    @train_state.setter
    def train_state(self, value: Any) -> None:
        self.view.train_state = value

    # -- for the engine ------------------------------------------------------------------------

    def look_at(self, look: Callable[[], Any]) -> None:
        """From now on `batch` is what `look` gives."""
        self._look = look

    def will_be(self, fetch: Callable[[], dict[str, Any]]) -> None:
        """An epoch is over: its figures are what `fetch` gives, once somebody reads them."""
        self._fetch = fetch

    COUNTERS = (
        "epoch",
        "iteration",
        "epoch_iteration",
        "max_epochs",
        "max_iters",
        "epoch_length",
        "epoch_open",
        "epoch_cut",
        "started",
        "stopped",
    )

    def counters(self) -> dict[str, Any]:
        """The part that a resumed run needs, as plain JSON values."""
        return {name: getattr(self, name) for name in self.COUNTERS} | {
            "metrics": {
                name: np.asarray(value).tolist() if hasattr(value, "dtype") else value
                for name, value in self.metrics.items()
            }
        }

    def restore(self, counters: dict[str, Any]) -> None:
        """Take up what `counters()` gave."""
        missing = [name for name in (*self.COUNTERS, "metrics") if name not in counters]
        if missing:
            raise ConfigError(f"not the counters of a run: {', '.join(missing)} is missing")
        for name in self.COUNTERS:
            setattr(self, name, counters[name])
        self.metrics = {
            name: np.asarray(value) if isinstance(value, list) else value
            for name, value in counters["metrics"].items()
        }

    def reset(self) -> None:
        """Stand before the first iteration; the TrainState and what is the user's own stay."""
        fresh = EngineState(self.view)
        for name in self.COUNTERS:
            setattr(self, name, getattr(fresh, name))
        self.metrics = {}

    def is_over(self) -> bool:
        """Whether all epochs or iterations that were asked for are done."""
        if self.max_iters is not None and self.iteration >= self.max_iters:
            return not self.epoch_open
        return self.max_epochs is not None and self.epoch >= self.max_epochs and not self.epoch_open
