"""A process for each framework, so that none of them disturbs another's threads or memory.

    with Worker("keras_50") as worker:
        worker.prepare("digits_mlp", seconds=1.0)     # builds, compiles, warms up
        worker.round()                                # steps a second

Processes stay alive from round to round, idle, so that rounds of different frameworks can take
turns: what disturbs the machine for a while then disturbs them all.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.loops.frameworks import FRAMEWORKS, Run
from benchmarks.loops.tasks import TASKS, Task

# By default the C library gives large freed blocks back to the system, and whoever works with
# arrays of some megabytes fetches them again, page by page, in each step: in some processes, in
# others of the same program not. So all frameworks get an allocator that keeps them.
KEEPS_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),  # the largest that is obeyed
    "MALLOC_TRIM_THRESHOLD_": str(16 * 2**30),
    "MALLOC_TOP_PAD_": str(128 * 2**20),
}


class Worker:
    """Trains with one framework in a process of its own.

    Args:
        framework: a key of `FRAMEWORKS`.
        keeps_memory: whether its allocator keeps what is freed (glibc).
    """

    def __init__(self, framework: str, *, keeps_memory: bool = True) -> None:
        self.framework = framework
        spawn = multiprocessing.get_context("spawn")  # a fork would inherit threads and devices
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(framework, theirs), daemon=True)
        before = dict(os.environ)
        os.environ.update(KEEPS_MEMORY if keeps_memory else {})
        try:
            self._process.start()
        finally:
            os.environ.clear()
            os.environ.update(before)
        theirs.close()

    def prepare(self, task: str, *, seconds: float, batches: int | None = None) -> int:
        """Build the loop for `task` and warm it up.

        Args:
            task: a key of `TASKS`.
            seconds: about how long a round shall be; it is a whole number of epochs.
            batches: steps an epoch, where it is not the task's own number.

        Returns:
            Epochs a round.
        """
        return int(self._ask("prepare", task, seconds, batches))

    def round(self) -> float:
        """Train for a round; steps a second."""
        return float(self._ask("round"))

    def _ask(self, *request: Any) -> Any:
        try:
            self._pipe.send(request)
            answer, error = self._pipe.recv()
        except (EOFError, BrokenPipeError):
            self._process.join()
            raise RuntimeError(
                f"{self.framework}: its process ended with code {self._process.exitcode}"
            ) from None
        if error is not None:
            raise RuntimeError(f"{self.framework}: {request} failed\n{error}")
        return answer

    def close(self) -> None:
        """End the process, when it has done what it was asked for."""
        self._pipe.close()
        self._process.join()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is not None:  # nobody waits for what it is still doing
            self._process.terminate()
        self.close()


class _Prepared:
    """A loop that is warm, with the number of epochs that make a round."""

    def __init__(self, framework: str, task: Task, seconds: float) -> None:
        self._run: Run = FRAMEWORKS[framework].make(task)
        self._run(1)  # compiles
        self.epochs = 1
        took = self._time()
        self.epochs = max(1, round(seconds / took))
        if self.epochs > 1:
            # A first guess from one epoch is poor where a run has costs of its own.
            took = self._time()
            self.epochs = max(1, round(self.epochs * seconds / took))
        self._steps = task.batches

    def _time(self) -> float:
        began = time.perf_counter()
        self._run(self.epochs)
        return time.perf_counter() - began

    def round(self) -> float:
        return self.epochs * self._steps / self._time()


def leave_ctrl_c_alone() -> None:
    """A terminal's Ctrl-C reaches all processes; the one that was started answers it for all."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _serve(framework: str, pipe: Connection) -> None:
    """Answer requests by (answer, None) or (None, traceback), until the pipe ends."""
    leave_ctrl_c_alone()
    prepared: _Prepared | None = None
    while True:
        try:
            name, *arguments = pipe.recv()
        except EOFError:
            return
        try:
            if name == "prepare":
                task, seconds, batches = arguments
                prepared = None  # lets go of the task before, its data above all
                chosen = TASKS[task] if batches is None else TASKS[task].shortened(batches)
                prepared = _Prepared(framework, chosen, seconds)
                pipe.send((prepared.epochs, None))
            else:
                assert prepared is not None
                pipe.send((prepared.round(), None))
        except Exception:  # whatever it is, it is shown where the benchmark was started
            pipe.send((None, traceback.format_exc()))
