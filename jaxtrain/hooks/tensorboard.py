"""TensorBoard event files, written by tensorboardX.

    trainer.attach(TensorBoard(run_directory))

`tensorboard --logdir runs` then shows them.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pydantic

from jaxtrain.engine import Engine, Events
from jaxtrain.files import refuse_gone
from jaxtrain.hooks.registry import EPOCH_METRICS, HOOKS
from jaxtrain.hooks.rows import epoch_figures, step_scalars


@HOOKS.register("tensorboard")
class TensorBoard:
    """Writes the scalars of the step and the metrics of the epoch, both over the iteration.

    The step's own stand under `step/` (`step/loss`), so that they don't mix with the averages of
    an epoch (`train/loss`). A resumed run tells TensorBoard to forget what a killed process had
    written beyond the point where it goes on.

    Args:
        directory: where the event files go.
        every: iterations between two values of the step's scalars.
    """

    writes = ("events.out.tfevents",)  # the names go on with the time and the host

    def __init__(self, directory: str | Path, *, every: pydantic.PositiveInt = 100) -> None:
        self.directory = Path(directory)
        self.every = every
        self._writer: Any = None

    def attach(self, engine: Engine) -> None:
        """Subscribe, after everything that adds metrics."""
        over = Events.COMPLETED | Events.INTERRUPT | Events.EXCEPTION_RAISED
        engine.attach_handler(Events.STARTED | Events.RESUMED, self._open)
        engine.attach_handler(Events.ITERATION_COMPLETED(every=self.every), self._write_step)
        engine.attach_handler(Events.EPOCH_COMPLETED, self._write_epoch, needs=(EPOCH_METRICS,))
        engine.attach_handler(over, self._close)

    def _open(self, engine: Engine) -> None:
        # Its EventsWriter, not its SummaryWriter, which writes in a thread: where the disk is full,
        # nobody hears of it there.
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import SessionLog

        refuse_gone(self.directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        with self._named():
            self._writer = EventsWriter(str(self.directory.absolute() / "events"))
            begin = SessionLog(status=SessionLog.START)
            self._add(step=engine.state.iteration + 1, session_log=begin)

    def _write_step(self, engine: Engine) -> None:
        values = {f"step/{name}": value for name, value in step_scalars(engine).items()}
        self._add_scalars(values, engine.state.iteration)

    def _write_epoch(self, engine: Engine) -> None:
        refuse_gone(self.directory)
        self._add_scalars(epoch_figures(engine), engine.state.iteration)
        with self._named():
            self._writer.flush()

    def _add_scalars(self, values: Mapping[str, float], step: int) -> None:
        from tensorboardX.summary import scalar

        with self._named():
            for name, value in values.items():
                self._add(step=step, summary=scalar(name, value))

    def _add(self, **content: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        self._writer.write_event(Event(wall_time=time.time(), **content))

    def _close(self, engine: Engine, *raised: object) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            with self._named():
                writer.close()
        except OSError:
            if not raised:  # else another error is on its way, and perhaps of the same disk
                raise

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Where a write fails, say where."""
        try:
            yield
        except OSError as error:
            error.filename = error.filename or str(self.directory / "events.out.tfevents")
            raise
