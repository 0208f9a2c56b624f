"""Runs that are left and go on, in Ignite and here: the rows of docs/from-ignite.md as code.

`python tests/continuing.py` prints what comes of each of them in Ignite, as JSON.

A scenario is given a library, and returns what its steps saw, as `[epoch, iteration, batch]`, or
the names of events that came. It is run with data of four batches, 0 to 3.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

SCENARIOS: dict[str, Callable[[Any], Any]] = {}
COUNTED = ("STARTED", "RESUMED", "EPOCH_COMPLETED", "TERMINATE", "INTERRUPT", "COMPLETED")


class Failed(Exception):
    """What a step raises."""


class Jaxtrain:
    def __init__(self) -> None:
        from jaxtrain import Engine, Events

        self.Engine, self.Events = Engine, Events

    def on(self, engine: Any, event: Any, call: Callable[[], Any]) -> None:
        engine.attach_handler(event, lambda *_: call())


class Ignite:
    def __init__(self) -> None:
        import logging

        from ignite.engine import Engine, Events

        logging.disable(logging.CRITICAL)
        self.Engine, self.Events = Engine, Events

    def on(self, engine: Any, event: Any, call: Callable[[], Any]) -> None:
        # Not `call` itself: Ignite would hand the engine to `terminate`, as `skip_completed`.
        engine.add_event_handler(event, lambda *_: call())


class Run:
    """An engine that notes what its steps see, and which events come."""

    def __init__(self, library: Any, fails_at: int | None = None) -> None:
        self.library, self.seen, self.came, self.fails_at = library, [], [], fails_at
        self.engine, self.data = library.Engine(self._step), range(4)
        for name in COUNTED:
            if hasattr(library.Events, name):
                self.on(name, lambda name=name: self.came.append(name))

    def _step(self, engine: Any, batch: Any) -> None:
        if engine.state.iteration == self.fails_at:
            self.fails_at = None
            raise Failed
        self.seen.append([engine.state.epoch, engine.state.iteration, batch])

    def on(self, name: str, call: Callable[[], Any], **chosen: Any) -> None:
        event = getattr(self.library.Events, name)
        self.library.on(self.engine, event(**chosen) if chosen else event, call)

    def run(self, **limits: Any) -> str:
        """What became of it: "" or the error's name."""
        try:
            self.engine.run(self.data, **limits)
        except (ValueError, RuntimeError, Failed) as error:
            return type(error).__name__
        return ""


