"""TensorBoard event files, written by tensorboardX.

    trainer.attach(TensorBoard(run_directory))

`tensorboard --logdir runs` then shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pydantic

from jaxtrain import tracking
from jaxtrain.engine import Engine, Events
from jaxtrain.files import refuse_gone
from jaxtrain.hooks.registry import EPOCH_METRICS, HOOKS
from jaxtrain.hooks.rows import epoch_figures, step_scalars
from jaxtrain.tracking.tensorboard import EventFile


@HOOKS.register("tensorboard")
class TensorBoard:
    """Writes the scalars of the step and the metrics of the epoch, both over the iteration.

    The step's own stand under `step/` (`step/loss`), so that they don't mix with the averages of
    an epoch (`train/loss`). What is logged into the current run meanwhile (`jaxtrain.tracking`) is
    there as well, and the config among the hyperparameters. A resumed run tells TensorBoard to
    forget what a killed process had written beyond the point where it goes on.

    Args:
        directory: where the event files go.
        every: iterations between two values of the step's scalars.
    """

    writes = ("events.out.tfevents",)  # the names go on with the time and the host

    def __init__(self, directory: str | Path, *, every: pydantic.PositiveInt = 100) -> None:
        self.directory = Path(directory)
        self.every = every
        self._events: EventFile | None = None
        self._run: tracking.Run | None = None

    def attach(self, engine: Engine) -> None:
        """Subscribe, after everything that adds metrics."""
        over = Events.COMPLETED | Events.INTERRUPT | Events.EXCEPTION_RAISED
        engine.attach_handler(Events.STARTED | Events.RESUMED, self._open)
        engine.attach_handler(Events.ITERATION_COMPLETED(every=self.every), self._write_step)
        engine.attach_handler(Events.EPOCH_COMPLETED, self._write_epoch, needs=(EPOCH_METRICS,))
        engine.attach_handler(over, self._close)

    def _open(self, engine: Engine) -> None:
        self._close(engine)  # of a loop that was left without a word
        self._events = EventFile(self.directory, purge=engine.state.iteration + 1)
        self._run = tracking.current()
        if self._run is None:
            return
        self._run.add_sink(self._events)
        if engine.state.iteration == 0 and (self._run.directory / "metadata.json").exists():
            record = self._run.record
            section = record.config.get("checkpoint", {})
            monitor = section.get("monitor") if isinstance(section, Mapping) else None
            self._events.hyperparameters(record.config, [monitor] if monitor else [])

    def _write_step(self, engine: Engine) -> None:
        values = {f"step/{name}": value for name, value in step_scalars(engine).items()}
        self._opened().figures(values, engine.state.iteration)

    def _write_epoch(self, engine: Engine) -> None:
        refuse_gone(self.directory)
        self._opened().figures(epoch_figures(engine), engine.state.iteration)
        self._opened().flush()

    def _opened(self) -> EventFile:
        assert self._events is not None, "opened when the run began"
        return self._events

    def _close(self, engine: Engine, *raised: object) -> None:
        events, self._events = self._events, None
        run, self._run = self._run, None
        if events is None:
            return
        if run is not None:
            run.remove_sink(events)
        try:
            events.close()
        except OSError:
            if not raised:  # else another error is on its way, and perhaps of the same disk
                raise
