"""Where the seconds of a run of ours go: its command, with clocks around its parts.

    python -m benchmarks.runs.stages FILE config.json --workdir DIR

The seconds of a part are without those of the parts within it: a save in an epoch is no step.
What XLA compiles is a part of its own wherever it happens. FILE gets them by name, as JSON; a run
that is timed as a whole is another, without the clocks.
"""

from __future__ import annotations

import functools
import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# By the part: the functions whose time it is, where they are called, as module and name.
PARTS: dict[str, tuple[str, ...]] = {
    "data": ("jaxtrain.run.data:RunData.of",),
    "task": ("jaxtrain.run.task:Task.of",),
    "first parameters": ("jaxtrain.run.task:Task.initial_state",),
    "experiment": ("jaxtrain.run.experiment:Experiment.__init__",),
    "checks of the data": ("jaxtrain.run.data:RunData.refuse_broken",),
    "steps": ("jaxtrain.engine.engine:Engine.run",),
    "validation": ("jaxtrain.hooks.validation:run_unless_stopping",),
    "saves": (
        "jaxtrain.checkpoint.store:CheckpointStore.save",
        "jaxtrain.checkpoint.store:CheckpointStore.wait",
        "jaxtrain.checkpoint.store:CheckpointStore.look",
        "jaxtrain.checkpoint.store:CheckpointStore.best",
    ),
    "pictures": ("jaxtrain.report.curves:draw_curves",),
    "test and report": (
        "jaxtrain.run.experiment:run_unless_stopping",
        "jaxtrain.run.experiment:write_summary",
    ),
}

ALSO_WITHIN = {"steps": ("validation", "test and report")}
"""An evaluation is an engine's run, too; it is no steps."""


class Clocks:
    """Seconds by part, each without those of the parts within it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._within: list[float] = []
        self._open: list[str] = []

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Whatever is done within belongs to `name`, but for the parts in it."""
        if any(part in ALSO_WITHIN.get(name, ()) for part in self._open):
            yield
            return
        began = time.perf_counter()
        self._within.append(0.0)
        self._open.append(name)
        try:
            yield
        finally:
            self._open.pop()
            took = time.perf_counter() - began
            self.add(name, took - self._within.pop())
            if self._within:
                self._within[-1] += took

    def add(self, name: str, seconds: float) -> None:
        """Seconds of a part, measured by others."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def within(self, seconds: float) -> None:
        """So many of the seconds that go by now are those of another part."""
        if self._within:
            self._within[-1] += seconds

    def around(self, place: str, name: str) -> None:
        """Put a clock around a function, as `module:function` or `module:Class.function`."""
        module, _, path = place.partition(":")
        owner, _, attribute = path.rpartition(".")
        holder: Any = importlib.import_module(module)
        holder = getattr(holder, owner) if owner else holder
        found = holder.__dict__[attribute]
        kind = type(found) if isinstance(found, classmethod) else None
        function: Callable[..., Any] = found.__func__ if kind else found

        @functools.wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            with self.part(name):
                return function(*arguments, **options)

        setattr(holder, attribute, kind(timed) if kind else timed)


def main(argv: list[str]) -> int:
    began = time.perf_counter()
    file, *words = argv
    clocks = Clocks()
    with clocks.part("imports"):
        import jax

        from jaxtrain.main import main as command

    def compiled(event: str, seconds: float, **_: Any) -> None:
        if "backend_compile" in event:
            clocks.add("compilation", seconds)
            clocks.within(seconds)

    jax.monitoring.register_event_duration_secs_listener(compiled)
    for name, places in PARTS.items():
        for place in places:
            clocks.around(place, name)
    with clocks.part("the rest"):
        code = command(words)
    clocks.add("in all", time.perf_counter() - began)
    Path(file).write_text(json.dumps(clocks.seconds))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