def scenario(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    SCENARIOS[function.__name__] = function
    return function


def outcomes(library: Any) -> dict[str, Any]:
    return {name: function(library) for name, function in SCENARIOS.items()}


def left_and_gone_on(library: Any, how: str) -> Run:
    """Two epochs, left after two steps, and called again."""
    run = Run(library)
    run.on("ITERATION_COMPLETED", getattr(run.engine, how), once=2)
    run.run(max_epochs=2)
    run.run(max_epochs=2)
    return run


@scenario
def again_after_interrupt(library):
    return left_and_gone_on(library, "interrupt").seen


@scenario
def again_after_terminate(library):
    return left_and_gone_on(library, "terminate").seen


@scenario
def again_after_an_exception(library):
    run = Run(library, fails_at=3)
    errors = [run.run(max_epochs=2) for _ in range(3)]
    return [errors, run.seen]


@scenario
def events_of_an_interrupted_run(library):
    return left_and_gone_on(library, "interrupt").came


@scenario
def events_of_a_terminated_run(library):
    return left_and_gone_on(library, "terminate").came


@scenario
def as_many_epochs(library):
    run = Run(library)
    return [run.run(max_epochs=1), run.run(max_epochs=1), run.seen]


@scenario
def more_epochs(library):
    run = Run(library)
    return [run.run(max_epochs=1), run.run(max_epochs=2), run.seen]


@scenario
def fewer_epochs(library):
    run = Run(library)
    return [run.run(max_epochs=2), run.run(max_epochs=1), len(run.seen)]


@scenario
def fewer_iterations(library):
    run = Run(library)
    return [run.run(max_iters=6), run.run(max_iters=5), len(run.seen)]


@scenario
def another_epoch_length(library):
    run = Run(library)
    run.on("ITERATION_COMPLETED", run.engine.interrupt, once=2)
    return [run.run(max_epochs=2), run.run(max_epochs=2, epoch_length=3)]


@scenario
def iterations_after_epochs(library):
    run = Run(library)
    return [run.run(max_epochs=1), run.run(max_iters=6), len(run.seen)]


@scenario
def iterations_that_end_in_an_epoch(library):
    run = Run(library)
    run.run(max_iters=6)
    return [run.seen[-1], run.came]


@scenario
def terminated_before_the_run(library):
    run = Run(library)
    run.engine.terminate()
    run.run()
    return run.seen


@scenario
def epoch_terminated_before_the_run(library):
    run = Run(library)
    run.engine.terminate_epoch()
    run.run()
    return run.seen


@scenario
def terminated_before_a_step(library):
    run = Run(library)
    run.on("ITERATION_STARTED", run.engine.terminate, once=2)
    run.run()
    return run.seen


@scenario
def terminated_before_a_step_and_run_again(library):
    run = Run(library)
    run.on("ITERATION_STARTED", run.engine.terminate, once=2)
    run.run(max_epochs=2)
    run.on("ITERATION_STARTED", lambda: None)
    iteration = run.engine.state.iteration
    return [iteration, run.seen]


@scenario
def epoch_ended_early(library):
    run = Run(library)
    run.on("ITERATION_COMPLETED", run.engine.terminate_epoch, once=2)
    run.run(max_epochs=2)
    return run.seen


@scenario
def epoch_ended_at_its_start(library):
    run = Run(library)
    run.on("EPOCH_STARTED", run.engine.terminate_epoch, once=1)
    return [run.run(max_epochs=2), len(run.seen)]


@scenario
def epoch_ended_before_all_epochs(library):
    run = Run(library)
    run.on("STARTED", run.engine.terminate_epoch)
    return [run.run(max_epochs=2), len(run.seen)]


@scenario
def the_first_batch_that_is_asked_for(library):
    run, before = Run(library), []
    run.on("GET_BATCH_STARTED", lambda: before.append(len(run.seen)), once=1)
    run.run()
    return before


@scenario
def every_batch_that_is_asked_for(library):
    run, before = Run(library), []
    run.on("GET_BATCH_STARTED", lambda: before.append(len(run.seen)), every=1)
    run.run()
    return before


@scenario
def every_with_after(library):
    run, at = Run(library), []
    run.on("ITERATION_COMPLETED", lambda: at.append(run.engine.state.iteration), every=3, after=1)
    run.run(max_epochs=2)
    return at


@scenario
def every_second_start(library):
    run, starts = Run(library), []
    run.on("STARTED", lambda: starts.append(len(run.seen)), every=2)
    run.run(max_epochs=1)
    run.run(max_epochs=1)
    return starts


@scenario
def a_handler_for_exceptions(library):
    run = Run(library, fails_at=2)
    run.on("EXCEPTION_RAISED", lambda: None)
    return run.run()


def rows(epoch: int, iteration: int, *batches: int) -> list[list[int]]:
    return [[epoch, iteration + i, batch] for i, batch in enumerate(batches)]


TWO_EPOCHS = rows(1, 1, 0, 1, 2, 3) + rows(2, 5, 0, 1, 2, 3)

SAME: dict[str, Any] = {
    "again_after_interrupt": TWO_EPOCHS,
    "as_many_epochs": ["", "", rows(1, 1, 0, 1, 2, 3) * 2],
    "more_epochs": ["", "", TWO_EPOCHS],
    "fewer_epochs": ["", "ValueError", 8],
    "fewer_iterations": ["", "ValueError", 6],
    "another_epoch_length": ["", "ValueError"],
    "terminated_before_the_run": rows(1, 1, 0, 1, 2, 3),
    "epoch_terminated_before_the_run": rows(1, 1, 0, 1, 2, 3),
    "terminated_before_a_step": rows(1, 1, 0),
    "every_batch_that_is_asked_for": [0, 1, 2, 3],
}

# Of Ignite, of this library.
DIFFERENT: dict[str, tuple[Any, Any]] = {
    "again_after_terminate": (rows(1, 1, 0, 1) + rows(2, 3, 0, 1, 2, 3), TWO_EPOCHS),
    "again_after_an_exception": (
        [["Failed", "", ""], rows(1, 1, 0, 1) + rows(2, 4, 0)],
        [["Failed", "", ""], TWO_EPOCHS + TWO_EPOCHS],
    ),
    "events_of_an_interrupted_run": (
        ["STARTED", "INTERRUPT", "EPOCH_COMPLETED", "EPOCH_COMPLETED", "COMPLETED"],
        ["STARTED", "INTERRUPT", "RESUMED", "EPOCH_COMPLETED", "EPOCH_COMPLETED", "COMPLETED"],
    ),
    "events_of_a_terminated_run": (
        ["STARTED", "TERMINATE", "COMPLETED", "STARTED", "EPOCH_COMPLETED", "COMPLETED"],
        [
            *("STARTED", "TERMINATE", "COMPLETED"),
            *("RESUMED", "EPOCH_COMPLETED", "EPOCH_COMPLETED", "COMPLETED"),
        ],
    ),
    "iterations_after_epochs": (["", "ValueError", 4], ["", "", 6]),
    "iterations_that_end_in_an_epoch": (
        [[2, 6, 1], ["STARTED", "EPOCH_COMPLETED", "TERMINATE", "COMPLETED"]],
        [[2, 6, 1], ["STARTED", "EPOCH_COMPLETED", "EPOCH_COMPLETED", "COMPLETED"]],
    ),
    "terminated_before_a_step_and_run_again": ([2, rows(1, 1, 0)], [1, rows(1, 1, 0)]),
    "epoch_ended_early": (
        rows(1, 1, 0, 1) + rows(2, 3, 0, 1, 2, 3),
        rows(1, 1, 0, 1) + rows(2, 3, 2, 3, 0, 1),
    ),
    "epoch_ended_at_its_start": (["RuntimeError", 0], ["", 4]),
    "epoch_ended_before_all_epochs": (["RuntimeError", 0], ["", 4]),
    "the_first_batch_that_is_asked_for": ([1], [0]),
    "every_with_after": ([2, 5, 8], [3, 6]),
    "every_second_start": ([0, 4], [4]),
    "a_handler_for_exceptions": ("", "Failed"),
}

if __name__ == "__main__":
    print(json.dumps(outcomes(Ignite())))
