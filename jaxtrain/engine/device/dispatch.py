"""Steps on the device: the user's step and the metric updates, compiled together, one or many.

`Dispatch` owns what lives on the device between two events: metric states, the windows of tracked
outputs, and the watch for the first non-finite step. The engine above it counts and fires; it
never touches an array.

The fused form is a loop whose length is an argument. One executable so runs every length, and the
lengths cannot change a bit of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.engine.batches.source import Window
from jaxtrain.engine.device.compiler import compiler_options
from jaxtrain.engine.device.form import Form, choose_form
from jaxtrain.engine.device.reads import fetch
from jaxtrain.engine.device.tracking import empty_window, read_window, update_window
from jaxtrain.engine.state import EngineState
from jaxtrain.metrics import Metric

Step = Callable[[Any, Any], tuple[Any, Any]]


class Dispatch:
    """Runs steps and keeps the metric states.

    Args:
        step: `(train_state, batch) -> (train_state, output)`, pure. None for a host engine, which
            hands in outputs that its own process function made.
        metrics: the metrics to update after each step, by name.
        tracked: the scalars of the output to keep a window of.
    """

    def __init__(
        self, step: Step | None, metrics: Mapping[str, Metric[Any]], tracked: tuple[str, ...]
    ) -> None:
        self._step = step
        self._metrics = dict(metrics)
        self._tracked = tracked
        # Compiled, since an array made from a Python number is a transfer that one must wait for.
        self._empty = jax.jit(lambda: {n: m.empty() for n, m in self._metrics.items()})
        self._empty_windows = jax.jit(lambda: {name: empty_window() for name in tracked})
        self._compute = jax.jit(
            lambda states: {n: m.compute(states[n]) for n, m in self._metrics.items()}
        )
        self._update = jax.jit(self._update_metrics)
        self._copy = jax.jit(lambda tree: jax.tree.map(jnp.copy, tree))
        self._single: Any = None
        self._options: dict[str, Any] | None = None
        self._loops: dict[Callable[..., Any], Any] = {}
        self._shapes: list[Any] = []
        self._places: dict[tuple[int, int], jax.Array] = {}
        self.reads_only = False
        self.compilations = 0
        self.metric_states: dict[str, Any] = self._empty()
        self.windows: dict[str, Any] = self._empty_windows()
        self._watch: Any = None
        self._watch_from = 0

    # -- between two events --------------------------------------------------------------------

    def reset_metrics(self) -> None:
        """Empty every metric, as at the start of an epoch."""
        self.metric_states = self._empty()

    def compute_metrics(self) -> Callable[[], dict[str, Any]]:
        """Begin to compute the figures; the function that comes back fetches them, all at once."""
        values = self._compute(self.metric_states)

        def read() -> dict[str, Any]:
            fetched = fetch(values)  # sorted by name, as jax does with every dict
            plain = {n: v.item() if v.ndim == 0 else v for n, v in fetched.items()}
            return {name: plain[name] for name in self._metrics}

        return read

    def read_windows(self) -> dict[str, dict[str, float]]:
        """Mean, min, max and last of what is tracked since this was last read; one transfer."""
        found = {name: read_window(w) for name, w in fetch(self.windows).items()}
        self.windows = self._empty_windows()
        return found

    def start_watch(self, iteration: int) -> None:
        """Look for non-finite steps among those after `iteration`."""
        self._watch = jax.device_put({"seen": np.int32(0), "first": np.int32(0)})
        self._watch_from = iteration

    def first_nonfinite(self) -> int | None:
        """The first iteration whose output said `finite: False`. Waits for the device."""
        if self._watch is None:  # nothing ran yet
            return None
        first = int(jax.device_get(self._watch["first"]))
        return self._watch_from + first if first else None

    # -- steps ---------------------------------------------------------------------------------

    def choose_form(self, train_state: Any, batch: Any) -> Form:
        """The form that the rule gives this step, here."""
        assert self._step is not None
        traced = jax.make_jaxpr(self._step)(train_state, batch)
        return choose_form(traced.jaxpr, jax.default_backend())

    def run(self, state: EngineState, window: Window) -> tuple[Any, str]:
        """Run the steps of a window and put the last output into `state`.

        Returns:
            An array that is there when they are done, and where the batch's shapes were new and
            the step had to be compiled again, what changed.
        """
        changed = self._note_shapes(window)
        train_state = state._train_state
        if not self._ready:
            self._prepare(train_state, self._batch_shapes(window))
        if state._shared and not self.reads_only:
            # Somebody else may hold these buffers; the dispatch gives them away.
            train_state = self._copy(train_state)
        carry = self.metric_states, self.windows, self._watch
        if window.get is None:
            # The batch may come from the host: this transfer is meant.
            with jax.transfer_guard_host_to_device("allow"):
                result = self._single(train_state, carry, window.data)
        else:
            loop = self._loops.get(window.get) or self._compile_loop(window.get)
            place = self._place(window.start, window.length)
            result = loop(train_state, carry, window.data, place)
        new_state, (self.metric_states, self.windows, self._watch), output, token = result
        if not self.reads_only:
            state._train_state, state._shared = new_state, False
        state._output = output
        return token, changed

    def compiled(self, train_state: Any, window: Window) -> Any:
        """The executable for a window, compiled but not run; shapes are enough for the state."""
        if not self._ready:
            self._prepare(train_state, self._batch_shapes(window))
        carry = self.metric_states, self.windows, self._watch
        if window.get is None:
            return self._single.lower(train_state, carry, window.data).compile()
        loop = self._loops.get(window.get) or self._compile_loop(window.get)
        place = self._place(window.start, window.length)
        return loop.lower(train_state, carry, window.data, place).compile()

    def update(self, output: Any) -> None:
        """Update metrics and windows with an output that was made elsewhere."""
        if self._metrics or self._tracked:
            with jax.transfer_guard_host_to_device("allow"):
                self.metric_states, self.windows = self._update(
                    self.metric_states, self.windows, output
                )

    def _update_metrics(self, metric_states: Any, windows: Any, output: Any) -> Any:
        return (
            {n: m.update(metric_states[n], output) for n, m in self._metrics.items()},
            {name: update_window(windows[name], output, name) for name in self._tracked},
        )

    def _body(self, train_state: Any, carry: Any, batch: Any) -> Any:
        """One step: everything that happens on the device in an iteration."""
        assert self._step is not None
        metric_states, windows, watch = carry
        new_state, output = self._step(train_state, batch)
        metric_states, windows = self._update_metrics(metric_states, windows, output)
        seen, first = watch["seen"] + 1, watch["first"]
        if isinstance(output, dict) and "finite" in output:
            first = jnp.where((first == 0) & ~output["finite"], seen, first)
        return new_state, (metric_states, windows, {"seen": seen, "first": first}), output

    # -- compiling -----------------------------------------------------------------------------

    @property
    def _ready(self) -> bool:
        return self._single is not None

    def _prepare(self, train_state: Any, batch: Any) -> None:
        step = self._step
        assert step is not None
        traced = jax.make_jaxpr(step)(train_state, batch).jaxpr
        self.reads_only = _passes_through(traced, len(jax.tree.leaves(train_state)))
        self._options = compiler_options(traced, jax.default_backend())
        given, (returned, _) = train_state, jax.eval_shape(step, train_state, batch)
        _refuse_changed_state(given, returned)

        def single(train_state: Any, carry: Any, batch: Any) -> Any:
            new_state, carry, output = self._body(train_state, carry, batch)
            return self._kept(new_state), carry, output, carry[2]["seen"] + 0

        self._single = self._jit(single)

    def _jit(self, function: Callable[..., Any]) -> Any:
        return jax.jit(function, donate_argnums=self._donated, compiler_options=self._options)

    @property
    def _donated(self) -> tuple[int, ...]:
        # A step that only reads the state keeps its buffers: giving them away would lose them.
        return (1,) if self.reads_only else (0, 1)

    def _kept(self, new_state: Any) -> Any:
        return None if self.reads_only else new_state

    def _compile_loop(self, get: Callable[..., Any]) -> Any:
        def loop(train_state: Any, carry: Any, data: Any, place: jax.Array) -> Any:
            start, length = place[0], place[1]
            first = get(data, start)
            shapes = jax.eval_shape(self._body, train_state, carry, first)[2]
            nothing = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

            def once(i: jax.Array, values: Any) -> Any:
                now, carry, _ = values
                # A state that is only read is no part of what goes round.
                current = train_state if self.reads_only else now
                new_state, carry, output = self._body(current, carry, get(data, start + i))
                return self._kept(new_state), carry, output

            begin = self._kept(train_state), carry, nothing
            new_state, carry, output = jax.lax.fori_loop(0, length, once, begin)
            return new_state, carry, output, carry[2]["seen"] + 0

        self._loops[get] = self._jit(loop)
        return self._loops[get]

    def _place(self, start: int, length: int) -> jax.Array:
        """Where a window lies, as an array on the device; the same few come up every epoch."""
        found = self._places.get((start, length))
        if found is None:
            if len(self._places) >= 4096:
                self._places.clear()
            found = jax.device_put(np.array([start, length], np.int32))
            self._places[start, length] = found
        return found

    def _batch_shapes(self, window: Window) -> Any:
        if window.get is None:
            return window.data
        return jax.eval_shape(window.get, window.data, jax.ShapeDtypeStruct((), np.int32))

    def _note_shapes(self, window: Window) -> str:
        """What is new about the shapes of a window's data, or "" where they were seen before."""
        leaves = jax.tree.leaves(window.data)
        shapes = [(window.get, *((np.shape(x), getattr(x, "dtype", None)) for x in leaves))]
        if shapes[0] in self._shapes:
            return ""
        self._shapes.append(shapes[0])
        self.compilations += 1
        if self.compilations == 1:
            return ""
        old, new = self._shapes[-2], self._shapes[-1]
        paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(window.data)]
        differences = [
            f"{jax.tree_util.keystr(path)}: {_show(a)} -> {_show(b)}"
            for path, a, b in zip(paths, old[1:], new[1:], strict=False)
            if a != b
        ]
        return ", ".join(differences) or "another structure of batch"


