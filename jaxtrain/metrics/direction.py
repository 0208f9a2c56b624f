"""Which way a metric is better.

    better("val/loss")                   # "min"
    better("val/accuracy")               # "max"
    better("val/accuracy", "min")        # "min": who says so has the last word

What picks a best epoch (the checkpoints, early stopping, the reports) asks here.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

Direction: TypeAlias = Literal["min", "max"]
Mode: TypeAlias = Literal["auto", "min", "max"]


def better(name: str, mode: Mode = "auto") -> Direction:
    """Whether a small ("min") or a large ("max") value of the metric called `name` is better.

    Args:
        name: as in `engine.state.metrics`; what stands before the last `/` does not matter.
        mode: "min" or "max" is the answer; "auto" is "max" for an accuracy, which a metric is
            whose last part has that word in it, and "min" for everything else.

    >>> better("val/accuracy"), better("top5_accuracy"), better("accuracy/loss"), better("val/f1")
    ('max', 'max', 'min', 'min')
    """
    if mode != "auto":
        return mode
    return "max" if "accuracy" in name.rpartition("/")[2].split("_") else "min"
