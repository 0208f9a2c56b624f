"""Stop: what somebody has asked of a run: to leave it, or its epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jaxtrain.parallel import Together


@dataclass
class Stop:
    """What was asked for and not heeded yet.

    Attributes:
        run: "terminate" ends the run, "interrupt" leaves it so that the next one continues there.
        epoch: whether this epoch is to end.
        together: where the run is one of several processes, their common stop.
    """

    run: Literal["", "terminate", "interrupt"] = ""
    epoch: bool = False
    together: Together | None = None

    def terminate(self) -> None:
        """End the run; that it was to be interrupted does not matter then."""
        self.run = "terminate"

    def interrupt(self) -> None:
        """Leave the run; after `terminate` it changes nothing."""
        self.run = self.run or "interrupt"

    def ask(self) -> None:
        """Leave the run as soon as can be: at once, or at a place where all processes can."""
        if self.together is None:
            self.interrupt()
        elif not self.run:
            self.together.ask()

    def heed(self) -> bool:
        """Whether the run stops here, at a place that all of its processes come to."""
        if self.together is not None and self.together.reached():
            self.interrupt()
        return bool(self.run)

    def __bool__(self) -> bool:
        return bool(self.run) or self.epoch
