"""What is logged while an engine runs, logged where the engine stands.

    run = tracking.run("digits")
    trainer.attach(Tracking(run))
    trainer.on(Events.EPOCH_COMPLETED)(lambda engine: run.log_image("filters", picture(engine)))

The step of what is logged is then the engine's iteration, and a run that goes on after a kill first
takes back what it is going to log again: a file ends up as that of a run that was never stopped.
"""

from __future__ import annotations

from jaxtrain.engine import Engine, Events
from jaxtrain.hooks.rows import completed_epochs
from jaxtrain.tracking import Run


class Tracking:
    """Lets `run` know where the engine stands.

    Args:
        run: what is logged into; one engine at a time has it.
    """

    def __init__(self, run: Run) -> None:
        self.run = run

    def attach(self, engine: Engine) -> None:
        """Subscribe; what handlers log at the start comes after this."""
        begins = Events.STARTED | Events.RESUMED
        engine.attach_handler(begins, self._rewind, priority=float("inf"))

    def _rewind(self, engine: Engine) -> None:
        def position() -> tuple[int, int]:
            return engine.state.iteration, completed_epochs(engine.state)

        self.run.follow(position)
        self.run.rewind(*position())
