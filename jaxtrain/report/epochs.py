"""Questions to ask of a history: rows of one dict an epoch, as `hooks.History.epochs` holds them.

    epochs = [{"epoch": 1, "iteration": 900, "train/loss": 0.3, "val/loss": 0.2}, ...]
    column(epochs, "val/loss")           # ([1, 2, ...], [0.2, ...])
    best(epochs, "val/loss")             # the row of the best epoch

An epoch that was not validated simply lacks the `val/` keys.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from jaxtrain.direction import Mode, better, rank

Epochs = Sequence[Mapping[str, int | float]]


def column(epochs: Epochs, name: str) -> tuple[list[int], list[float]]:
    """The epochs that have a finite value of `name`, and those values.

    >>> column([{"epoch": 1, "a": 0.5}, {"epoch": 2}, {"epoch": 3, "a": float("nan")}], "a")
    ([1], [0.5])
    """
    rows = [row for row in epochs if math.isfinite(row.get(name, math.nan))]
    return [int(row["epoch"]) for row in rows], [float(row[name]) for row in rows]


def best(epochs: Epochs, name: str, mode: Mode = "auto") -> Mapping[str, int | float] | None:
    """The row with the best value of `name`, the earliest among equals; None if no row has one.

    NaN is no value. It is the epoch whose checkpoint `best` names: both ask `jaxtrain.metrics`.

    >>> best([{"epoch": 1, "a": 0.5}, {"epoch": 2, "a": 0.4}, {"epoch": 3, "a": 0.4}], "a")
    {'epoch': 2, 'a': 0.4}
    """
    rows = [row for row in epochs if not math.isnan(row.get(name, math.nan))]
    direction = better(name, mode)
    return min(rows, key=lambda row: rank(row[name], direction), default=None)
