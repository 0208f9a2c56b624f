"""A process for each framework, that trains for a round when it is asked to.

with Worker("keras_50") as worker:
    worker.prepare("digits_mlp", seconds=1.0)     # builds, compiles, warms up
    worker.round()                                # steps a second
"""

from __future__ import annotations

import time

from benchmarks.loops.frameworks import FRAMEWORKS, Run
from benchmarks.loops.tasks import TASKS
from benchmarks.processes import KEEPS_MEMORY, OwnProcess


class Worker(OwnProcess):
    """Trains with one framework in a process of its own.

    Args:
        framework: a key of `FRAMEWORKS`.
        keeps_memory: whether its allocator keeps what is freed (glibc).
    """

    def __init__(self, framework: str, *, keeps_memory: bool = True) -> None:
        super().__init__(framework, environment=KEEPS_MEMORY if keeps_memory else {})

    def prepare(self, task: str, *, seconds: float, batches: int | None = None) -> None:
        """Build the loop for `task` and warm it up.

        Args:
            task: a key of `TASKS`.
            seconds: about how long a round shall be; it is a whole number of epochs.
            batches: steps an epoch, where it is not the task's own number.
        """
        self.make(_Prepared, self.name, task, seconds, batches)

    def round(self) -> float:
        """Train for a round; steps a second."""
        return float(self.ask("round"))


class _Prepared:
    """A loop that is warm, with the number of epochs that make a round."""

    def __init__(self, framework: str, name: str, seconds: float, batches: int | None) -> None:
        task = TASKS[name] if batches is None else TASKS[name].shortened(batches)
        self._run: Run = FRAMEWORKS[framework].make(task)
        self._run(1)  # compiles
        self._epochs = 1
        took = self._time()
        self._epochs = max(1, round(seconds / took))
        if self._epochs > 1:
            # A first guess from one epoch is poor where a run has costs of its own.
            took = self._time()
            self._epochs = max(1, round(self._epochs * seconds / took))
        self._steps = task.batches

    def _time(self) -> float:
        began = time.perf_counter()
        self._run(self._epochs)
        return time.perf_counter() - began

    def round(self) -> float:
        return self._epochs * self._steps / self._time()
