"""Which way a metric is better.

    better("val/loss")                   # "min"
    better("val/accuracy")               # "max", and so are "val/r2" and "val/f1"
    better("val/accuracy", "min")        # "min": who says so has the last word

What picks a best epoch (the checkpoints, early stopping, the reports) asks here. `jaxtrain.metrics`
exports it; it is no part of it, since what only reads the files of runs does without JAX.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

Direction: TypeAlias = Literal["min", "max"]
Mode: TypeAlias = Literal["auto", "min", "max"]

_LARGER_IS_BETTER = frozenset(
    {"accuracy", "r2", "precision", "recall", "f1", "f2", "fbeta", "auc", "auroc", "ap", "map"}
)


def better(name: str, mode: Mode = "auto") -> Direction:
    """Whether a small ("min") or a large ("max") value of the metric called `name` is better.

    Args:
        name: as in `engine.state.metrics`; what stands before the last `/` does not matter.
        mode: "min" or "max" is the answer; "auto" is "max" for a metric whose last part has one of
            the words `accuracy`, `r2`, `precision`, `recall`, `f1`, `f2`, `fbeta`, `auc`, `auroc`,
            `ap` or `map` in it, between underscores, and "min" for everything else.

    >>> better("val/accuracy"), better("top5_accuracy"), better("accuracy/loss"), better("val/f1")
    ('max', 'max', 'min', 'max')
    >>> better("val/roc_auc"), better("val/average_precision"), better("val/perplexity")
    ('max', 'max', 'min')
    >>> better("val/r2_score"), better("val/rmse")
    ('max', 'min')
    """
    if mode != "auto":
        return mode
    words = name.rpartition("/")[2].split("_")
    return "min" if _LARGER_IS_BETTER.isdisjoint(words) else "max"


def rank(value: float | None, direction: Direction) -> float:
    """A key to sort by: the better, the smaller; what is no number, or not there, comes last.

    >>> sorted([0.5, float("nan"), 0.9], key=lambda value: rank(value, "max"))
    [0.9, 0.5, nan]
    """
    if value is None or math.isnan(value):
        return math.inf
    return value if direction == "min" else -value


def improves(
    value: float | None, best: float | None, direction: Direction, *, min_delta: float = 0.0
) -> bool:
    """Whether `value` is better than `best` by more than `min_delta`.

    What is not there or not a number never is; against that, any number is. An equal is not better:
    the first of equals stays the best.

    Args:
        value: the new one.
        best: the best so far; None where there is none yet.
        direction: "min" where smaller is better.
        min_delta: a gain has to be larger than this.

    >>> improves(0.4, 0.5, "min"), improves(0.5, 0.5, "min"), improves(0.5, float("nan"), "min")
    (True, False, True)
    """
    if value is None or math.isnan(value):
        return False
    if best is None or math.isnan(best):
        return True
    return rank(best, direction) - rank(value, direction) > min_delta
