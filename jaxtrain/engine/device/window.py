"""Windows: mean, smallest, largest and last value of an output, kept on the device until read.

    window = trainer.track("loss", "grad_norm")
    ...
    window.read()["loss"]         # {"mean": 0.31, "min": 0.2, "max": 0.9, "last": 0.22}

A handler that logs every 100 iterations so sees all of them, for one transfer. Each window is its
reader's own: what one has read is still there for the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxtrain.errors import DataError
from jaxtrain.metrics import Sum


class Window:
    """What `engine.track` returns: figures of the steps since it was last read.

    Attributes:
        names: what is tracked.
    """

    def __init__(self, names: tuple[str, ...], read: Callable[[int], Any], index: int) -> None:
        self.names = names
        self._read = read
        self._index = index

    def read(self) -> dict[str, dict[str, float]]:
        """By name `mean`, `min`, `max` and `last` since this was last called; NaN of no step.

        One transfer for all. It may be called from any thread.
        """
        return {name: figures(seen) for name, seen in self._read(self._index).items()}


def empty_window() -> dict[str, Any]:
    """What has seen nothing."""
    return {
        "count": jnp.zeros((), jnp.int32),
        "sum": Sum.of(0.0),
        "min": jnp.full((), jnp.inf, jnp.float32),
        "max": jnp.full((), -jnp.inf, jnp.float32),
        "last": jnp.zeros((), jnp.float32),
    }


def update_window(window: dict[str, Any], output: Any, name: str) -> dict[str, Any]:
    """What has also seen `output[name]`, a scalar."""
    if name not in output:
        raise DataError(f"track: the output has no {name!r}, only {', '.join(sorted(output))}")
    value = jnp.asarray(output[name])
    if value.shape != ():
        raise DataError(f"track: expected a scalar, {name!r} has shape {value.shape}")
    value = value.astype(jnp.float32)
    return {
        "count": window["count"] + 1,
        "sum": window["sum"].plus(value),
        "min": jnp.minimum(window["min"], value),
        "max": jnp.maximum(window["max"], value),
        "last": value,
    }


def figures(window: Any) -> dict[str, Any]:
    """The figures of a window that is on the host; NaN where nothing was seen."""
    if np.ndim(window["count"]):  # of many members
        count = np.maximum(window["count"], 1)
        total = window["sum"].total.astype(np.float64) + window["sum"].error
        found = {"mean": total / count, **{n: window[n] for n in ("min", "max", "last")}}
        return {n: np.where(window["count"] > 0, value, np.nan) for n, value in found.items()}
    count = int(window["count"])
    if not count:
        return dict.fromkeys(("mean", "min", "max", "last"), float("nan"))
    return {
        "mean": float((np.float64(window["sum"].total) + window["sum"].error) / count),
        **{name: float(window[name]) for name in ("min", "max", "last")},
    }
