"""Lets go of a machine in time.

    trainer.attach(TimeLimit(limit="2h"))

The run is saved and left as on a signal: `python -m jaxtrain.main` exits with 75, and the same
command goes on, with the whole limit again. Nothing is lost, and nothing is over before
`train.epochs` is reached.
"""

from __future__ import annotations

import logging
import re
import time
from typing import Annotated

import pydantic

from jaxtrain.engine import Engine, Events
from jaxtrain.hooks.registry import HOOKS

logger = logging.getLogger(__name__)

# Between two looks at the clock.
_LOOK_SECONDS = 0.1
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(duration: float | str) -> float:
    """A duration as a number of seconds.

    >>> seconds("90s"), seconds("1.5h"), seconds(20)
    (90.0, 5400.0, 20.0)

    Raises:
        ValueError: where it is neither a number nor a number with a unit, or not above 0.
    """
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([smhd]?)", str(duration).strip())
    result = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if isinstance(duration, bool) or not result > 0:
        raise ValueError(
            f"expected seconds or a duration such as '90s', '5m' or '2h', found {duration!r}"
        )
    return result


Duration = Annotated[float, pydantic.BeforeValidator(seconds)]


@HOOKS.register("time_limit")
class TimeLimit:
    """Interrupts the run once this process has trained for `limit`.

    Where the engine runs without checkpoints, its next `run` goes on.

    Args:
        limit: seconds, or a number with a unit: s, m, h or d.
    """

    def __init__(self, *, limit: Duration) -> None:
        self.limit = seconds(limit)
        self._started = 0.0

    def attach(self, engine: Engine) -> None:
        """Subscribe."""
        engine.attach_handler(Events.STARTED | Events.RESUMED, self._start)
        engine.attach_handler(Events.ITERATION_COMPLETED(every_seconds=_LOOK_SECONDS), self._look)

    def _start(self, engine: Engine) -> None:
        self._started = time.monotonic()

    def _look(self, engine: Engine) -> None:
        if time.monotonic() - self._started >= self.limit:
            logger.info(
                "interrupted by the time limit of %g s after iteration %d",
                self.limit,
                engine.state.iteration,
            )
            engine.interrupt()
