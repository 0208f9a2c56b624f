"""Observers: what looks at every output on the device: metrics, windows, and the watch.

The watch notes the first step that said `finite: False`, so that no step has to be waited for.
Between two dispatches all that they have seen is one packed tree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.engine.device.members import Members
from jaxtrain.engine.device.packing import Packed, Packing
from jaxtrain.engine.device.window import empty_window, update_window
from jaxtrain.metrics import Metric, naming


class Observers:
    """Pure functions of what was seen, compiled where they run between dispatches.

    Args:
        metrics: by name.
        windows: for each window, the scalars that it tracks.
        members: where the outputs are those of many runs at once; `update` is of one all the same.
    """

    def __init__(
        self,
        metrics: Mapping[str, Metric[Any]],
        windows: tuple[tuple[str, ...], ...],
        members: Members | None = None,
    ) -> None:
        self.metrics = dict(metrics)
        self.windows = windows
        self.shapes = jax.eval_shape(self._empty)
        self.packing = Packing.of(self.shapes)
        pack, unpack = self.packing.pack, self.packing.unpack
        # Compiled, since an array made from a Python number is a transfer that one must wait for.
        each = _each(members)
        self.empty = jax.jit(each(lambda: pack(self._empty()), 0))
        self.unpack = jax.jit(unpack)
        self.pack = jax.jit(pack)
        self.see = jax.jit(each(lambda seen, output: pack(self.update(unpack(seen), output)), 2))
        self.compute = jax.jit(each(lambda seen: self._compute(unpack(seen)["metrics"]), 1))
        self.without_metrics = jax.jit(
            each(lambda seen: pack(unpack(seen) | {"metrics": self._empty()["metrics"]}), 1)
        )
        self.without_watch = jax.jit(
            each(lambda seen: pack(unpack(seen) | {"watch": self._empty()["watch"]}), 1)
        )
        self.without_step = jax.jit(lambda seen: pack(_without_step(unpack(seen))))
        self._windows_without = {
            number: jax.jit(each(partial(self._without_window, number), 1))
            for number in range(len(windows))
        }

    def without_window(self, packed: Packed, number: int) -> Packed:
        """What was seen, with this window empty."""
        return self._windows_without[number](packed)

    def update(self, seen: dict[str, Any], output: Any) -> dict[str, Any]:
        """What was seen, with one more output; to be traced."""
        steps, first = seen["watch"]["seen"] + 1, seen["watch"]["first"]
        if isinstance(output, Mapping) and "finite" in output:
            finite = jnp.all(jnp.asarray(output["finite"]))
            first = jnp.where((first == 0) & ~finite, steps, first)
        return {
            "metrics": {n: self._update(n, seen["metrics"][n], output) for n in self.metrics},
            "windows": [
                {name: update_window(window[name], output, name) for name in names}
                for window, names in zip(seen["windows"], self.windows, strict=True)
            ],
            "watch": {"seen": steps, "first": first},
        }

    def _update(self, name: str, state: Any, output: Any) -> Any:
        with naming(name):
            return self.metrics[name].update(state, output)

    def _empty(self) -> dict[str, Any]:
        return {
            "metrics": {name: metric.empty() for name, metric in self.metrics.items()},
            "windows": [{name: empty_window() for name in names} for names in self.windows],
            "watch": {"seen": jnp.zeros((), jnp.int32), "first": jnp.zeros((), jnp.int32)},
        }

    def _compute(self, states: Mapping[str, Any]) -> dict[str, Any]:
        return {name: metric.compute(states[name]) for name, metric in self.metrics.items()}

    def _without_window(self, number: int, packed: Packed) -> Packed:
        seen = self.packing.unpack(packed)
        seen["windows"][number] = self._empty()["windows"][number]
        return self.packing.pack(seen)


def _each(members: Members | None) -> Callable[[Callable[..., Any], int], Callable[..., Any]]:
    """Of each member, together: what was seen is small."""
    if members is None:
        return lambda function, arguments: function
    count = members.count
    return lambda function, arguments: (
        jax.vmap(function, axis_size=count)
        if arguments
        else lambda: jax.vmap(lambda _: function(), axis_size=count)(jnp.zeros(count))
    )


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
                    "members. Give the engine the step of one member, and members=: it vmaps step "
                    "and metrics, and the figures are arrays, one a member"
                )
    before = observers.shapes
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
