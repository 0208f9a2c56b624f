"""Records what the device and the host do in a few iterations, to be looked at in TensorBoard.

    trainer.attach(Profiler(run_directory, first=100, iterations=20))
    tensorboard --logdir runs/digits/seed0-1a2b3c4d/profile        # with the plugin xprof

It is `jax.profiler`'s trace. The first iterations compile, and are not worth a look.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import jax
import pydantic

from jaxtrain.engine import Engine, Events
from jaxtrain.hooks.registry import HOOKS

logger = logging.getLogger(__name__)


@HOOKS.register("profiler")
class Profiler:
    """Traces `iterations` iterations, from `first` on, into `directory`/profile; once.

    A run that goes on behind the first of them traces none: what was recorded stays.

    Args:
        directory: of the run; `profile` in it is made when the trace begins.
        first: the first iteration that is traced.
        iterations: how many.
    """

    FOLDER = "profile"
    writes = (FOLDER,)

    def __init__(
        self,
        directory: str | Path,
        *,
        first: Annotated[int, pydantic.Field(ge=2)] = 100,
        iterations: pydantic.PositiveInt = 10,
    ) -> None:
        self.directory = Path(directory) / self.FOLDER
        self.first, self.last = first, first + iterations - 1
        self._tracing = False

    def attach(self, engine: Engine) -> None:
        """Subscribe. Dispatches end before the first and behind the last of the iterations."""
        ends = Events.COMPLETED | Events.INTERRUPT
        last = float("-inf")  # whatever others do at that iteration is not traced, or is all traced
        engine.attach_handler(
            Events.ITERATION_COMPLETED(once=self.first - 1), self._begin, priority=last
        )
        engine.attach_handler(
            Events.ITERATION_COMPLETED(once=self.last), self._end, priority=float("inf")
        )
        engine.attach_handler(ends, self._end, priority=float("inf"))
        engine.attach_handler(Events.EXCEPTION_RAISED, self._fail, priority=float("inf"))

    def _begin(self, engine: Engine) -> None:
        engine.scalars()  # what is on its way to the device is not to be traced
        jax.profiler.start_trace(str(self.directory))
        self._tracing = True

    def _fail(self, engine: Engine, error: BaseException) -> None:
        self._end(engine)

    def _end(self, engine: Engine) -> None:
        if not self._tracing:
            return
        try:
            engine.scalars()
        finally:
            self._tracing = False
            jax.profiler.stop_trace()
        last = min(self.last, engine.state.iteration)
        logger.info("profile of the iterations %d to %d: %s", self.first, last, self.directory)
