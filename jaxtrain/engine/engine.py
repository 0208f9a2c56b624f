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
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import jax
import numpy as np

from jaxtrain.engine.dispatch import Dispatch
from jaxtrain.engine.emitter import Emitter
from jaxtrain.engine.events import Events
from jaxtrain.engine.form import FORMS, Form
from jaxtrain.engine.host_metrics import HostMetric, attach_host_metric
from jaxtrain.engine.pacer import Pacer
from jaxtrain.engine.plan import Plan
from jaxtrain.engine.reads import Reads
from jaxtrain.engine.source import Source, Window, length_of, loader_cursor, peek
from jaxtrain.engine.sources import make_source
from jaxtrain.engine.state import EngineState, Interrupted
from jaxtrain.metrics import Metric

logger = logging.getLogger(__name__)

_EPOCH_COUNTED = {"EPOCH_STARTED", "EPOCH_COMPLETED"}
_ITERATION_COUNTED = {
    "GET_BATCH_STARTED",
    "GET_BATCH_COMPLETED",
    "ITERATION_STARTED",
    "ITERATION_COMPLETED",
}


class Engine(Emitter):
    """Runs a step over batches, epoch by epoch, and fires events.

    All iterations up to the next one that a handler observes run as one dispatch.

    Args:
        step: with `state`, a pure step `(train_state, batch) -> (train_state, output)`; the
            engine compiles it. Without, a process function `(engine, batch) -> output`.
        state: the TrainState to begin with. It stays usable: the engine works on its own copy.
        form: "single" (a dispatch a step) or "scanned" (a loop of steps on the device); by
            default a rule chooses (see `form.py`). A restored run keeps the form it had.
        dispatch_seconds: about how long a dispatch may take, and so how late at most a signal, or
            a handler `every_seconds`, is seen.
    """

    def __init__(
        self,
        step: Callable[..., Any],
        state: Any = None,
        *,
        form: Form | None = None,
        dispatch_seconds: float = 0.5,
    ) -> None:
        super().__init__()
        if form is not None and form not in FORMS:
            raise ValueError(f"form: expected one of {', '.join(FORMS)}, found {form!r}")
        self._pure = state is not None
        self._process = step
        self.form: Form | None = form
        self._pinned = form is not None
        self._pacer = Pacer(dispatch_seconds)
        self._metrics: dict[str, Metric[Any]] = {}
        self._host_metrics: list[str] = []
        self._tracked: tuple[str, ...] = ()
        self._dispatch: Dispatch | None = None
        self._plan = Plan(self._handlers)
        self._source: Source | None = None
        self._source_loader: Any = None
        self._continues = False
        self._scalars: dict[str, Any] | None = None
        self._stop = ""
        self._stop_epoch = False
        self._waiting = False
        self._broken_off = False
        self.hooks: dict[str, Any] = {}
        self._reads = Reads()
        self.state = EngineState()
        self.state.train_state = state
        self.state._on_output = lambda: self._reads.note(self._running, self.state.iteration)

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

    # -- stopping ------------------------------------------------------------------------------

    def terminate(self) -> None:
        """End the run after the current event."""
        self._stop = "terminate"

    def terminate_epoch(self) -> None:
        """End the epoch after the current event; the run goes on with the next."""
        self._stop_epoch = True

    def interrupt(self) -> None:
        """Leave `run` after the current event, so that the next `run` continues there.

        Safe to call from a signal handler. Before a run it is heeded when that begins; after
        `terminate()` it changes nothing.
        """
        self._stop = self._stop or "interrupt"

    def interrupt_waiting(self) -> None:
        """As `interrupt`, and leave a loader that a batch is being waited for; for signal handlers.

        Raises:
            Interrupted: in the main thread, where the run waits for a loader that has a cursor.
                The run catches it.
        """
        self.interrupt()
        if self._waiting:
            self._waiting = False
            raise Interrupted

    def _count(self, name: str) -> int:
        if name in _ITERATION_COUNTED:
            return self.state.iteration
        if name in _EPOCH_COUNTED:
            return self.state.epoch
        return super()._count(name)

    # -- reading -------------------------------------------------------------------------------

    def scalars(self) -> dict[str, Any]:
        """The scalars of `state.output` as Python numbers, in one transfer an iteration."""
        if self._scalars is None:
            output = self.state.output
            named = output if isinstance(output, dict) else {}
            small = {k: v for k, v in named.items() if np.shape(v) == ()}
            self._scalars = {k: np.asarray(v).item() for k, v in jax.device_get(small).items()}
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

    @property
    def stopping(self) -> bool:
        """Whether the run was asked to stop; a loader or hook that waits looks at it."""
        return bool(self._stop)

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

    @property
    def _dispatched(self) -> Dispatch:
        """The device side, made when it is first needed: metrics are added before that."""
        if self._dispatch is None:
            step = self._process if self._pure else None
            self._dispatch = Dispatch(step, self._metrics, self._tracked)
        return self._dispatch

    # -- running -------------------------------------------------------------------------------

    def run(
        self,
        loader: Iterable[Any],
        *,
        max_epochs: int | None = None,
        max_iters: int | None = None,
        epoch_length: int | None = None,
        state: Any = None,
    ) -> EngineState:
        """Run the step over the loader's batches.

        A run that was interrupted or restored continues where it stood, and one that is over goes
        on where more epochs or iterations are asked for than it has done; otherwise, and after an
        exception, it begins anew, with the TrainState that it has.

        Args:
            loader: an iterable of batches; each `iter()` gives what is left of an epoch.
            max_epochs: epochs to do in all. One, where neither this nor `max_iters` is given.
            max_iters: iterations to do in all; the epoch that they end in ends with them.
            epoch_length: iterations an epoch, where it is not the loader's own length.
            state: a TrainState to put in the place of the present one.

        Returns:
            `engine.state`.
        """
        if max_epochs is not None and max_iters is not None:
            raise ValueError("expected max_epochs or max_iters, found both")
        if epoch_length is not None and epoch_length < 1:
            raise ValueError(f"epoch_length: expected at least 1, found {epoch_length}")
        now = self.state
        now.max_iters = max_iters
        now.max_epochs = 1 if max_epochs is None and max_iters is None else max_epochs
        if now.stopped == "interrupt":
            now.stopped = ""
        elif now.is_over() and not self._continues:
            now.restore(EngineState().counters())
            if self._source is not None:
                self._source.rewind()
        if state is not None:
            now.train_state = state
        # An empty loader counts as one of unknown length: asking it for a batch is an error.
        now.epoch_length = epoch_length or length_of(loader) or None
        # A stop that was asked for just before, by a signal perhaps, stays asked for.
        self._stop_epoch, self._scalars, self._continues = False, None, False
        began = time.perf_counter()
        try:
            self._dispatched.start_watch(now.iteration)
            self._loop(loader)
        except BaseException as error:
            self._at_rest.clear()
            now.stopped = "failed"
            if not any(r is True for r in self.fire(Events.EXCEPTION_RAISED, error)):
                raise
        finally:
            if self._source is not None:
                self._source.close()
                if now.stopped != "interrupt":
                    self._source.rewind()
            self._stop = ""
            now.times["COMPLETED"] = time.perf_counter() - began
        return now

    def _loop(self, loader: Iterable[Any]) -> None:
        """The loop: every event in its place."""
        state, dispatch = self.state, self._dispatched
        self._pacer.begin()
        self.fire(Events.STARTED)
        while not state.is_over() and not self._stop:
            began = time.perf_counter()
            if not state.epoch_open:
                state.epoch += 1
                state.epoch_iteration = 0
                state.epoch_open = True
                self._stop_epoch = False  # asked for after the last one had ended
                dispatch.reset_metrics()
                self.fire(Events.EPOCH_STARTED)
            self._epoch(loader)
            if self._stop_epoch and not self._stop:
                self._stop_epoch = False
                self.fire(Events.TERMINATE_EPOCH)
            if self._stop:
                break
            state._fetch = dispatch.compute_metrics()
            state.times["EPOCH_COMPLETED"] = time.perf_counter() - began
            state.epoch_open = False
            try:
                self.fire(Events.EPOCH_COMPLETED)
            except Interrupted:
                # Some handlers ran, some did not: the continued run fires the event anew.
                state.epoch_open = True
                self._stop = "interrupt"
        if self._stop == "interrupt":
            state.stopped = "interrupt"
            self.fire(Events.INTERRUPT)
            return
        if self._stop == "terminate":
            state.stopped = "terminate"
            self.fire(Events.TERMINATE)
        self.fire(Events.COMPLETED)

    def _epoch(self, loader: Iterable[Any]) -> None:
        """Dispatches until the epoch ends or somebody stops it; events where they are observed."""
        state = self.state
        while self._epoch_goes_on():
            self.fire(Events.GET_BATCH_STARTED)
            window = self._take(loader, *self._lengths())
            if window is None:
                if not self._broken_off:
                    state.epoch_length = state.epoch_iteration
                break
            state._look = partial(window.look, window.start)
            self.fire(Events.GET_BATCH_COMPLETED)
            state.iteration += 1
            state.epoch_iteration += 1
            self.fire(Events.ITERATION_STARTED)
            self._iterate(window)
            # The iterations between were observed by nobody: no event was due in them.
            state.iteration += window.length - 1
            state.epoch_iteration += window.length - 1
            state._look = partial(window.look, window.start + window.length - 1)
            self.fire(Events.ITERATION_COMPLETED)

    def _epoch_goes_on(self) -> bool:
        state = self.state
        if self._stop or self._stop_epoch:
            return False
        if state.max_iters is not None and state.iteration >= state.max_iters:
            return False
        return state.epoch_length is None or state.epoch_iteration < state.epoch_length

    def _lengths(self) -> tuple[int, int | None]:
        """How many iterations the next dispatch may do, and how many the epoch still wants."""
        state = self.state
        wanted = None if state.epoch_length is None else state.epoch_length - state.epoch_iteration
        if state.max_iters is not None:
            left = state.max_iters - state.iteration
            wanted = left if wanted is None else min(wanted, left)
        limit = self._pacer.limit(state.iteration)
        cut = self._plan.next_cut(state.iteration)
        if cut is not None:
            limit = min(limit, cut.iteration - state.iteration)
        return (limit if wanted is None else min(limit, wanted)), wanted

    def _take(self, loader: Iterable[Any], limit: int, wanted: int | None) -> Window | None:
        """The next batches; None where the end of the loader is the end of the epoch, too."""
        state = self.state
        for _ in range(2):
            window = self._wait_for(loader, limit, wanted)
            if window is not None:
                return window
            if self._broken_off or (state.epoch_length is None and state.epoch_iteration > 0):
                return None
        raise ValueError(
            f"the loader gave no batch for iteration {state.iteration + 1}; it is empty, or an "
            "iterator that can be used only once"
        )

    def _wait_for(self, loader: Iterable[Any], limit: int, wanted: int | None) -> Window | None:
        """Ask the source; a signal may end the waiting, but only where no batch can be lost."""
        self._broken_off = False
        try:
            self._waiting = hasattr(loader, "restore")
            window = self._source_of(loader).take(limit, wanted)
            self._waiting = False
        except Interrupted:
            self._broken_off = True
            if self._source is not None:
                self._source.put_back()
            return None
        return window

    def _source_of(self, loader: Iterable[Any]) -> Source:
        """Where the loader's batches come from; kept, since it may hold arrays on the device."""
        if self._source is None or self._source_loader is not loader:
            begun = None
            if self._pure and self.form is None:
                example, begun = peek(loader)
                self.form = self._dispatched.choose_form(self.state._train_state, example)
            self._source = make_source(loader, self.form or "single", begun)
            self._source_loader = loader
        return self._source

    def _iterate(self, window: Window) -> None:
        self._scalars = None
        dispatch = self._dispatched
        if self._pure:
            token, changed = dispatch.run(self.state, window)
            self._pacer.launched(token, window.length)
            if changed:
                self.fire(Events.RECOMPILED, changed)
        else:
            self.state._output = self._process(self, window.data)
            dispatch.update(self.state._output)
