"""OwnLoop: hooks and metrics around a loop that is written by hand.

    loop = OwnLoop(state, hooks=[Console(), EarlyStopping(monitor="loss")])
    loop.add_metrics({"loss": Loss()})
    for epoch in loop.epochs(10):
        for state, batch in loop.batches(loader):
            loop.done(*step(state, batch))

Every hook that an `Engine` takes works here: the events, their counts and their order are the same.
The state comes with each batch, since a hook may have changed it (a learning rate), or a checkpoint
brought another one. Each iteration is a dispatch of its own; to have several run as one is what an
engine is for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn

from jaxtrain.engine.batches.door import length_of
from jaxtrain.engine.engine import Engine
from jaxtrain.engine.limits import set_limits
from jaxtrain.engine.loop import Course, epochs, portions
from jaxtrain.engine.state import EngineState
from jaxtrain.metrics import HostMetric, Metric


class OwnLoop(Engine):
    """An engine whose steps somebody else takes.

    A loop that is left (by `break`, `interrupt()`, an exception) goes on where it stood when
    `epochs` is asked again. What the loop's own code raises is its own: EXCEPTION_RAISED is not
    fired.

    Args:
        state: the TrainState to begin with, for hooks that look at it (a checkpoint); None where
            there is none.
        hooks: to attach, under the names of their classes.
        metrics: to update with each output.

    Raises:
        ValueError: two hooks of one class; attach them by `loop.attach(hook, name)`.
    """

    def __init__(
        self,
        state: Any = None,
        *,
        hooks: Iterable[Any] = (),
        metrics: Mapping[str, Metric[Any] | HostMetric] | None = None,
    ) -> None:
        super().__init__(_nobody)
        self.state.train_state = state
        self._now: Course | None = None
        self._waits_for = 0
        self.add_metrics(metrics or {})
        for hook in hooks:
            self.attach(hook)

    def run(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: the loop is yours."""
        raise RuntimeError("an OwnLoop does not run by itself: write `for epoch in loop.epochs(n)`")

    def epochs(self, max_epochs: int) -> Iterator[int]:
        """The number of each epoch, from 1, until `max_epochs` are done or somebody stops it.

        Raises:
            RuntimeError: the loop is running.
            ValueError: fewer than are done already.
        """
        self._refuse_while_running("epochs")
        now = self.state
        set_limits(
            now,
            max_epochs=max_epochs,
            max_iters=None,
            epoch_length=None,
            length=None,
            restored=self._is_restored,
        )
        self._is_restored = False
        self._stop.epoch, now.stopped = False, ""
        self._stop.run = "interrupt" if self._stop.run == "interrupt" else ""
        self._dispatch.start_watch(now.iteration)
        self._is_running, self._now = True, self._course()
        try:
            yield from epochs(self._now)
        finally:
            self._batches.close()
            self._is_running, self._now, self._stop.run = False, None, ""

    def batches(self, loader: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """The TrainState and a batch, for each batch of the epoch as the loader gives it.

        A `Loader` goes on from its place, so that the second epoch is the loader's second, and a
        run that is resumed has seen every batch once.

        Raises:
            RuntimeError: it is not asked within `epochs`, or `done` was not called for a batch.
            CheckpointMismatchError: the loop stands at a place in other data.
        """
        if self._now is None:
            raise RuntimeError("batches() is for within `for epoch in loop.epochs(n)`")
        now, course = self.state, self._now
        adapted = self._batches.accept(loader)
        if now.epoch_length is None:
            now.epoch_length = length_of(adapted)
        self._batches.begin(None, anew=now.iteration == 0, mid_epoch=now.epoch_iteration > 0)
        try:
            for portion in portions(course):
                self._waits_for = now.iteration
                yield now.train_state, portion.data
                if self._waits_for:
                    raise RuntimeError(
                        f"iteration {now.iteration}: expected loop.done(state, output) after each "
                        "batch, and it was not called"
                    )
        finally:
            self._waits_for = 0
            course.step_back()

    def done(self, state: Any, output: Any) -> EngineState:
        """A step was taken with the batch: `(state, output)` is what it gave.

        Args:
            state: the new TrainState; None where there is none.
            output: what metrics and hooks read, as that of a step of `make_train_step`.

        Returns:
            Where the run stands.

        Raises:
            RuntimeError: no batch waits for it.
        """
        if not self._waits_for or self._now is None:
            raise RuntimeError("done() is called once for each batch of loop.batches(loader)")
        self._dispatch.put_output(output, watch=isinstance(output, Mapping))
        self.state.train_state = state
        self._now.launched(1)
        self._waits_for = 0
        # Here, not when the next batch is asked for: the loop may be left before.
        self._now.complete()
        return self.state


def _nobody(engine: Any, batch: Any) -> NoReturn:
    raise RuntimeError("an OwnLoop takes no steps itself")
