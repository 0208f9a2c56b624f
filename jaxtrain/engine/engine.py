"""Engine: the event loop around a step.

    trainer = Engine(train_step, state)         # pure: (state, batch) -> (state, output), jitted
    host = Engine(process)                      # any Python: (engine, batch) -> output
    trainer.add_metrics({"train/loss": Loss()})

    @trainer.on(Events.EPOCH_COMPLETED)
    def report(engine):
        print(engine.state.epoch, engine.state.metrics["train/loss"])

    trainer.run(loader, max_epochs=10)

It runs over a `Loader`, whose places it can go back to, or over any iterable of batches.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from jaxtrain.data import Cursor
from jaxtrain.engine import ctrl_c
from jaxtrain.engine.batches.batches import Batches
from jaxtrain.engine.batches.door import example_of, length_of
from jaxtrain.engine.batches.portion import Portion
from jaxtrain.engine.batches.resident import Resident, fits_on_device
from jaxtrain.engine.device.dispatch import Dispatch
from jaxtrain.engine.device.members import ORDERS, Order
from jaxtrain.engine.device.pacer import Pacer, agreed
from jaxtrain.engine.device.reads import Reads
from jaxtrain.engine.device.window import Window
from jaxtrain.engine.emitter import Emitter
from jaxtrain.engine.events import Event, Events, EventSet
from jaxtrain.engine.form import FORMS, Form
from jaxtrain.engine.handlers import RemovableHandle
from jaxtrain.engine.host_metrics import attach_host_metric, refuse_half_seen
from jaxtrain.engine.limits import set_limits
from jaxtrain.engine.loop import Course, run_loop
from jaxtrain.engine.plan import Plan
from jaxtrain.engine.snapshot import (
    form_to_go_on_with,
    hook_states,
    refuse_no_record,
    restore_hooks,
)
from jaxtrain.engine.state import EngineState
from jaxtrain.engine.stop import Stop
from jaxtrain.errors import Interrupted
from jaxtrain.metrics import HostMetric, Metric, as_metric, is_host_metric
from jaxtrain.parallel import Together, several

_EPOCH_COUNTED = {"EPOCH_STARTED", "EPOCH_COMPLETED"}
_ITERATION_COUNTED = {"ITERATION_STARTED", "ITERATION_COMPLETED"}
_BATCH_COUNTED = {"GET_BATCH_STARTED", "GET_BATCH_COMPLETED"}


class Engine:
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
        members: so many runs at once, a population: the step is that of one of them, every leaf of
            the state has a first axis [members], and so have metrics, scalars and windows; a part
            in `InCommon` has none, and no step changes it. A `members_loader` gives each its own
            batches, any other loader all of them the same.
        order: of their computation: "together" (vmapped) or "in_turn" (a loop over the members in
            each dispatch); by default a rule chooses (see `device/members.py`).

    Attributes:
        state: where the run stands.
        form: of the dispatches; None until the rule has chosen, and for a process function.
        hooks: those attached, by name.
        plan: where dispatches end, read off the handlers attached so far.
    """

    def __init__(
        self,
        step: Callable[..., Any],
        state: Any = None,
        *,
        form: Form | None = None,
        dispatch_seconds: float = 0.5,
        members: int | None = None,
        order: Order | None = None,
    ) -> None:
        if form is not None and form not in FORMS:
            raise ValueError(f"form: expected one of {', '.join(FORMS)}, found {form!r}")
        self._process = None if state is not None else step
        if members is not None and state is None:
            raise ValueError("members: a process function has none; give a step and a state")
        if order is not None and (members is None or order not in ORDERS):
            raise ValueError(
                f"order: expected one of {', '.join(ORDERS)}, beside members=; found {order!r}"
            )
        self._dispatch = Dispatch(
            None if state is None else step, state, members=members, order=order
        )
        self._emitter = Emitter()
        self._batches = Batches()
        self._stop = Stop(together=Together.of_next())
        self._pacer = Pacer(dispatch_seconds, agree=agreed() if several() else None)
        self._reads = Reads()
        self._host_metrics: list[str] = []
        self._pinned = form is not None
        self._is_running = False
        self._is_restored = False
        self.form: Form | None = form
        self.state = EngineState(self._dispatch)
        self.hooks: dict[str, Any] = {}
        self.plan = Plan(self._emitter.handlers)

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

        A run that was left (interrupted, terminated, ended by an exception, restored) goes on where
        it stood, with the limits that it had where none are given. One that is over goes on where
        more is asked for than it has done, and begins anew otherwise, with the TrainState that it
        has. `limits.py` has the table; `reset()` begins anew in any case.

        Ctrl-C raises KeyboardInterrupt, as ever, but never while a state is on its way: the state
        is whole, and the next `run` goes on.

        Args:
            loader: a `Loader`, or an iterable of batches.
            max_epochs: epochs to do in all. One, where neither this nor `max_iters` is given.
            max_iters: iterations to do in all; the epoch that they end in ends with them.
            epoch_length: iterations an epoch, where it is not the loader's own length.
            state: a TrainState to put in the place of the present one.

        Returns:
            `engine.state`.

        Raises:
            RuntimeError: the engine is running already.
            ValueError: limits that contradict what is done; a loader without a batch.
            CheckpointMismatchError: the run stands at a place in other data.
        """
        if self._is_running:
            raise RuntimeError(
                "this engine is running: a handler can't call its own engine's run(); make "
                "another Engine for an evaluation, or call terminate() and run afterwards"
            )
        now = self.state
        adapted = self._batches.accept(loader)
        anew = set_limits(
            now,
            max_epochs=max_epochs,
            max_iters=max_iters,
            epoch_length=epoch_length,
            length=length_of(adapted),
            restored=self._is_restored,
        )
        self._is_restored = False
        if state is not None:
            now.train_state = state
        self._fix_form(adapted)
        # An interruption that was asked for just before, by a signal perhaps, stays asked for.
        self._stop.epoch = False
        self._stop.run = "interrupt" if self._stop.run == "interrupt" else ""
        now.stopped = ""
        self._is_running = True
        try:
            with ctrl_c.deferred():
                self._run(anew)
        finally:
            self._is_running = False
            self._stop.run = ""
        return now

    def _run(self, anew: bool) -> None:
        now, course = self.state, self._course()
        try:
            self._batches.begin(self.form, anew=anew, mid_epoch=now.epoch_open)
            self._dispatch.start_watch(now.iteration)
            self._pacer.begin()
            run_loop(course)
        except BaseException as error:
            self._emitter.forget_actions()
            now.stopped = "failed"
            if not any(r is True for r in self.fire(Events.EXCEPTION_RAISED, error)):
                raise
        finally:
            course.step_back()
            self._batches.close()

    def _course(self) -> Course:
        return Course(
            self.state,
            self.fire,
            self._stop,
            self.plan,
            self._pacer,
            self._batches,
            self._dispatch,
            self._launch if self._process is None else self._call_process,
        )

    def _launch(self, portion: Portion, done: Callable[[], None]) -> None:
        """A pure step's: on the device, while this goes on."""
        iteration = self.state.iteration + portion.length - 1
        reads, emitter = self._reads, self._emitter
        token, changed = self._dispatch.run(
            portion,
            held=_held(),
            note_read=lambda: reads.note(emitter.running, iteration),
            done=done,
        )
        self._batches.get_ready()
        self._pacer.launched(token, portion.length)
        if changed:
            self.fire(Events.RECOMPILED, changed)

    def _call_process(self, portion: Portion, done: Callable[[], None]) -> None:
        """A process function's: done when it returns."""
        assert self._process is not None
        output = self._process(self, portion.data)
        with _held():
            self._dispatch.put_output(output)
            done()

    def _fix_form(self, loader: Any) -> None:
        if self._process is None and self.form is None:
            self.form = self._dispatch.choose_form(example_of(loader))

    def reset(self) -> None:
        """Stand before the first iteration: the next `run` begins anew.

        The TrainState, hooks, handlers and `state.user` stay.

        Raises:
            RuntimeError: the engine is running.
        """
        self._refuse_while_running("reset")
        self.state.reset()
        self._batches.forget()
        self._is_restored = False

    # -- stopping ------------------------------------------------------------------------------

    def terminate(self) -> None:
        """End the run after the current event. Outside of a run it does nothing, as in Ignite."""
        self._stop.terminate()

    def terminate_epoch(self) -> None:
        """End the epoch after the current event; the run goes on with the next.

        Called between two epochs, it ends the next one before its first iteration.
        """
        self._stop.epoch = True

    def interrupt(self) -> None:
        """Leave `run` after the current event, so that the next `run` continues there.

        Safe to call from a signal handler or another thread. Before a run it is heeded when that
        begins; after `terminate()` it changes nothing. Of several processes that run together all
        are left, after the same iteration, whichever was asked; it takes them a moment to agree.
        """
        self._stop.ask()

    def interrupt_waiting(self) -> None:
        """As `interrupt`, and leave a loader that a batch is being waited for; for signal handlers.

        One of several processes waits for the batch all the same: the others may have launched the
        step already.

        Raises:
            Interrupted: in the main thread, where the run waits for a loader that has cursors. The
                run catches it.
        """
        self.interrupt()
        if self._batches.waiting and self._stop.together is None:
            self._batches.waiting = False
            raise Interrupted

    def stops_here(self) -> bool:
        """Whether the run is to be left at this place, which all of its processes come to.

        For a hook that computes for long, together with the other processes, between two of the
        places where the engine itself looks. In a process alone it is `stopping`.
        """
        return self._stop.heed()

    @property
    def stopping(self) -> bool:
        """Whether the run was asked to stop; a loader or hook that waits looks at it."""
        return bool(self._stop.run)

    @property
    def waited(self) -> float:
        """Seconds that its runs have spent on getting batches; any thread may read it.

        A device that has work meanwhile loses nothing by it.
        """
        return self._batches.waited

    @property
    def batch_size(self) -> int | None:
        """Examples of a batch, as the loader says; None before a run, and of a plain iterable."""
        return self._batches.batch_size

    # -- events --------------------------------------------------------------------------------

    def on(self, event: Event | EventSet, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        """Decorator form of `attach_handler`; the function stays as it is."""

        def attach(function: Callable[..., Any]) -> Callable[..., Any]:
            self.attach_handler(event, function, *args, **kwargs)
            return function

        return attach

    def attach_handler(
        self,
        event: Event | EventSet,
        function: Callable[..., Any],
        *args: Any,
        priority: float = 0,
        needs: Iterable[str] = (),
        provides: Iterable[str] = (),
        **kwargs: Any,
    ) -> RemovableHandle:
        """Call `function(engine, *args, **kwargs)` on an event.

        A handler attached or removed while its event fires: the new one waits for the next firing,
        the removed one does not run any more. Handlers of EXCEPTION_RAISED get
        `(engine, exception, *args)`; the exception is raised again unless one returns True.

        Args:
            event: one event, or several joined by `|`.
            function: may leave out the `engine` parameter.
            args: passed on to the function.
            priority: on one event, the higher runs first.
            needs: names that other handlers of the event provide; those run before, whatever the
                priorities.
            provides: names that this one provides.
            kwargs: passed on to the function.

        Returns:
            A handle with `remove()`, which is also a context manager.

        Raises:
            TypeError: the function can't be called like that.
            ValueError: the handlers would wait for each other.
        """
        return self._emitter.handlers.add(
            event, function, args, kwargs, priority=priority, needs=needs, provides=provides
        )

    def has_event_handler(
        self, function: Callable[..., Any], event: Event | EventSet | None = None
    ) -> bool:
        """Whether `function` is attached, to `event` (any of a set) or, without one, at all."""
        return self._emitter.has_event_handler(function, event)

    def remove_event_handler(
        self, function: Callable[..., Any], event: Event | EventSet | None = None
    ) -> None:
        """Detach `function` from `event`, or from all.

        Raises:
            ValueError: it is not attached.
        """
        self._emitter.remove_event_handler(function, event)

    def register_events(self, *events: Event, event_to_attr: Mapping[Event, str]) -> None:
        """Keep the count of custom events in attributes of `state`, from 0.

        Any `Event` can be fired without this; its filters count how often it was fired.
        """
        for event in events:
            self._emitter.attributes[event.name] = event_to_attr[event]
            count = self._emitter.times_fired.get(event.name, 0)
            setattr(self.state, event_to_attr[event], count)

    def fire(self, event: Event, *event_args: Any) -> list[Any]:
        """Run the handlers of `event` and return what they returned."""
        name, count = event.name, None
        if name in _ITERATION_COUNTED:
            count = self.state.iteration
        elif name in _BATCH_COUNTED:
            count = self.state.iteration + 1
        elif name in _EPOCH_COUNTED:
            count = self.state.epoch
        return self._emitter.fire(self, event, count, *event_args)

    def when_at_rest(self, action: Callable[[], None]) -> None:
        """Call `action` once all handlers of the event now firing have run.

        A checkpoint taken there holds what every one of them has made of the event, so that a
        resumed run need not fire it again.
        """
        self._emitter.when_at_rest(action)

    @property
    def provided(self) -> set[str]:
        """All that attached handlers say they provide."""
        return {name for handler in self._emitter.handlers for name in handler.provides}

    # -- what a run is made of -----------------------------------------------------------------

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
        of its own, and is waited for; and what it has seen is in no snapshot, so that a run that
        was saved within an epoch can't be restored with it. A clu or metrax metric is taken as it
        is.

        Raises:
            ValueError: a name is taken, or an epoch is open: its figures would lack what is over.
            ConfigError: it is no metric, or one that can't be updated with an output (Ignite's).
        """
        self._refuse_while_running("add_metrics")
        if self.state.epoch_open:
            raise ValueError("metrics are added before a run, or between its epochs")
        taken = {*self.metric_names} & metrics.keys()
        if taken:
            raise ValueError(f"metrics named {', '.join(sorted(taken))} are there already")
        on_host: dict[str, Any] = {n: m for n, m in metrics.items() if is_host_metric(m)}
        pure = {name: as_metric(m) for name, m in metrics.items() if name not in on_host}
        for name, metric in on_host.items():
            attach_host_metric(self, name, metric)
            self._host_metrics.append(name)
        if on_host:
            self._dispatch.keep(())  # nobody knows what they read
        self._dispatch.add_metrics(pure)

    @property
    def metric_names(self) -> list[str]:
        """The names under which an epoch's figures come in `state.metrics`."""
        return [*self._dispatch.metrics, *self._host_metrics]

    def keep(self, *names: str) -> None:
        """Let arrays of the step's output leave the dispatch, for handlers that read them.

        Scalars always do. Metrics on the device need no word: they see all of it.

        Args:
            names: entries of the output; without any, all of it.
        """
        self._refuse_while_running("keep")
        self._dispatch.keep(names)

    def track(self, *names: str) -> Window:
        """Keep mean, min, max and last of these scalars of the output, on the device.

        Returns:
            The window that they are read from; nobody else reads it.
        """
        self._refuse_while_running("track")
        if not names:
            raise ValueError("track: expected the name of a scalar of the output, found none")
        return Window(names, self._dispatch.read_window, self._dispatch.add_window(names))

    def _refuse_while_running(self, what: str) -> None:
        if self._is_running:
            raise RuntimeError(f"{what}() is for before a run, or between two; the engine runs")

    # -- reading -------------------------------------------------------------------------------

    def scalars(self) -> dict[str, Any]:
        """The scalars of `state.output` as Python numbers, in one transfer an iteration.

        Those of a population are arrays `[members]`.
        """
        return self._dispatch.scalars()

    def first_nonfinite(self) -> int | None:
        """The first iteration of this run whose step said `finite: False`, or None.

        Waits for the device.

        Raises:
            RuntimeError: it is a population's; `nonfinite_members` tells of each.
        """
        return self._dispatch.first_nonfinite()

    def nonfinite_members(self) -> dict[int, int]:
        """By member of a population the first iteration of this run that was not finite.

        Members that all were do not stand there. Waits for the device.
        """
        return self._dispatch.nonfinite_members()

    @property
    def members(self) -> int | None:
        """How many runs this is; None for one."""
        return None if self._dispatch.members is None else self._dispatch.members.count

    @property
    def order(self) -> Order | None:
        """How members are computed; None where it is one run."""
        return None if self._dispatch.members is None else self._dispatch.members.order

    def choose_form(self, loader: Iterable[Any]) -> Form | None:
        """Fix the form that a run over `loader` takes, if it is not yet, and say which it is.

        The step is traced and not compiled. The state may be one of shapes alone.
        """
        self._fix_form(self._batches.accept(loader))
        return self.form

    def compiled(self, loader: Iterable[Any]) -> Any:
        """The executable of a dispatch over `loader`, compiled but not run.

        Its `memory_analysis()` says what it will take. The state may be one of shapes alone.
        """
        adapted = self._batches.accept(loader)
        self._fix_form(adapted)
        portion = None
        if self.form == "fused" and fits_on_device(adapted):
            feed = Resident(adapted)  # type: ignore[arg-type]
            feed.begin(None, anew=True)
            portion = feed.take(1, 1)
        return self._dispatch.compiled(example_of(adapted), portion)

    def note_dispatch(self) -> None:
        """Remember the program of the next dispatch; `noted_dispatch` has its executable."""
        self._dispatch.note_next()

    def noted_dispatch(self) -> Any:
        """The executable of the dispatch that was remembered, the one that runs.

        None where none was, and for a process function. Its `cost_analysis()` says what a step
        takes: the loop of the fused form counts as one round.
        """
        return self._dispatch.noted()

    @property
    def compilations(self) -> int:
        """How many shapes of batch the step was compiled for so far."""
        return self._dispatch.compilations

    # -- going on in another process -----------------------------------------------------------

    def cursor(self) -> Cursor | None:
        """The loader's place behind the last batch used; None before, and for a plain iterable."""
        return self._batches.cursor

    def snapshot(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Where the run stands.

        Returns:
            Arrays, `{"train_state": ..., "metrics": ..., "windows": ...}`, and a record of JSON
            values, `{"counters", "cursor", "fired", "form", "hooks", "user"}`. The TrainState's
            arrays are the engine's own buffers, which the next step consumes: copy them, or let
            go of them, before it runs.
        """
        arrays = {"train_state": self._dispatch.borrowed_state(), **self._dispatch.seen()}
        record = {
            "counters": self.state.counters(),
            "cursor": self._batches.cursor,
            "fired": dict(self._emitter.times_fired),
            "form": self.form,
            "hooks": hook_states(self.hooks),
            "user": copy.deepcopy(self.state.user),
        }
        return arrays, record

    def restore(self, arrays: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        """Take up what `snapshot` gave; the next `run` continues there.

        A hook that the record does not know begins afresh, with a warning.

        Raises:
            RuntimeError: the engine is running.
            ConfigError: the record is none of a run, or it is one of the middle of an epoch and a
                metric is updated on the host. Nothing was taken up then.
            CheckpointError: a hook can't take up what it said.
        """
        self._refuse_while_running("restore")
        refuse_no_record(record)
        refuse_half_seen(self._host_metrics, record["counters"])
        self._is_restored = True
        self.form = form_to_go_on_with(record["form"], self.form, pinned=self._pinned)
        self.state.restore(record["counters"])
        self.state.user = copy.deepcopy(record["user"])
        self._batches.restore(record["cursor"])
        self._emitter.restore(record["fired"], self.state)
        self.state.train_state = arrays["train_state"]
        self._dispatch.restore(arrays)
        restore_hooks(self.hooks, record["hooks"])


def _held() -> AbstractContextManager[None]:
    """Where a Ctrl-C has to wait: only the main thread gets one."""
    return ctrl_c.held if ctrl_c.in_main_thread() else nullcontext()
