"""Stop: what somebody has asked of a run: to leave it, or its epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass
class Stop:
    """What was asked for and not heeded yet.

    Attributes:
        run: "terminate" ends the run, "interrupt" leaves it so that the next one continues there.
        epoch: whether this epoch is to end.
    """

    run: Literal["", "terminate", "interrupt"] = ""
    epoch: bool = False

    def terminate(self) -> None:
        """End the run; that it was to be interrupted does not matter then."""
        self.run = "terminate"

    def interrupt(self) -> None:
        """Leave the run; after `terminate` it changes nothing."""
        self.run = self.run or "interrupt"

    def __bool__(self) -> bool:
        return bool(self.run) or self.epoch
