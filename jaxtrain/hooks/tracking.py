"""What is logged while an engine runs, logged where the engine stands.

    run = tracking.run("digits")
    trainer.attach(Tracking(run))
    trainer.on(Events.EPOCH_COMPLETED)(lambda engine: run.log_image("filters", picture(engine)))

The step of what is logged is then the engine's iteration, and a run that goes on after a kill first
takes back what it is going to log again: a file ends up as that of a run that was never stopped.
What a script logs before the engine starts, or when it is over, is no part of that, and stays.

One exception: before its step a batch has no iteration yet. What is logged at `GET_BATCH_STARTED`
or `GET_BATCH_COMPLETED` may stand there twice after a kill; log at `ITERATION_STARTED`.
"""

from __future__ import annotations

from collections.abc import Callable

from jaxtrain.engine import Engine, Events
from jaxtrain.hooks.rows import completed_epochs
from jaxtrain.tracking import Place, Run


class Tracking:
    """Lets `run` know where the engine stands while it runs.

    Args:
        run: what is logged into. Of several engines each has its own hook, made in the same order
            when the script goes on.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self._number = run.new_engine()
        self._ended = False

    def attach(self, engine: Engine) -> None:
        """Subscribe; what handlers log at the start comes after this."""
        over = Events.COMPLETED | Events.TERMINATE | Events.INTERRUPT | Events.EXCEPTION_RAISED
        left = Events.COMPLETED | Events.INTERRUPT | Events.EXCEPTION_RAISED
        first, last = float("inf"), -float("inf")
        engine.attach_handler(Events.STARTED, self._begin_anew, priority=first)
        engine.attach_handler(Events.RESUMED, self._go_on, priority=first)
        engine.attach_handler(over, self._end, priority=first)
        engine.attach_handler(left, self._leave, priority=last)

    def _begin_anew(self, engine: Engine) -> None:
        self._follow(engine)
        self.run.rewind(Place(-1, -1, -1, self._number))  # what it logged at its very start, too

    def _go_on(self, engine: Engine) -> None:
        self.run.rewind(self._follow(engine)())

    def _follow(self, engine: Engine) -> Callable[[], Place]:
        def place() -> Place:
            state = engine.state
            done = completed_epochs(state)
            return Place(state.iteration, state.epoch, done, self._number, self._ended)

        self._ended = False
        self.run.follow(place)
        return place

    def _end(self, engine: Engine, *raised: object) -> None:
        self._ended = True

    def _leave(self, engine: Engine, *raised: object) -> None:
        self.run.follow(None)
