"""TensorBoard event files, written by tensorboardX.

    trainer.attach(TensorBoard(run_directory))

`tensorboard --logdir runs` then shows them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydantic

from jaxtrain.engine import Engine, Events
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
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(
            logdir=str(self.directory), purge_step=engine.state.iteration + 1
        )

    def _write_step(self, engine: Engine) -> None:
        for name, value in step_scalars(engine).items():
            self._writer.add_scalar(f"step/{name}", value, engine.state.iteration)

    def _write_epoch(self, engine: Engine) -> None:
        for name, value in epoch_figures(engine).items():
            self._writer.add_scalar(name, value, engine.state.iteration)
        self._writer.flush()

    def _close(self, engine: Engine, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
