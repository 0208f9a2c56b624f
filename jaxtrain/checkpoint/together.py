"""All processes of a run, as one that writes and reads a directory.

    together = Together("a/checkpoints")
    together.share("begin", lambda: choose() if together.first else "")[0]     # what process 0 says
    together.do("written", lambda: write(own))       # CheckpointError in all where it fails in one

Each step is done by every process, perhaps with nothing to do in it, and ends with a meeting where
each learns how the others fared. So all go on or all stop, whatever becomes of one. A process alone
meets nobody: its own exception is all there is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import jax

from jaxtrain.errors import CheckpointError, JaxtrainError
from jaxtrain.parallel import exchange

Found = TypeVar("Found")


class Together:
    """The processes of this run.

    Args:
        name: what they have in common, the same in each; begins the name of each meeting. Without
            one, each is on its own.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def count(self) -> int:
        """How many there are. Asked of JAX only where there may be several: it begins devices."""
        return jax.process_count() if self._name and jax.distributed.is_initialized() else 1

    @property
    def own(self) -> int:
        """Which one this is."""
        return jax.process_index() if self.count > 1 else 0

    @property
    def first(self) -> bool:
        """Whether this is the one that does what one must do alone."""
        return self.own == 0

    def do(self, step: str, action: Callable[[], Found]) -> Found:
        """Do a step, and learn that the others have done it, too.

        Args:
            step: what it is called, in all processes.
            action: this one's part in it.

        Returns:
            What it gave here.

        Raises:
            CheckpointError: it failed in a process, which is named.
            PeerError: one did not come in time.
        """
        found: list[Found] = []
        self.share(step, lambda: found.append(action()))
        return found[0]

    def share(self, step: str, action: Callable[[], Found]) -> list[Found]:
        """`do`, of which everybody learns what it gave: JSON values, by process."""
        if self.count == 1:
            return [action()]
        failed: Exception | None = None
        try:
            said: dict[str, Any] = {"found": action()}
        # Whatever it is, the others must not wait for a process that has stopped.
        except Exception as error:
            failed, said = error, {"error": str(error) or type(error).__name__}
        answers = [
            json.loads(answer) for answer in exchange(f"{self._name}/{step}", json.dumps(said))
        ]
        faults = [
            f"process {process}: {answer['error']}"
            for process, answer in enumerate(answers)
            if "error" in answer
        ]
        if isinstance(failed, JaxtrainError) and type(failed) is not CheckpointError:
            raise failed  # it says more than that something failed
        if faults:
            raise CheckpointError("; ".join(faults)) from failed
        return [answer["found"] for answer in answers]

    def agreed_fault(self, step: str, fault: str) -> str:
        """What is wrong by the first process that has found something; empty where none has."""
        faults = self.share(step, lambda: fault)
        return next(filter(None, faults), "")


ALONE = Together("")
"""One process that does not wait for the others of its run, if there are any."""
