"""The loop: every event in its place.

    run_loop(Course(state, fire, stop, plan, pacer, batches, dispatch, launch))

It counts, asks for batches, launches steps and fires events; what each of these means, its parts
know. `Events` has the table of what stops what.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from jaxtrain.engine.batches.batches import Batches
from jaxtrain.engine.batches.portion import Portion
from jaxtrain.engine.device.dispatch import Dispatch
from jaxtrain.engine.device.pacer import Pacer
from jaxtrain.engine.events import Events
from jaxtrain.engine.plan import Plan
from jaxtrain.engine.state import EngineState
from jaxtrain.engine.stop import Stop
from jaxtrain.errors import Interrupted


class Launch(Protocol):
    """Launches the steps of a portion."""

    def __call__(self, portion: Portion, done: Callable[[], None]) -> None:
        """Args:
        portion: the batches.
        done: called once they are launched, where nothing can come between.
        """


@dataclass
class Course:
    """What a run is made of.

    Attributes:
        state: where it stands.
        fire: fires an event.
        stop: what was asked of it.
        plan: where dispatches end for the handlers' sake.
        pacer: how long they may be.
        batches: what it runs over.
        dispatch: the device side.
        launch: launches steps.
        began: when this sitting began.
    """

    state: EngineState
    fire: Callable[..., Any]
    stop: Stop
    plan: Plan
    pacer: Pacer
    batches: Batches
    dispatch: Dispatch
    launch: Launch
    began: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self._launched = self.state.iteration, self.state.epoch_iteration
        self._open: Portion | None = None

    def begin(self, portion: Portion) -> None:
        """These steps are to be launched next."""
        self._open = portion

    def open_epoch(self) -> None:
        """Count the next epoch, and its iterations from 0; its metrics have seen nothing."""
        state = self.state
        state.epoch, state.epoch_iteration, state.epoch_open = state.epoch + 1, 0, True
        state.epoch_cut = False
        self._launched = state.iteration, 0
        self.dispatch.reset_metrics()

    def goes_on(self) -> bool:
        """Whether the epoch has another iteration."""
        state = self.state
        self.stop.heed()
        if self.stop or state.epoch_cut:
            return False
        if state.max_iters is not None and state.iteration >= state.max_iters:
            return False
        return state.epoch_length is None or state.epoch_iteration < state.epoch_length

    def launched(self, count: int) -> None:
        """So many steps are on their way: the iterations count, their batches are used."""
        state = self.state
        # Those after the first were observed by nobody: no event was due in them.
        state.iteration += count - 1
        state.epoch_iteration += count - 1
        self.batches.used(count)
        self._launched = state.iteration, state.epoch_iteration

    def complete(self) -> None:
        """The steps that were launched last are taken: fire the event, once."""
        portion, self._open = self._open, None
        if portion is not None:
            self.state.look_at(_Look(portion, portion.length - 1))
            self.fire(Events.ITERATION_COMPLETED)

    def step_back(self) -> None:
        """Count only iterations whose step was launched; the next one is begun again."""
        self.state.iteration, self.state.epoch_iteration = self._launched


def run_loop(course: Course) -> None:
    """Run epochs until the limits are reached, or somebody stops it."""
    for _ in epochs(course):
        for portion in portions(course):
            course.launch(portion, partial(course.launched, portion.length))


def epochs(course: Course) -> Iterator[int]:
    """Each epoch of the run by its number, with the events around it; its portions come between."""
    state, fire, stop = course.state, course.fire, course.stop
    first, state.started = not state.started, True
    fire(Events.STARTED if first else Events.RESUMED)
    while not state.is_over() and not stop.heed():
        began = time.perf_counter()
        if not state.epoch_open:
            course.open_epoch()
            fire(Events.EPOCH_STARTED)
        yield state.epoch
        if stop.epoch:
            # Part of the state: where the run is left before the epoch is completed, it stays over.
            stop.epoch, state.epoch_cut = False, True
            fire(Events.TERMINATE_EPOCH)
        if stop.run:
            break
        state.will_be(course.dispatch.compute_metrics())
        state.times["EPOCH_COMPLETED"] = time.perf_counter() - began
        state.epoch_open = False
        try:
            fire(Events.EPOCH_COMPLETED)
        except Interrupted:
            # Some handlers ran, some did not: the continued run fires the event anew.
            state.epoch_open = True
            stop.interrupt()
    state.times["COMPLETED"] = time.perf_counter() - course.began
    state.stopped = stop.run
    if stop.run == "interrupt":
        fire(Events.INTERRUPT)
        return
    if stop.run == "terminate":
        fire(Events.TERMINATE)
    fire(Events.COMPLETED)


def portions(course: Course) -> Iterator[Portion]:
    """The portions of the open epoch, until it ends or somebody stops it; each has to be launched
    before the next one is asked for. Events come where they are observed.
    """
    state, fire = course.state, course.fire
    while course.goes_on():
        fire(Events.GET_BATCH_STARTED)
        if course.stop:
            return
        portion = _take(course)
        if portion is None:
            if not course.batches.broken_off:
                state.epoch_length = state.epoch_iteration
            return
        state.look_at(_Look(portion, 0))
        fire(Events.GET_BATCH_COMPLETED)
        state.iteration += 1
        state.epoch_iteration += 1
        if not course.stop:
            fire(Events.ITERATION_STARTED)
        if course.stop:
            _refuse(course)
            return
        course.begin(portion)
        yield portion
        course.complete()


def _refuse(course: Course) -> None:
    """Somebody stopped the run, or the epoch, before the step: it does not run.

    A run that goes on begins with this batch; a next epoch begins behind it, and it counts as an
    iteration that was begun.
    """
    if course.stop.run:
        course.step_back()
    else:
        course.dispatch.step_left_out()
        course.launched(1)


def _take(course: Course) -> Portion | None:
    """The next batches; None where the end of the loader is the end of the epoch, too."""
    state = course.state
    limit, wanted = _lengths(course)
    for _ in range(2):
        portion = course.batches.take(limit, wanted)
        if portion is not None:
            return portion
        ends_here = state.epoch_length is None and state.epoch_iteration > 0
        if course.batches.broken_off or ends_here:
            return None
    raise ValueError(
        f"the loader gave no batch for iteration {state.iteration + 1}; it is empty, or an "
        "iterator that can be used only once"
    )


def _lengths(course: Course) -> tuple[int, int | None]:
    """How many iterations the next dispatch may do, and how many the epoch still wants."""
    state = course.state
    wanted = None if state.epoch_length is None else state.epoch_length - state.epoch_iteration
    if state.max_iters is not None:
        left = state.max_iters - state.iteration
        wanted = left if wanted is None else min(wanted, left)
    limit = course.pacer.limit(state.iteration)
    cut = course.plan.next_cut(state.iteration)
    if cut is not None:
        limit = min(limit, cut.iteration - state.iteration)
    return (limit if wanted is None else min(limit, wanted)), wanted


@dataclass(frozen=True)
class _Look:
    """A look at a batch, for a handler that wants to see it."""

    portion: Portion
    index: int

    def __call__(self) -> Any:
        return self.portion.look(self.portion.start + self.index)
