"""What the commands over runs have to say of one.

    facts = Facts(record)
    facts.monitor, facts.best, facts.epochs          # "val/loss", 0.21, 10
    facts.as_json()                                  # what `runs list --json` says of it

A run may be of an older version, torn, or somebody's own: what it does not say is None or empty.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from jaxtrain.cli.runs_config import changed
from jaxtrain.direction import Direction, better, rank
from jaxtrain.tracking import RunRecord, is_count

_USUAL = ("val/loss", "loss", "train/loss")


@dataclass(frozen=True)
class Curve:
    """A metric over the run; only what is finite counts.

    Attributes:
        steps: iterations, or steps of an axis of somebody's own.
        values: one a step, at least one.
        direction: which way it is better.
    """

    steps: list[int]
    values: list[float]
    direction: Direction

    @property
    def at(self) -> int:
        """Where the best value is, the earliest among equals."""
        return min(range(len(self.values)), key=lambda at: rank(self.values[at], self.direction))

    @property
    def best(self) -> float:
        """The best value."""
        return self.values[self.at]

    @property
    def last(self) -> float:
        """The last value."""
        return self.values[-1]


@dataclass(frozen=True)
class Facts:
    """A run, asked for what people want to know.

    Attributes:
        record: the run.
    """

    record: RunRecord

    @property
    def state(self) -> str:
        """The status in a word: without what it has failed of."""
        return self.record.status.partition(":")[0]

    @cached_property
    def time(self) -> datetime | None:
        """When its metadata was written: at its begin, and at its end."""
        try:
            found = datetime.fromisoformat(str(self.record.metadata.get("time")))
            return found.astimezone()
        except (ValueError, OverflowError, OSError):
            return None

    @property
    def epochs(self) -> int:
        """How many are over."""
        return self._most("epoch", [r for r in self.record.rows if r.get("event") == "epoch"])

    @property
    def planned(self) -> int | None:
        """How many epochs its config wants."""
        train = self.record.config.get("train")
        epochs = train.get("epochs") if isinstance(train, dict) else None
        return epochs if is_count(epochs) else None

    @property
    def steps(self) -> int:
        """Iterations, or steps that somebody has logged at."""
        return max(self._most(key, self.record.rows) for key in ("iteration", "step"))

    @cached_property
    def monitor(self) -> str | None:
        """The metric that says how good it is; where nobody has said which, a loss."""
        checkpoint = self.record.config.get("checkpoint")
        said = [
            self.record.summary.get("monitor"),
            checkpoint.get("monitor") if isinstance(checkpoint, dict) else None,
        ]
        for name in (*said, *_USUAL, *self.record.names):
            if isinstance(name, str) and self.curve(name):
                return name
        return next((name for name in said if isinstance(name, str)), None)

    def curve(self, name: str) -> Curve | None:
        """A metric over the run; None where it has no finite value."""
        steps, values = self.record.series(name)
        finite = [(s, v) for s, v in zip(steps, values, strict=True) if math.isfinite(v)]
        if not finite:
            return None
        return Curve([s for s, _ in finite], [v for _, v in finite], self._direction(name))

    @cached_property
    def monitored(self) -> Curve | None:
        """That of the monitor."""
        return None if self.monitor is None else self.curve(self.monitor)

    @cached_property
    def figures(self) -> dict[str, float]:
        """The last value of everything, and what metrics.json says; only what is finite."""
        figures, lost = self.record.figures, self.record.lost
        return {n: v for n, v in figures.items() if math.isfinite(v) and n not in lost}

    @property
    def told(self) -> str:
        """The state, and whether the monitor has ended in NaN or Inf."""
        return f"{self.state}, NaN" if self.monitor in self.record.lost else self.state

    @cached_property
    def changed(self) -> dict[str, Any]:
        """What its config has that is not the default, by dotted keys."""
        return changed(self.record)

    @property
    def metrics(self) -> list[str]:
        """What there are curves of that can be better or worse: not the scalars of single steps."""
        events = ("epoch", "log")
        rows = [row for row in self.record.rows if row.get("event") in events]
        return [name for name in self.record.names if any(name in row for row in rows)]

    def as_json(self) -> dict[str, Any]:
        """What `runs list --json` says of a run; JSON values, none of them NaN."""
        curve = self.monitored
        return {
            "id": self.record.id,
            "project": self.record.project,
            "path": str(self.record.path),
            "status": self.record.status,
            "tags": list(self.record.tags),
            "time": None if self.time is None else self.time.isoformat(),
            "epochs": self.epochs,
            "planned_epochs": self.planned,
            "steps": self.steps,
            "monitor": self.monitor,
            "direction": None if self.monitor is None else self._direction(self.monitor),
            "best": None if curve is None else curve.best,
            "best_step": None if curve is None else curve.steps[curve.at],
            "last": None if curve is None else curve.last,
            "changed": self.changed,
            "figures": self.figures,
            "lost": self.record.lost,
        }

    @staticmethod
    def _most(key: str, rows: Sequence[Mapping[str, Any]]) -> int:
        return max((row[key] for row in rows if is_count(row.get(key))), default=0)

    def _direction(self, name: str) -> Direction:
        checkpoint = self.record.config.get("checkpoint")
        if isinstance(checkpoint, dict) and checkpoint.get("monitor") == name:
            mode = checkpoint.get("mode")
            return better(name, mode if mode in ("min", "max") else "auto")
        return better(name)


def number(value: float) -> str:
    """A figure as `hooks.console` shows it, which would bring JAX along; a whole number as it is.

    >>> number(0.123456), number(12345.678), number(1500), number(1.5e-7)
    ('0.1235', '12,345.7', '1,500', '1.500e-07')
    """
    if isinstance(value, int):
        return f"{value:,}"
    if 1e4 <= abs(value) < 1e9:
        return f"{value:,.1f}"
    plain = value == 0 or 1e-3 <= abs(value) < 1e4
    return f"{value:.4f}" if plain else f"{value:.3e}"


def print_json(document: Mapping[str, Any]) -> None:
    """One document on the standard output, and NaN, which a config may hold, as null."""
    print(json.dumps(_finite(document), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
