"""Who says which values the members have.

    searcher = searcher_of(sweep, directory)
    asked = searcher.ask(batch=0, first=0, count=16)      # what a batch's members are to be
    searcher.tell(asked, rows)                            # what has become of them

What is asked for is a function of the sweep and of what was told, not of the process: a sweep that
was killed asks for the same members again, and one that is made longer has the same first ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from jaxtrain.direction import Direction
from jaxtrain.sweeps.config import SweepConfig


@dataclass(frozen=True)
class Asked:
    """A member as it was asked for.

    Args:
        member: its number in the sweep, from 0.
        values: by dotted key.
        trial: its number in Optuna's study.
    """

    member: int
    values: dict[str, Any]
    trial: int | None = None


class Searcher(Protocol):
    """Asks for members, and is told what has become of them."""

    def ask(self, *, first: int, count: int) -> list[Asked]:
        """Up to `count` members, from the number `first` on; none where there are to be no more."""
        ...

    def tell(self, asked: Sequence[Asked], rows: Sequence[dict[str, Any]]) -> None:
        """What has become of members; twice the same is no error."""
        ...


class GridSearch:
    """Every combination, the last key changing fastest."""

    def __init__(self, sweep: SweepConfig) -> None:
        self._sweep = sweep

    def ask(self, *, first: int, count: int) -> list[Asked]:
        """The next combinations."""
        chosen = itertools.islice(self._sweep.space.grid(), first, first + count)
        return [Asked(first + place, values) for place, values in enumerate(chosen)]

    def tell(self, asked: Sequence[Asked], rows: Sequence[dict[str, Any]]) -> None:
        """Nothing follows from it."""


class RandomSearch:
    """Each member drawn by itself: of the sweep's seed and its number, nothing else."""

    def __init__(self, sweep: SweepConfig) -> None:
        self._sweep = sweep

    def ask(self, *, first: int, count: int) -> list[Asked]:
        """The next draws."""
        end = min(first + count, self._sweep.members)
        return [Asked(member, self._drawn(member)) for member in range(first, end)]

    def tell(self, asked: Sequence[Asked], rows: Sequence[dict[str, Any]]) -> None:
        """Nothing follows from it."""

    def _drawn(self, member: int) -> dict[str, Any]:
        source = np.random.SeedSequence([self._sweep.seed, member])
        return self._sweep.space.draw(np.random.default_rng(source))


def searcher_of(sweep: SweepConfig, directory: Path, direction: Direction) -> Searcher:
    """The searcher that a sweep names.

    Args:
        sweep: names it.
        directory: of the sweep; Optuna's study is there, unless it is to be elsewhere.
        direction: "min" where smaller figures are better.

    Raises:
        ConfigError: Optuna is not installed, or does not know what it is asked for.
    """
    if sweep.search == "grid":
        return GridSearch(sweep)
    if sweep.search == "random":
        return RandomSearch(sweep)
    from jaxtrain.sweeps.optuna_search import OptunaSearch

    return OptunaSearch(sweep, directory, direction)