def _show(shape_and_dtype: Any) -> str:
    shape, dtype = shape_and_dtype
    return f"{dtype}{list(shape)}"


def _passes_through(jaxpr: Any, count: int) -> bool:
    """Whether a step returns the very state it was given, as its first `count` arguments."""
    return list(jaxpr.outvars[:count]) == list(jaxpr.invars[:count])


def _refuse_changed_state(given: Any, returned: Any) -> None:
    """A state that changes its shape would be compiled anew for ever, or not fit into a loop."""
    before = {jax.tree_util.keystr(p): x for p, x in jax.tree_util.tree_leaves_with_path(given)}
    after = {jax.tree_util.keystr(p): x for p, x in jax.tree_util.tree_leaves_with_path(returned)}
    problems = [f"{path} is gone" for path in before.keys() - after.keys()]
    problems += [f"{path} is new" for path in after.keys() - before.keys()]
    for path in before.keys() & after.keys():
        was, now = (
            (tuple(np.shape(x)), str(x.dtype) if hasattr(x, "dtype") else type(x).__name__)
            for x in (before[path], after[path])
        )
        if was != now:
            problems.append(f"{path}: {_show(was)} becomes {_show(now)}")
    if problems:
        raise TypeError(
            "a step must return a state of the same structure, shapes and dtypes as it was given:\n"
            "  " + "\n  ".join(sorted(problems))
        )
