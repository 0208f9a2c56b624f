"""Loop: the event loop itself. Everything that an engine has besides stands in `engine.py`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from jaxtrain.engine.batches.source import Source, Window, length_of, peek
from jaxtrain.engine.batches.sources import make_source
from jaxtrain.engine.device.dispatch import Dispatch
from jaxtrain.engine.device.form import FORMS, Form
from jaxtrain.engine.device.pacer import Pacer
from jaxtrain.engine.device.reads import Reads
from jaxtrain.engine.emitter import Emitter
from jaxtrain.engine.events import Events
from jaxtrain.engine.plan import Plan
from jaxtrain.engine.state import EngineState, Interrupted
from jaxtrain.metrics import Metric

_EPOCH_COUNTED = {"EPOCH_STARTED", "EPOCH_COMPLETED"}
_ITERATION_COUNTED = {
    "GET_BATCH_STARTED",
    "GET_BATCH_COMPLETED",
    "ITERATION_STARTED",
    "ITERATION_COMPLETED",
}


class Loop(Emitter):
    """Runs dispatches over batches, epoch by epoch, and fires events. See `Engine`."""

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
        self._pacer = Pacer(dispatch_seconds)
        self._metrics: dict[str, Metric[Any]] = {}
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
        self._reads = Reads()
        self.state = EngineState()
        self.state.train_state = state
        self.state._on_output = lambda: self._reads.note(self._running, self.state.iteration)

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
            if self._source is not None:
                self._source.get_ready()
            self._pacer.launched(token, window.length)
            if changed:
                self.fire(Events.RECOMPILED, changed)
        else:
            self.state._output = self._process(self, window.data)
            dispatch.update(self.state._output)

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

    @property
    def stopping(self) -> bool:
        """Whether the run was asked to stop; a loader or hook that waits looks at it."""
        return bool(self._stop)

    @property
    def _dispatched(self) -> Dispatch:
        """The device side, made when it is first needed: metrics are added before that."""
        if self._dispatch is None:
            step = self._process if self._pure else None
            self._dispatch = Dispatch(step, self._metrics, self._tracked)
        return self._dispatch
