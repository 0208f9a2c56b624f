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
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from jaxtrain.direction import Direction
from jaxtrain.sweeps.config import SweepConfig
from jaxtrain.sweeps.ledger import AskedMember, Row


class Searcher(Protocol):
    """Asks for members, and is told what has become of them."""

    def ask(self, *, first: int, count: int) -> list[AskedMember]:
        """Up to `count` members, from the number `first` on; none where there are to be no more."""
        ...

    def tell(self, asked: Sequence[AskedMember], rows: Sequence[Row]) -> None:
        """What has become of members; twice the same is no error."""
        ...


class GridSearch:
    """Every combination, the last key changing fastest."""

    def __init__(self, sweep: SweepConfig) -> None:
        self._sweep = sweep

    def ask(self, *, first: int, count: int) -> list[AskedMember]:
        """The next combinations."""
        chosen = itertools.islice(self._sweep.space.grid(), first, first + count)
        return [
            AskedMember(member=first + place, values=values) for place, values in enumerate(chosen)
        ]

    def tell(self, asked: Sequence[AskedMember], rows: Sequence[Row]) -> None:
        """Nothing follows from it."""


class RandomSearch:
    """Each member drawn by itself: of the sweep's seed and its number, nothing else."""

    def __init__(self, sweep: SweepConfig) -> None:
        self._sweep = sweep

    def ask(self, *, first: int, count: int) -> list[AskedMember]:
        """The next draws."""
        end = min(first + count, self._sweep.members)
        return [
            AskedMember(member=member, values=self._drawn(member)) for member in range(first, end)
        ]

    def tell(self, asked: Sequence[AskedMember], rows: Sequence[Row]) -> None:
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
