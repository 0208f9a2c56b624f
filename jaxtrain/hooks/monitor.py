"""A metric that decides something: which epoch was the best, when to stop.

    monitor = Monitor("val/accuracy")            # larger is better; see jaxtrain/direction.py
    value = monitor.read(engine.state.metrics)
    if monitor.improves(value, best):
        best = value

Early stopping and the best checkpoint compare in the same way because both use it.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from jaxtrain.engine import Engine
from jaxtrain.errors import ConfigError, did_you_mean
from jaxtrain.hooks.history import History
from jaxtrain.hooks.registry import EPOCH_METRICS
from jaxtrain.metrics import Direction, Mode, better, improves


@dataclass(frozen=True)
class Monitor:
    """One metric of `engine.state.metrics`, and which way is better."""

    name: str  # for instance "val/loss"
    mode: Mode = "auto"  # "min": smaller is better; "auto": by the name
    min_delta: float = 0.0  # a change has to be larger than this to count

    def __post_init__(self) -> None:
        if self.mode not in ("auto", "min", "max"):
            raise ConfigError(f"mode: expected 'auto', 'min' or 'max', found {self.mode!r}")
        if not self.min_delta >= 0:
            raise ConfigError(f"min_delta: expected a number of at least 0, found {self.min_delta}")

    @property
    def direction(self) -> Direction:
        """What `mode` comes to: "min" where smaller is better, "max" where larger is."""
        return better(self.name, self.mode)

    def require(self, engine: Engine) -> None:
        """Raise where nobody provides the metric; a run need not first go through an epoch.

        A handler that adds to `engine.state.metrics` says so when it is attached:
        `provides=(EPOCH_METRICS, "its/name")`.

        Raises:
            ConfigError: naming the metrics that there are.
        """
        known = {*engine.metric_names, *engine.provided} - {EPOCH_METRICS, History.PROVIDES}
        if self.name not in known:
            raise ConfigError(
                f"monitor: no metric is called {self.name!r}{did_you_mean(self.name, known)} "
                f"(this run has: {', '.join(sorted(known)) or 'none'}; a handler that adds one "
                "names it in provides=)"
            )

    def read(self, metrics: Mapping[str, float]) -> float:
        """Its value.

        Raises:
            ConfigError: where there is no such metric, naming those that there are; or it is no
                number, as a confusion matrix is none.
        """
        if self.name not in metrics:
            raise ConfigError(
                f"monitor: no metric is called {self.name!r}{did_you_mean(self.name, metrics)} "
                f"(this run has: {', '.join(sorted(metrics)) or 'none'})"
            )
        value = metrics[self.name]
        if np.ndim(value) != 0:
            raise ConfigError(
                f"monitor: {self.name!r} is no number that could be better or worse, but "
                f"{reprlib.repr(value)}"
            )
        return value

    def reaches(self, value: float, bound: float) -> bool:
        """Whether `value` is as good as `bound`, or better; a NaN is not.

        >>> Monitor("val/loss").reaches(0.5, 0.5), Monitor("val/accuracy").reaches(0.4, 0.5)
        (True, False)
        """
        return value <= bound if self.direction == "min" else value >= bound

    def improves(self, value: float | None, best: float | None) -> bool:
        """Whether `value` is better than `best`, as `jaxtrain.metrics.improves` says.

        >>> Monitor("val/loss", min_delta=0.1).improves(0.45, 0.5)
        False
        """
        return improves(value, best, self.direction, min_delta=self.min_delta)
