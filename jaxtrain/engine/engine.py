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
from typing import Any

import jax
import numpy as np

from jaxtrain.engine.dispatch import Dispatch
from jaxtrain.engine.emitter import Emitter
from jaxtrain.engine.events import Events
from jaxtrain.engine.feed import Feed, length_of
from jaxtrain.engine.state import EngineState
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

    Args:
        step: with `state`, a pure step `(train_state, batch) -> (train_state, output)`; the
            engine compiles it. Without, a process function `(engine, batch) -> output`.
        state: the TrainState to begin with. It stays usable: the engine works on its own copy.
    """

    def __init__(self, step: Callable[..., Any], state: Any = None) -> None:
        super().__init__()
        self._pure = state is not None
        self._process = step
        self._metrics: dict[str, Metric] = {}
        self._dispatch: Dispatch | None = None
        self._continues = False
        self._scalars: dict[str, Any] | None = None
        self._stop = ""
        self._stop_epoch = False
        self.hooks: dict[str, Any] = {}
        self.state = EngineState()
        self.state.train_state = state

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

    def add_metrics(self, metrics: Mapping[str, Metric]) -> None:
        """Update `metrics` in every iteration; an epoch's figures come in `state.metrics`."""
        taken = self._metrics.keys() & metrics.keys()
        if taken:
            raise ValueError(f"metrics named {', '.join(sorted(taken))} are there already")
        self._metrics.update(metrics)
        self._dispatch = None

    @property
    def metric_names(self) -> list[str]:
        """The names under which an epoch's figures come in `state.metrics`."""
        return list(self._metrics)

    # -- stopping ------------------------------------------------------------------------------

    def terminate(self) -> None:
        """End the run after the current event."""
        self._stop = "terminate"

    def terminate_epoch(self) -> None:
        """End the epoch after the current event; the run goes on with the next."""
        self._stop_epoch = True

    def interrupt(self) -> None:
        """Leave `run` after the current event, so that the next `run` continues there.

        Safe to call from a signal handler.
        """
        self._stop = "interrupt"

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
            output = self.state.output if isinstance(self.state.output, dict) else {}
            small = {k: v for k, v in output.items() if np.shape(v) == ()}
            self._scalars = {k: np.asarray(v).item() for k, v in jax.device_get(small).items()}
        return self._scalars

    def first_nonfinite(self) -> int | None:
        """The first iteration of this run whose step said `finite: False`, or None.

        Waits for the device.
        """
        return None if self._dispatch is None else self._dispatch.first_nonfinite()

    def snapshot(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Where the run stands, but for the loader's cursor.

        Returns:
            Arrays, `{"train_state": ..., "metrics": ...}`, and a record of JSON values,
            `{"counters": ..., "hooks": ...}`. The arrays are the engine's own buffers, which the
            next step consumes: copy them, or let go of them, before it runs.
        """
        arrays = {"train_state": self.state._train_state, "metrics": self._dispatched.metric_states}
        hooks = {name: hook.state() for name, hook in self._stateful_hooks().items()}
        return arrays, {"counters": self.state.counters(), "hooks": hooks}

    def restore(self, arrays: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        """Take up what `snapshot` gave; the next `run` continues there.

        A hook that the record does not know begins afresh, with a warning.
        """
        self.state.restore(record["counters"])
        self.state.train_state = arrays["train_state"]
        self._dispatched.metric_states = arrays["metrics"]
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
            self._dispatch = Dispatch(self._process if self._pure else None, self._metrics)
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

        A run that was interrupted or restored continues where it stood; one that is over begins
        anew, with the TrainState that it has.

        Args:
            loader: an iterable of batches; each `iter()` gives what is left of an epoch.
            max_epochs: epochs to do in all. One, where neither this nor `max_iters` is given.
            max_iters: iterations to do in all.
            epoch_length: iterations an epoch, where it is not the loader's own length.
            state: a TrainState to put in the place of the present one.

        Returns:
            `engine.state`.
        """
        if max_epochs is not None and max_iters is not None:
            raise ValueError("expected max_epochs or max_iters, found both")
        state_now = self.state
        state_now.max_iters = max_iters
        state_now.max_epochs = 1 if max_epochs is None and max_iters is None else max_epochs
        if state_now.stopped == "interrupt":
            state_now.stopped = ""
        elif state_now.is_over() and not self._continues:
            state_now.restore(EngineState().counters())
        if state is not None:
            state_now.train_state = state
        state_now.epoch_length = epoch_length or length_of(loader)
        self._prepare()
        began = time.perf_counter()
        feed = Feed(loader)
        try:
            self._loop(feed)
        except BaseException as error:
            self._at_rest.clear()
            if not any(r is True for r in self.fire(Events.EXCEPTION_RAISED, error)):
                raise
        finally:
            feed.close()
            state_now.times["COMPLETED"] = time.perf_counter() - began
        return state_now

    def _prepare(self) -> None:
        self._stop, self._stop_epoch, self._scalars = "", False, None
        self._continues = False
        self._dispatched.start_watch(self.state.iteration)

    def _loop(self, feed: Feed) -> None:
        """The loop: every event in its place."""
        state, dispatch = self.state, self._dispatched
        self.fire(Events.STARTED)
        while not state.is_over() and not self._stop:
            began = time.perf_counter()
            if not state.epoch_open:
                state.epoch += 1
                state.epoch_iteration = 0
                state.epoch_open = True
                dispatch.reset_metrics()
                self.fire(Events.EPOCH_STARTED)
            self._epoch(feed)
            if self._stop_epoch and not self._stop:
                self._stop_epoch = False
                self.fire(Events.TERMINATE_EPOCH)
            if self._stop:
                break
            state.metrics = state.metrics | dispatch.compute_metrics()
            state.times["EPOCH_COMPLETED"] = time.perf_counter() - began
            state.epoch_open = False
            self.fire(Events.EPOCH_COMPLETED)
        if self._stop == "interrupt":
            state.stopped = "interrupt"
            self.fire(Events.INTERRUPT)
            return
        if self._stop == "terminate":
            state.stopped = "terminate"
            self.fire(Events.TERMINATE)
        self.fire(Events.COMPLETED)

    def _epoch(self, feed: Feed) -> None:
        """Iterations until the epoch ends or somebody stops it."""
        state = self.state
        while self._epoch_goes_on():
            self.fire(Events.GET_BATCH_STARTED)
            may_end = state.epoch_length is None and state.epoch_iteration > 0
            batch, ended = feed.take(may_end=may_end, iteration=state.iteration + 1)
            if ended:
                state.epoch_length = state.epoch_iteration
                break
            state.batch = batch
            self.fire(Events.GET_BATCH_COMPLETED)
            state.iteration += 1
            state.epoch_iteration += 1
            self.fire(Events.ITERATION_STARTED)
            self._iterate(batch)
            self.fire(Events.ITERATION_COMPLETED)

    def _epoch_goes_on(self) -> bool:
        state = self.state
        if self._stop or self._stop_epoch:
            return False
        if state.max_iters is not None and state.iteration >= state.max_iters:
            return False
        return state.epoch_length is None or state.epoch_iteration < state.epoch_length

    def _iterate(self, batch: Any) -> None:
        dispatch = self._dispatched
        self._scalars = None
        if self._pure:
            dispatch.step(self.state, batch)
        else:
            self.state.output = self._process(self, batch)
            dispatch.update(self.state.output)
