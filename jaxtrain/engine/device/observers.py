"""Observers: what looks at every output on the device: metrics, windows, and the watch.

The watch notes the first step that said `finite: False`, so that no step has to be waited for.
Between two dispatches all that they have seen is one packed tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.engine.device.packing import Packed, Packing
from jaxtrain.engine.device.window import empty_window, update_window
from jaxtrain.metrics import Metric


class Observers:
    """Pure functions of what was seen, compiled where they run between dispatches.

    Args:
        metrics: by name.
        windows: for each window, the scalars that it tracks.
    """

    def __init__(
        self, metrics: Mapping[str, Metric[Any]], windows: tuple[tuple[str, ...], ...]
    ) -> None:
        self.metrics = dict(metrics)
        self.windows = windows
        self.packing = Packing.of(jax.eval_shape(self._empty))
        pack, unpack = self.packing.pack, self.packing.unpack
        # Compiled, since an array made from a Python number is a transfer that one must wait for.
        self.empty = jax.jit(lambda: pack(self._empty()))
        self.unpack = jax.jit(unpack)
        self.pack = jax.jit(pack)
        self.see = jax.jit(lambda seen, output: pack(self.update(unpack(seen), output)))
        self.compute = jax.jit(lambda seen: self._compute(unpack(seen)["metrics"]))
        self.without_metrics = jax.jit(
            lambda seen: pack(unpack(seen) | {"metrics": self._empty()["metrics"]})
        )
        self.without_watch = jax.jit(
            lambda seen: pack(unpack(seen) | {"watch": self._empty()["watch"]})
        )
        self.without_step = jax.jit(lambda seen: pack(_without_step(unpack(seen))))
        self.without_window = jax.jit(self._without_window, static_argnums=1)

    def update(self, seen: dict[str, Any], output: Any) -> dict[str, Any]:
        """What was seen, with one more output; to be traced."""
        steps, first = seen["watch"]["seen"] + 1, seen["watch"]["first"]
        if isinstance(output, Mapping) and "finite" in output:
            finite = jnp.all(jnp.asarray(output["finite"]))
            first = jnp.where((first == 0) & ~finite, steps, first)
        return {
            "metrics": {n: m.update(seen["metrics"][n], output) for n, m in self.metrics.items()},
            "windows": [
                {name: update_window(window[name], output, name) for name in names}
                for window, names in zip(seen["windows"], self.windows, strict=True)
            ],
            "watch": {"seen": steps, "first": first},
        }

    def _empty(self) -> dict[str, Any]:
        return {
            "metrics": {name: metric.empty() for name, metric in self.metrics.items()},
            "windows": [{name: empty_window() for name in names} for names in self.windows],
            "watch": {"seen": jnp.zeros((), jnp.int32), "first": jnp.zeros((), jnp.int32)},
        }

    def _compute(self, states: Mapping[str, Any]) -> dict[str, Any]:
        return {name: metric.compute(states[name]) for name, metric in self.metrics.items()}

    def _without_window(self, packed: Packed, number: int) -> Packed:
        seen = self.packing.unpack(packed)
        seen["windows"][number] = self._empty()["windows"][number]
        return self.packing.pack(seen)


def _without_step(seen: dict[str, Any]) -> dict[str, Any]:
    watch = seen["watch"]
    return seen | {"watch": watch | {"seen": watch["seen"] + 1}}


def refuse_unfit(observers: Observers, output: Any) -> None:
    """Find out before anything is compiled whether the observers can see such outputs.

    Args:
        observers: all of them.
        output: shapes and dtypes of what the step gives.

    Raises:
        TypeError: the step was vmapped over a population, whose members metrics would pool; or the
            states that a metric gives change their structure, shapes or dtypes.
    """
    if isinstance(output, Mapping) and observers.metrics:
        for name in ("loss", "loss_sum"):
            shape = np.shape(output[name]) if name in output else ()
            if shape != ():
                raise TypeError(
                    f"the step's {name!r} has shape {shape}, as if it were vmapped over a "
                    f"population; the metrics ({', '.join(observers.metrics)}) would pool its "
                    "members. Compute figures inside the step before it is vmapped, and put them "
                    "out"
                )
    before = jax.eval_shape(observers.unpack, jax.eval_shape(observers.empty))
    after = jax.eval_shape(observers.update, before, output)
    for name in observers.metrics:
        was, now = _kinds(before["metrics"][name]), _kinds(after["metrics"][name])
        if was != now:
            raise TypeError(
                f"metric {name!r}: update must give a state of the structure, shapes and dtypes "
                f"that empty() gives: expected {was}, found {now}"
            )


def _kinds(tree: Any) -> list[str]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [f"{jax.tree_util.keystr(p)}: {x.dtype}{list(x.shape)}" for p, x in leaves]
