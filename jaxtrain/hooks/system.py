"""system.jsonl: what the machine does meanwhile, a row every few seconds.

    {"iteration": 1200, "seconds": 12.5, "cpu_percent": 180.0, "host_memory_bytes": 812000000,
     "iterations_per_second": 96.2, "examples_per_second": 12313.6, "data_wait_share": 0.02, ...}

`trainer.attach(System(run_directory))` writes it. It is not metrics.jsonl, whose bytes are the same
whether a run was stopped or not: these rows are of the process that wrote them, and one that goes
on adds its own. `seconds` begins at 0 there.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import psutil
import pydantic

from jaxtrain.engine import Engine, Events
from jaxtrain.errors import CheckpointError
from jaxtrain.hooks.registry import HOOKS
from jaxtrain.tracking import append_row

# Between two notes of how far the engine is. Nothing is read from the device for it.
_LOOK_SECONDS = 0.1
_COMPILED = "/jax/core/compile/backend_compile_duration"

# What a device tells, where its backend knows it (a CPU's does not), and what it is called here.
_DEVICE = {
    "bytes_in_use": "device_memory_bytes",
    "peak_bytes_in_use": "device_memory_peak_bytes",
    "bytes_limit": "device_memory_limit_bytes",
}


class _Note(NamedTuple):
    """How far the engine is, noted in its own thread, between two iterations."""

    time: float
    iteration: int
    waited: float


@HOOKS.register("system")
class System:
    """Writes `system.jsonl` into `directory`, from a thread of its own.

    | figure | |
    |---|---|
    | `iteration` | iterations launched; up to about half a second of them may be on their way |
    | `seconds` | since this process began to train |
    | `seconds_to_first_step` | of these, until a step was launched, to a tenth: compilation |
    | `compile_seconds` | in XLA's compiler since then, of all that this process has compiled |
    | `iterations_per_second` | since the row before; not there where none has ended in between |
    | `examples_per_second` | that, times the loader's batch size |
    | `data_wait_share` | of the time since the row before, spent on getting batches |
    | `cpu_percent` | of this process, 100 for a core; `host_cpu_percent`: of all, at most 100 |
    | `host_memory_bytes` | of this process; `host_memory_percent`: of the machine's, by all |
    | `device_memory_bytes`, `..._peak_bytes`, `..._limit_bytes` | of the fullest, if it tells |
    | `live_array_bytes` | of the arrays that JAX holds, on the device that has most of them |

    No dispatch ends for it. A run that begins anew begins the file anew. At the end, however that
    comes, there is a last row.

    Args:
        directory: where the file goes; made when the run begins.
        seconds: between two rows.

    Raises:
        OSError: a row can't be written in full; raised in the run, at its next iteration.
    """

    FILE_NAME = "system.jsonl"
    writes = (FILE_NAME,)

    def __init__(self, directory: str | Path, *, seconds: pydantic.PositiveFloat = 10.0) -> None:
        self.path = Path(directory) / self.FILE_NAME
        self.seconds = seconds
        self._watch: _Watch | None = None

    def attach(self, engine: Engine) -> None:
        """Subscribe."""
        over = Events.COMPLETED | Events.INTERRUPT
        engine.attach_handler(Events.STARTED, self._begin_anew, priority=float("inf"))
        engine.attach_handler(Events.STARTED | Events.RESUMED, self._start)
        looks = Events.ITERATION_COMPLETED(every_seconds=min(self.seconds, _LOOK_SECONDS))
        engine.attach_handler(looks, self._look)
        engine.attach_handler(over, self._stop)
        engine.attach_handler(Events.EXCEPTION_RAISED, self._fail)

    def _begin_anew(self) -> None:
        self.path.unlink(missing_ok=True)

    def _start(self, engine: Engine) -> None:
        if self._watch is not None:
            self._watch.stop()  # of a loop of somebody's own, which was left without a word
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._watch = _Watch(self.path, self.seconds, _note(engine), engine.batch_size)
        self._watch.start()

    def _look(self, engine: Engine) -> None:
        if self._watch is not None:
            self._watch.look(_note(engine))

    def _stop(self, engine: Engine) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.look(_note(engine))
            watch.stop()
            watch.write()

    def _fail(self, engine: Engine, error: BaseException) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.stop()
            # A full disk, or a directory that is gone: `error` is the one to raise.
            with contextlib.suppress(OSError, CheckpointError):
                watch.write()


class _Watch:
    """The thread, and what it knows of one sitting of a run."""

    def __init__(self, path: Path, seconds: float, first: _Note, batch_size: int | None) -> None:
        self._path = path
        self._seconds = seconds
        self._first = self._written = self._noted = first
        self._batch_size = batch_size
        self._first_step: float | None = None
        self._compiled = 0.0
        self._error: Exception | None = None
        self._process = psutil.Process()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="jaxtrain-system", daemon=True)

    def start(self) -> None:
        jax.monitoring.register_event_duration_secs_listener(self._hear)
        # The first call says since when the second one counts.
        self._process.cpu_percent()
        psutil.cpu_percent()
        self._thread.start()

    def look(self, note: _Note) -> None:
        """In the engine's thread: how far it is. What the other thread has met is raised here."""
        if self._first_step is None and note.iteration > self._first.iteration:
            self._first_step = note.time - self._first.time
        self._noted = note
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def stop(self) -> None:
        if not self._over.is_set():
            self._over.set()
            self._thread.join()
            jax.monitoring.unregister_event_duration_listener(self._hear)

    def write(self) -> None:
        """Add a row.

        Raises:
            OSError: it can't be written in full.
            CheckpointError: the run's directory is gone.
        """
        append_row(self._path, self._row())

    def _work(self) -> None:
        while not self._over.wait(self._seconds):
            try:
                self.write()
            except Exception as error:
                self._error = error
                return

    def _row(self) -> dict[str, Any]:
        before, now = self._written, self._noted
        row: dict[str, Any] = {
            "iteration": now.iteration,
            "seconds": round(time.monotonic() - self._first.time, 3),
        }
        if self._first_step is not None:
            row["seconds_to_first_step"] = round(self._first_step, 3)
        row["compile_seconds"] = round(self._compiled, 3)
        if now.iteration > before.iteration:
            self._written = now
            took = now.time - before.time
            rate = (now.iteration - before.iteration) / took
            row["iterations_per_second"] = rate
            if self._batch_size is not None:
                row["examples_per_second"] = rate * self._batch_size
            row["data_wait_share"] = (now.waited - before.waited) / took
        row["cpu_percent"] = self._process.cpu_percent()
        row["host_cpu_percent"] = psutil.cpu_percent()
        row["host_memory_bytes"] = self._process.memory_info().rss
        row["host_memory_percent"] = psutil.virtual_memory().percent
        row["live_array_bytes"] = _live_array_bytes()
        return row | _device_memory()

    def _hear(self, event: str, duration_secs: float, **_: str | int) -> None:
        if event == _COMPILED:
            self._compiled += duration_secs


def _note(engine: Engine) -> _Note:
    return _Note(time.monotonic(), engine.state.iteration, engine.waited)


def _live_array_bytes() -> int:
    """Of all arrays of this process: what lies on the device that has most of them."""
    held: dict[Any, int] = dict.fromkeys(jax.local_devices(), 0)
    for array in jax.live_arrays():
        size = math.prod(array.sharding.shard_shape(array.shape)) * array.dtype.itemsize
        for device in array.sharding.addressable_devices:
            held[device] = held.get(device, 0) + size
    return max(held.values())


def _device_memory() -> dict[str, int]:
    """Of the device of this process that has most in use; empty where no backend tells."""
    try:
        told = [stats for device in jax.local_devices() if (stats := device.memory_stats())]
    except jax.errors.JaxRuntimeError:  # some backends have no such thing
        return {}
    if not told:
        return {}
    fullest = max(told, key=lambda stats: stats.get("bytes_in_use", 0))
    return {name: int(fullest[key]) for key, name in _DEVICE.items() if fullest.get(key, -1) >= 0}
