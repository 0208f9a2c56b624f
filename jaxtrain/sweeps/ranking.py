"""Which member is best, in which order the others follow, and which key it hung on.

ranked(rows)[0], best_row(rows)                  # None where no member has a value
importance(rows).shares                          # {"optimizer.learning_rate": 0.91, ...}
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxtrain.direction import Mode, better, rank
from jaxtrain.sweeps.ledger import Row

MEMBERS = 10
"""With fewer members nothing is said of importance, nor with fewer than three a key."""

_A_KEY = 3
_TREES = 64


@dataclass(frozen=True)
class Importance:
    """How much of what differs between the members hung on each key.

    Attributes:
        shares: by key, the largest first; they sum to 1. Empty where nothing can be said.
        said: how it was found, or why it was not.
    """

    shares: Mapping[str, float] = field(default_factory=dict)
    said: str = ""


def ranked(rows: Sequence[Row], mode: Mode = "auto") -> list[Row]:
    """The best member first; of equals the earlier one; those without a value last."""
    return sorted(rows, key=lambda row: (rank(row.value, better(row.monitor, mode)), row.member))


def best_row(rows: Sequence[Row], mode: Mode = "auto") -> Row | None:
    """The best member; None where none has a value."""
    first = next(iter(ranked(rows, mode)), None)
    return None if first is None or first.value is None else first


def importance(rows: Sequence[Row], *, seed: int = 0) -> Importance:
    """The mean decrease of impurity by each key, in a random forest that is to tell the monitor.

    As Optuna's `MeanDecreaseImpurityImportanceEvaluator` (64 trees; Breiman 2001, "Random Forests",
    Machine Learning 45; as a share of variance: Louppe et al. 2013, "Understanding variable
    importances in forests of randomized trees"), but of the members' ranks instead of their values:
    one that ran away to a loss of 1e6 would else be all of the variance. A number is a column of
    the forest; anything else is one a choice, and their shares are summed.

    Only what was trained alike is compared: members that came to their end, or, where some were
    cut, all of them by their value at the first rung. With few members a key without any influence
    still gets a share, the more the more values it has: read it as a hint.

    Args:
        rows: of the members that are over.
        seed: of the forest; the same gives the same shares.
    """
    known, at = _compared(rows)
    keys = sorted({key for row, _ in known for key in row.values})
    needed = max(MEMBERS, _A_KEY * len(keys))
    if len(known) < needed:
        return Importance(
            said=f"no importance of keys: expected {needed} members or more with a value {at}, "
            f"found {len(known)}"
        )
    _, places = np.unique([value for _, value in known], return_inverse=True)
    if places.max() == 0:
        return Importance(said=f"no importance of keys: all members have the same value {at}")
    columns: list[list[float]] = []
    owners: list[str] = []
    for key in keys:
        made = _encoded([row.values.get(key) for row, _ in known])
        columns += made
        owners += [key] * len(made)
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(n_estimators=_TREES, random_state=seed)
    forest.fit(np.asarray(columns).T, places)
    shares = dict.fromkeys(keys, 0.0)
    for owner, share in zip(owners, forest.feature_importances_, strict=True):
        shares[owner] += float(share)
    return Importance(
        shares=dict(sorted(shares.items(), key=lambda item: -item[1])),
        said=f"mean decrease of impurity in a random forest of {_TREES} trees over the ranks of "
        f"{len(known)} members {at}; a hint: with few members a key without influence gets a share",
    )


def _compared(rows: Sequence[Row]) -> tuple[list[tuple[Row, float]], str]:
    """The members that were trained alike, their values, and when that was, in words."""
    first = min((row.rungs[0][0] for row in rows if row.rungs), default=None)
    if first is not None and any(row.status == "cut" for row in rows):
        known = [
            (row, value)
            for row in rows
            for epoch, value in row.rungs
            if epoch == first and value is not None
        ]
        return known, f"at the first rung, epoch {first}"
    known = [
        (row, row.value)
        for row in rows
        if row.status in ("finished", "stopped") and row.value is not None
    ]
    return known, "at their best epoch"


def _encoded(values: Sequence[Any]) -> list[list[float]]:
    """The columns that a key is: one of numbers, or one a choice."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return [[float(value) for value in values]]
    told = [json.dumps(value, sort_keys=True) for value in values]
    return [[float(one == choice) for one in told] for choice in sorted(set(told))]
