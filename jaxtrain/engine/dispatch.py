"""One step on the device: the user's step and the metric updates, compiled together.

`Dispatch` owns what lives on the device between two iterations: the metric states and the watch
for the first non-finite step. The engine above it counts and fires; it never touches an array.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxtrain.engine.state import EngineState
from jaxtrain.metrics import Metric

Step = Callable[[Any, Any], tuple[Any, Any]]


class Dispatch:
    """Runs steps and keeps the metric states.

    Args:
        step: `(train_state, batch) -> (train_state, output)`, pure. None for a host engine, which
            hands in outputs that its own process function made.
        metrics: the metrics to update after each step, by name.
    """

    def __init__(self, step: Step | None, metrics: Mapping[str, Metric]) -> None:
        self._step = step
        self._metrics = metrics
        self._copy = jax.jit(lambda tree: jax.tree.map(jnp.copy, tree))
        self._advance: Callable[..., Any] | None = None
        self._reads_only = False
        self._update = jax.jit(self._update_metrics)
        self.metric_states: dict[str, Any] = {}
        self._watch: Any = None
        self._watch_from = 0
        self.reset_metrics()

    def reset_metrics(self) -> None:
        """Empty every metric, as at the start of an epoch."""
        # A copy, since the buffers are donated and `empty` may use one array twice.
        self.metric_states = self._copy({n: m.empty() for n, m in self._metrics.items()})

    def compute_metrics(self) -> dict[str, float]:
        """The metrics' figures, fetched in one transfer."""
        values = {n: m.compute(self.metric_states[n]) for n, m in self._metrics.items()}
        fetched = jax.device_get(values)  # sorted by name, as jax does with every dict
        return {n: fetched[n].item() if fetched[n].ndim == 0 else fetched[n] for n in self._metrics}

    def start_watch(self, iteration: int) -> None:
        """Look for non-finite steps among those after `iteration`."""
        self._watch = {"seen": jnp.int32(0), "first": jnp.int32(0)}
        self._watch_from = iteration

    def first_nonfinite(self) -> int | None:
        """The first iteration whose output said `finite: False`. Waits for the device."""
        first = int(jax.device_get(self._watch["first"]))
        return self._watch_from + first if first else None

    def step(self, state: EngineState, batch: Any) -> None:
        """Run one step and put its output into `state`."""
        if self._advance is None:
            self._compile(state._train_state, batch)
        assert self._advance is not None
        train_state = state._train_state
        if state._shared and not self._reads_only:
            # Somebody else may hold these buffers; the next line gives them away.
            train_state = self._copy(train_state)
        new_state, self.metric_states, self._watch, output = self._advance(
            train_state, self.metric_states, self._watch, batch
        )
        if not self._reads_only:
            state._train_state, state._shared = new_state, False
        state.output = output

    def update(self, output: Any) -> None:
        """Update the metrics with an output that was made elsewhere."""
        if self._metrics:
            self.metric_states = self._update(self.metric_states, output)

    def _update_metrics(self, metric_states: dict[str, Any], output: Any) -> dict[str, Any]:
        return {n: m.update(metric_states[n], output) for n, m in self._metrics.items()}

    def _compile(self, train_state: Any, batch: Any) -> None:
        step = self._step
        assert step is not None
        self._reads_only = _passes_state_through(step, train_state, batch)

        def advance(train_state: Any, metric_states: Any, watch: Any, batch: Any) -> Any:
            new_state, output = step(train_state, batch)
            seen = watch["seen"] + 1
            first = watch["first"]
            if isinstance(output, dict) and "finite" in output:
                first = jnp.where((first == 0) & ~output["finite"], seen, first)
            watch = {"seen": seen, "first": first}
            kept = None if self._reads_only else new_state
            return kept, self._update_metrics(metric_states, output), watch, output

        # An evaluation step only reads the state: giving its buffers away would lose them.
        self._advance = jax.jit(advance, donate_argnums=(1, 2) if self._reads_only else (0, 1, 2))


def _passes_state_through(step: Step, train_state: Any, batch: Any) -> bool:
    """Whether the step returns the very state that it was given, as an evaluation step does."""
    traced = jax.make_jaxpr(step)(train_state, batch).jaxpr
    leaves = len(jax.tree.leaves(train_state))
    return list(traced.outvars[:leaves]) == list(traced.invars[:leaves])
