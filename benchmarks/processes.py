"""A process of its own for whatever is measured: nobody disturbs another's threads or memory.

    with OwnProcess("PyTorch", cores=1) as process:
        process.call(math.sqrt, 2.0)                  # what a function returns there
        process.make(Training, shape)                 # an object that stays there,
        process.ask("round", 10)                      # and what its methods return

Processes stay alive from call to call, idle, so that rounds of different frameworks can take turns:
what disturbs the machine for a while then disturbs them all. They are spawned: a fork would inherit
threads and devices.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from types import MappingProxyType
from typing import Any, TypeVar

# By default the C library gives large freed blocks back to the system, and whoever works with
# arrays of some megabytes fetches them again, page by page, in each step: in some processes, in
# others of the same program not. So all frameworks get an allocator that keeps them.
KEEPS_MEMORY = MappingProxyType(
    {
        "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),  # the largest that is obeyed
        "MALLOC_TRIM_THRESHOLD_": str(16 * 2**30),
        "MALLOC_TOP_PAD_": str(128 * 2**20),
        # What is larger is fetched in any case, so let it be in pages that are large as well.
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    }
)

# Thread pools of a process that has just finished spin for some milliseconds before they sleep.
REST_SECONDS = 0.1

Found = TypeVar("Found")


class ProcessFailed(RuntimeError):
    """What was asked for raised there, or the process ended.

    Attributes:
        why: in a line.
    """

    def __init__(self, message: str, why: str) -> None:
        super().__init__(message)
        self.why = why


class OwnProcess:
    """Does what it is asked, one call after the other.

    Args:
        name: what stands in front of its errors.
        environment: variables that it begins with, besides the present ones; "" takes one away.
        cores: how many it may use; all by default.
        has_children: whether it starts processes itself.
    """

    def __init__(
        self,
        name: str,
        *,
        environment: Mapping[str, str] = KEEPS_MEMORY,
        cores: int | None = None,
        has_children: bool = False,
    ) -> None:
        self.name = name
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        # Children of a daemon are forbidden; others are waited for when the program ends.
        self._process = spawn.Process(target=_serve, args=(theirs, cores), daemon=not has_children)
        before = dict(os.environ)
        os.environ.update(environment)
        for variable in [key for key, value in environment.items() if not value]:
            del os.environ[variable]
        try:
            self._process.start()
        finally:
            os.environ.clear()
            os.environ.update(before)
        theirs.close()

    def call(
        self, function: Callable[..., Found], *arguments: Any, seconds: float | None = None
    ) -> Found:
        """What `function` returns there.

        Args:
            function: one that can be imported.
            arguments: what it is called with.
            seconds: at most; then the process is ended.

        Raises:
            ProcessFailed: it raised, or the process ended.
            TimeoutError: it took longer.
        """
        found: Found = self._answer("call", function, arguments, seconds)
        return found

    def make(self, factory: Callable[..., Any], *arguments: Any) -> None:
        """Keep there what `factory` returns, in the place of what it kept before."""
        self._answer("make", factory, arguments, None)

    def ask(self, method: str, *arguments: Any) -> Any:
        """What a method of the kept object returns."""
        return self._answer("ask", method, arguments, None)

    def _answer(self, *request: Any) -> Any:
        *asked, seconds = request
        try:
            self._pipe.send(asked)
            if seconds is not None and not self._pipe.poll(max(0.0, seconds)):
                self._end()
                raise TimeoutError(f"{self.name}: was not done in {seconds:.0f} s")
            answer, error = self._pipe.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self._process.join()
            why = f"its process ended with code {self._process.exitcode}"
            raise ProcessFailed(f"{self.name}: {why}", why) from None
        if error is not None:
            why, trace = error
            raise ProcessFailed(f"{self.name}: {asked[1:]} failed\n{trace}", why)
        return answer

    def _end(self) -> None:
        self._process.terminate()
        self._process.join(5)
        self._process.kill()  # nothing where it has ended

    def close(self) -> None:
        """End the process, when it has done what it was asked for."""
        self._pipe.close()
        self._process.join()

    def __enter__(self) -> OwnProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is not None:  # nobody waits for what it is still doing
            self._end()
        self.close()


class Stopwatch:
    """Seconds by the clock, and of all processor cores together, since it was made.

    The second hardly depend on what else the machine does.
    """

    def __init__(self) -> None:
        self._clock, self._processor = time.perf_counter(), time.process_time()

    def rates(self, count: float) -> dict[str, float]:
        """How many of `count` things a second of each, `{"clock": ..., "processor": ...}`."""
        clock = time.perf_counter() - self._clock
        processor = time.process_time() - self._processor
        # A clock of the system may stand still for as long as a tiny round takes.
        return {"clock": count / clock, "processor": count / max(processor, 1e-9)}


def leave_ctrl_c_alone() -> None:
    """A terminal's Ctrl-C reaches all processes; the one that was started answers it for all."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _serve(pipe: Connection, cores: int | None) -> None:
    """Answer requests by (answer, None) or (None, (why, traceback)), until the pipe ends."""
    leave_ctrl_c_alone()
    if cores is not None:  # before a library counts them
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    kept: Any = None
    while True:
        try:
            kind, what, arguments = pipe.recv()
        except EOFError:
            return
        try:
            if kind == "make":
                kept = None  # lets go of the one before, its data above all
                kept = what(*arguments)
                answer = None
            else:
                answer = (getattr(kept, what) if kind == "ask" else what)(*arguments)
            pipe.send((answer, None))
        except Exception as error:  # whatever it is, it is shown where the benchmark was started
            first = (str(error).strip().splitlines() or [""])[0]
            why = f"{type(error).__name__}: {first}" if first else type(error).__name__
            pipe.send((None, (why, traceback.format_exc())))
