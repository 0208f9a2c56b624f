"""How far the run is: a bar on a terminal, now and then a line elsewhere.

    epoch 3/10 ━━━━━━━━━━╺━━━━━━━━━━ 2700/9000 loss 0.1234  8,123 steps/s 0:00:07

`trainer.attach(Progress())` shows it.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TextIO

import pydantic

from jaxtrain.engine import Engine, Events
from jaxtrain.hooks.console import figure, speed
from jaxtrain.hooks.registry import HOOKS

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

# Between two refreshes. Each reads the loss and so waits for the device: ten a second are invisible
# in the speed of the training, one for each step would not be.
_BAR_SECONDS = 0.1
_LINE_SECONDS = 10.0


@HOOKS.register("progress")
class Progress:
    """Shows epoch, iteration, loss, speed and the time that is left.

    Args:
        stream: where it goes; standard output by default. A bar where that is a terminal, plain
            lines where it is not.
        seconds: between two refreshes at least; by default a tenth for a bar, ten for lines.
            Nothing is read from the device unless a refresh is due, and no dispatch ends for it.
    """

    tells = True

    def __init__(
        self, stream: TextIO | None = None, *, seconds: pydantic.PositiveFloat | None = None
    ) -> None:
        self.stream = stream
        self.seconds = seconds
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._began = self._refreshed = 0.0
        self._first = 0  # the iteration after which this process began

    def attach(self, engine: Engine) -> None:
        """Subscribe."""
        over = Events.COMPLETED | Events.INTERRUPT | Events.EXCEPTION_RAISED
        engine.attach_handler(Events.STARTED | Events.RESUMED, self._start)
        looks = Events.ITERATION_COMPLETED(
            every_seconds=min(self.seconds or _BAR_SECONDS, _BAR_SECONDS)
        )
        engine.attach_handler(looks, self._look)
        # The bar must be gone before anybody prints the last words of a run.
        engine.attach_handler(over, self._stop, priority=float("inf"))

    def _start(self, engine: Engine) -> None:
        self._stop(engine)
        self._began = self._refreshed = time.monotonic()
        self._first = engine.state.iteration
        stream = self.stream or sys.stdout
        if stream.isatty():
            self._bar = _make_bar(stream)
            self._task = self._bar.add_task("", total=_total(engine), figures="")
            self._bar.start()
            self._show(engine)

    def _look(self, engine: Engine) -> None:
        usual = _LINE_SECONDS if self._bar is None else _BAR_SECONDS
        if time.monotonic() - self._refreshed >= (self.seconds or usual):
            self._show(engine)

    def _show(self, engine: Engine) -> None:
        self._refreshed = time.monotonic()
        state = engine.state
        where = f"epoch {max(state.epoch, 1)}"
        where += "" if state.max_epochs is None else f"/{state.max_epochs}"
        figures = []
        if "loss" in engine.scalars():
            figures.append(f"loss {figure(engine.scalars()['loss'])}")
        if state.iteration > self._first:
            steps, seconds = state.iteration - self._first, self._refreshed - self._began
            figures.append(speed(steps, seconds))
        if self._bar is not None and self._task is not None:
            self._bar.update(
                self._task,
                description=where,
                completed=state.iteration,
                total=_total(engine),
                figures="  ".join(figures),
                refresh=True,
            )
        else:
            total = _total(engine)
            done = f"iteration {state.iteration:,}" + ("" if total is None else f"/{total:,}")
            print("  ".join([where, done, *figures]), file=self.stream or sys.stdout, flush=True)

    def _stop(self, engine: Engine, *_: object) -> None:
        if self._bar is not None:
            self._show(engine)
            self._bar.stop()
            self._bar = None


def _total(engine: Engine) -> int | None:
    state = engine.state
    if state.max_iters is not None:
        return state.max_iters
    if state.max_epochs is None or state.epoch_length is None:
        return None
    return state.max_epochs * state.epoch_length


def _make_bar(stream: TextIO) -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    return Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(),
        console=Console(file=stream),
        auto_refresh=False,  # no thread: the loop refreshes, at moments of its own choosing
        redirect_stdout=stream is sys.stdout,  # what others print goes above the bar
        redirect_stderr=stream is sys.stdout and sys.stderr.isatty(),
    )
