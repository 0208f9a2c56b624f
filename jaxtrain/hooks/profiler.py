"""Records what the device and the host do in a few iterations, to be looked at in TensorBoard.

    trainer.attach(Profiler(run_directory, first=100, iterations=20))
    tensorboard --logdir runs/digits/seed0-1a2b3c4d/profile        # with the plugin xprof

It is `jax.profiler`'s trace. When it is over a line tells what an iteration took, and what of that
XLA's cost analysis knows:

    profile: 1.32 ms an iteration, with what hooks did meanwhile; XLA counts 48.3 MFLOP and
    12.0 MiB: 36.6 GFLOP/s, 9.53 GB/s

The first iterations compile, and are not worth a look.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path

import jax
import pydantic

from jaxtrain.engine import Engine, Events
from jaxtrain.hooks.registry import HOOKS
from jaxtrain.parallel import Work, cost_of
from jaxtrain.units import as_bytes, si

logger = logging.getLogger(__name__)


@HOOKS.register("profiler")
class Profiler:
    """Traces `iterations` iterations, from `first` on, into `directory`/profile; once.

    A run that goes on behind the first of them traces none, and says so: what was recorded stays.

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
        first: pydantic.PositiveInt = 100,
        iterations: pydantic.PositiveInt = 10,
    ) -> None:
        self.directory = Path(directory) / self.FOLDER
        self.first, self.last = first, first + iterations - 1
        self._began: float | None = None

    def attach(self, engine: Engine) -> None:
        """Subscribe. Dispatches end before the first and behind the last of the iterations."""
        ends = Events.COMPLETED | Events.INTERRUPT
        last = float("-inf")  # whatever others do at that iteration is not traced, or is all traced
        engine.attach_handler(Events.STARTED, self._start, priority=last)
        engine.attach_handler(Events.RESUMED, self._go_on, priority=last)
        if self.first > 1:
            before = Events.ITERATION_COMPLETED(once=self.first - 1)
            engine.attach_handler(before, self._begin, priority=last)
        engine.attach_handler(
            Events.ITERATION_COMPLETED(once=self.last), self._end, priority=float("inf")
        )
        engine.attach_handler(ends, self._end, priority=float("inf"))
        engine.attach_handler(Events.EXCEPTION_RAISED, self._fail, priority=float("inf"))

    def _start(self, engine: Engine) -> None:
        engine.note_dispatch()  # before the trace: to write a program down takes its time
        if self.first == 1:
            self._begin(engine)

    def _go_on(self, engine: Engine) -> None:
        engine.note_dispatch()
        reached = engine.state.iteration
        if reached == self.first - 1:
            self._begin(engine)
        elif reached >= self.first and not self.directory.exists():
            logger.warning(
                "profile: the iterations %d to %d are not traced: the run goes on behind %d",
                *(self.first, self.last, reached),
            )

    def _begin(self, engine: Engine) -> None:
        engine.scalars()  # what is on its way to the device is not to be traced
        jax.profiler.start_trace(str(self.directory))
        self._began = time.perf_counter()

    def _fail(self, engine: Engine, error: BaseException) -> None:
        self._end(engine)

    def _end(self, engine: Engine) -> None:
        if self._began is None:
            return
        began, self._began = self._began, None
        try:
            engine.scalars()
        finally:
            took = time.perf_counter() - began
            jax.profiler.stop_trace()
        last = min(self.last, engine.state.iteration)
        logger.info("profile of the iterations %d to %d: %s", self.first, last, self.directory)
        if last >= self.first:
            seconds = took / (last - self.first + 1)
            logger.info("%s", cost_line(seconds, _cost(engine)))


def _cost(engine: Engine) -> Work | None:
    """Of an iteration, as XLA counts; None where it does not."""
    executable = engine.noted_dispatch()
    cost = None if executable is None else cost_of(executable)
    if cost is None or engine.form == "single":
        return cost
    # Of the fused form's loop over iterations it is right that it counts as one round.
    return replace(cost, unknown_loops=cost.unknown_loops - 1)


def cost_line(seconds: float, cost: Work | None) -> str:
    """What an iteration took, and how fast it did what XLA says that it does.

    Args:
        seconds: an iteration, measured.
        cost: of an iteration, on one device; None where nobody knows it.
    """
    line = f"profile: {si(seconds)}s an iteration, with what hooks did meanwhile"
    if cost is None:
        return f"{line}; what it computes is not known here"
    devices = jax.device_count()
    where = " on each device" if devices > 1 else ""
    line += (
        f"; XLA counts {si(cost.flops)}FLOP and {as_bytes(cost.bytes)}{where}: "
        f"{si(cost.flops / seconds)}FLOP/s, {si(cost.bytes / seconds)}B/s"
    )
    if cost.unknown_loops:
        line += f" (loops of unknown length, {cost.unknown_loops}, count as one round)"
    return line
