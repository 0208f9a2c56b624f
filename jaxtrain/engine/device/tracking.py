"""Windows: mean, smallest, largest and last value of an output, kept on the device until read.

    trainer.track("loss", "grad_norm")
    ...
    trainer.tracked()["loss"]         # {"mean": 0.31, "min": 0.2, "max": 0.9, "last": 0.22}

A handler that logs every 100 iterations so sees all of them, for one transfer.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from jaxtrain.errors import DataError
from jaxtrain.metrics import Sum


def empty_window() -> dict[str, Any]:
    """The window that has seen nothing."""
    return {
        "count": jnp.zeros((), jnp.int32),
        "sum": Sum.of(0.0),
        "min": jnp.full((), jnp.inf, jnp.float32),
        "max": jnp.full((), -jnp.inf, jnp.float32),
        "last": jnp.full((), jnp.nan, jnp.float32),
    }


def update_window(window: dict[str, Any], output: Any, name: str) -> dict[str, Any]:
    """The window that has also seen `output[name]`, a scalar."""
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


def read_window(window: Any) -> dict[str, float]:
    """The figures of a window that was fetched; NaN where nothing was seen."""
    count = int(window["count"])
    if not count:
        return dict.fromkeys(("mean", "min", "max", "last"), float("nan"))
    return {
        "mean": (float(window["sum"].total) + float(window["sum"].error)) / count,
        **{name: float(window[name]) for name in ("min", "max", "last")},
    }
