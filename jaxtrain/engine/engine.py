"""Engine: the event loop around a step.

    trainer = Engine(train_step, state)         # pure: (state, batch) -> (state, output), jitted
    host = Engine(process)                      # any Python: (engine, batch) -> output
    trainer.add_metrics({"train/loss": Loss()})

    @trainer.on(Events.EPOCH_COMPLETED)
    def report(engine):
        print(engine.state.epoch, engine.state.metrics["train/loss"])

    trainer.run(loader, max_epochs=10)

A loader is any iterable of batches whose `iter()` gives what is left of the current epoch; one
with `cursor()` and `restore()` can be resumed in the middle.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from jaxtrain.engine.batches.source import loader_cursor
from jaxtrain.engine.device.form import Form
from jaxtrain.engine.device.reads import fetch
from jaxtrain.engine.host_metrics import HostMetric, attach_host_metric
from jaxtrain.engine.loop import Loop
from jaxtrain.engine.plan import Plan
from jaxtrain.metrics import Metric

logger = logging.getLogger(__name__)


class Engine(Loop):
    """Runs a step over batches, epoch by epoch, and fires events.

    All iterations up to the next one that a handler observes run as one dispatch.

    Args:
        step: with `state`, a pure step `(train_state, batch) -> (train_state, output)`; the
            engine compiles it. Without, a process function `(engine, batch) -> output`.
        state: the TrainState to begin with. It stays usable: the engine works on its own copy.
        form: "single" (a dispatch a step) or "fused" (a loop of steps on the device); by
            default a rule chooses (see `form.py`). A restored run keeps the form it had.
        dispatch_seconds: about how much work may be on its way to the device, and so how late at
            most a signal, or a handler `every_seconds`, is seen.
    """

    def __init__(
        self,
        step: Callable[..., Any],
        state: Any = None,
        *,
        form: Form | None = None,
        dispatch_seconds: float = 0.5,
    ) -> None:
        super().__init__(step, state, form=form, dispatch_seconds=dispatch_seconds)
        self._pinned = form is not None
        self._host_metrics: list[str] = []
        self.hooks: dict[str, Any] = {}

    # -- what a run is made of ------------------------------------------------------------

    def attach(self, hook: Any, name: str | None = None) -> Any:
        """Let `hook` subscribe its handlers, and keep it: a checkpoint holds its `state()`.

        Args:
            hook: an object with `attach(engine)`.
            name: under which it stands in `engine.hooks`; its class name by default.

        Returns:
            The hook.
        """
        name = name or type(hook).__name__
        if name in self.hooks:
            raise ValueError(f"a hook named {name!r} is attached already; pass name=")
        hook.attach(self)
        self.hooks[name] = hook
        return hook

    def add_metrics(self, metrics: Mapping[str, Metric[Any] | HostMetric]) -> None:
        """Update `metrics` in every iteration; an epoch's figures come in `state.metrics`.

        Pure metrics are updated on the device, inside the dispatch. An object with `reset`,
        `update(output)` and `compute` is updated on the host: every iteration is then a dispatch
        of its own, and is waited for.
        """
        if self._continues or self._running is not None:
            raise ValueError("metrics are added before the run, or before it is restored")
        taken = {*self.metric_names} & metrics.keys()
        if taken:
            raise ValueError(f"metrics named {', '.join(sorted(taken))} are there already")
        for name, metric in metrics.items():
            if isinstance(metric, Metric):
                self._metrics[name] = metric
            else:
                attach_host_metric(self, name, metric)
                self._host_metrics.append(name)
        self._dispatch = None

    @property
    def metric_names(self) -> list[str]:
        """The names under which an epoch's figures come in `state.metrics`."""
        return [*self._metrics, *self._host_metrics]

    def track(self, *names: str) -> None:
        """Keep mean, min, max and last of these scalars of the output, on the device."""
        self._tracked = tuple(dict.fromkeys((*self._tracked, *names)))
        self._dispatch = None

    def tracked(self) -> dict[str, dict[str, float]]:
        """What is tracked, by name: `mean`, `min`, `max` and `last` since this was last called.

        One transfer for all.
        """
        return self._dispatched.read_windows()

    # -- reading -------------------------------------------------------------------------------

    def scalars(self) -> dict[str, Any]:
        """The scalars of `state.output` as Python numbers, in one transfer an iteration."""
        if self._scalars is None:
            output = self.state.output
            named = output if isinstance(output, dict) else {}
            small = {k: v for k, v in named.items() if np.shape(v) == ()}
            self._scalars = {k: np.asarray(v).item() for k, v in fetch(small).items()}
        return self._scalars

    def first_nonfinite(self) -> int | None:
        """The first iteration of this run whose step said `finite: False`, or None.

        Waits for the device.
        """
        return None if self._dispatch is None else self._dispatch.first_nonfinite()

    @property
    def plan(self) -> Plan:
        """Where dispatches end, read off the handlers attached so far."""
        return self._plan

    def compiled(self, loader: Iterable[Any]) -> Any:
        """The executable of a dispatch over `loader`, compiled but not run.

        Its `memory_analysis()` says what it will take. The state may be one of shapes alone. The
        loader's place is left as it was.
        """
        place = loader_cursor(loader)
        self._dispatched.start_watch(0)
        window = self._source_of(loader).take(1, 1) or self._source_of(loader).take(1, 1)
        if window is None:
            raise ValueError("the loader gave no batch")
        result = self._dispatched.compiled(self.state._train_state, window)
        if hasattr(loader, "restore"):
            self._source_of(loader).close()
            loader.restore(place)
            self._source = None
        return result

    @property
    def compilations(self) -> int:
        """How many shapes of batch the step was compiled for so far."""
        return 0 if self._dispatch is None else self._dispatch.compilations

    def cursor(self) -> Any:
        """The cursor of the loader behind the last batch used; None where it has none."""
        return None if self._source is None else self._source.cursor()

    def snapshot(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Where the run stands, but for the loader's cursor.

        Returns:
            Arrays, `{"train_state": ..., "metrics": ..., "windows": ...}`, and a record of JSON
            values, `{"counters": ..., "hooks": ..., "form": ...}`. The arrays are the engine's own
            buffers, which the next step consumes: copy them, or let go of them, before it runs.
        """
        dispatch = self._dispatched
        arrays = {
            "train_state": self.state._train_state,
            "metrics": dispatch.metric_states,
            "windows": dispatch.windows,
        }
        record = {
            "counters": self.state.counters(),
            "fired": dict(self._times_fired),
            "hooks": {name: hook.state() for name, hook in self._stateful_hooks().items()},
            "form": self.form,
        }
        return arrays, record

    def restore(self, arrays: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        """Take up what `snapshot` gave; the next `run` continues there.

        A hook that the record does not know begins afresh, with a warning.
        """
        if self._pinned and record["form"] not in (None, self.form):
            logger.warning(
                "the run was saved in the form %r and goes on as %r: the continuation is not "
                "bit-exact",
                record["form"],
                self.form,
            )
        elif not self._pinned:
            self.form = record["form"]
        self.state.restore(record["counters"])
        self._times_fired.update(record["fired"])
        self.state.train_state = arrays["train_state"]
        self._dispatched.metric_states = arrays["metrics"]
        self._dispatched.windows = arrays["windows"]
        self._continues = True
        own, saved = self._stateful_hooks(), record["hooks"]
        for name in own.keys() & saved.keys():
            own[name].restore(saved[name])
        for name in own.keys() ^ saved.keys():
            what = "begins afresh" if name in own else "is not attached any more"
            logger.warning("hook %r was not the same when the run was saved: it %s", name, what)

    def _stateful_hooks(self) -> dict[str, Any]:
        return {name: hook for name, hook in self.hooks.items() if hasattr(hook, "state")}
