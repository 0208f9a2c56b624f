"""A run that is being recorded: what is logged is on the disk when the call returns.

    with tracking.run("digits", config={"width": 64}, tags=["first"]) as run:
        for step, loss in enumerate(losses, 1):
            run.log({"loss": loss}, step=step)
        run.log_image("filters", picture)
        run.log_artifact(Artifact("classifier", "model").add_file("model.safetensors"))

Steps go up, on each axis by itself: a smaller one is an error at once, since no curve can show it.
What is counted otherwise than in steps gets an axis of its own:
`run.log({"auc": a}, 3, axis="fold")`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from jaxtrain.errors import TrackingError
from jaxtrain.files import inside, replacing
from jaxtrain.tracking import artifacts, media
from jaxtrain.tracking.artifacts import Artifact, LoggedArtifact
from jaxtrain.tracking.media import Medium
from jaxtrain.tracking.record import RunRecord, find_runs
from jaxtrain.tracking.rows import LOG, STEP, append_row, is_behind, is_count, read_rows, rewind

_RESERVED = frozenset({"event", "epoch", "iteration", "step", "axis"})

Position = Callable[[], tuple[int, int]]


class Sink(Protocol):
    """What hears of everything that is logged, beside the files: TensorBoard."""

    def figures(self, values: Mapping[str, float], step: int, axis: str) -> None:
        """Numbers by their names, at a step of an axis."""

    def medium(self, medium: Medium, name: str, step: int) -> None:
        """A picture, histogram, text or table."""


class Run:
    """A run's directory, to be written to.

    Args:
        directory: must be there, and nobody else's.
        position: iterations and whole epochs of the engine that is running, where there is one:
            by them a run that goes on knows what will come again.
        writes: False for a run that only checks what it is given.

    Attributes:
        directory: where it is.
    """

    def __init__(
        self, directory: Path, *, position: Position | None = None, writes: bool = True
    ) -> None:
        self.directory = directory
        self._rows = directory / "metrics.jsonl"
        self._position = position
        self._writes = writes
        self._sinks: list[Sink] = []
        self._last = self._last_steps()

    @property
    def id(self) -> str:
        """The name of the directory."""
        return self.directory.name

    @property
    def record(self) -> RunRecord:
        """What is on the disk by now."""
        return RunRecord.read(self.directory)

    def follow(self, position: Position) -> None:
        """Take where an engine stands for the step of what is logged; see `hooks.Tracking`."""
        self._position = position

    def add_sink(self, sink: Sink) -> None:
        """Have `sink` hear of what is logged from now on."""
        self._sinks.append(sink)

    def remove_sink(self, sink: Sink) -> None:
        """Have it hear no more."""
        self._sinks.remove(sink)

    def log(self, values: Mapping[str, Any], step: int | None = None, *, axis: str = STEP) -> None:
        """Log numbers.

        Args:
            values: numbers by their names, `/` in them for groups; an array of one number, too.
            step: where on the axis, from 0 on. By default the engine's iteration where one runs,
                else one more than the last step; several calls may have the same.
            axis: what is counted.

        Raises:
            TrackingError: a step before the last one of that axis, or a value that is no number.
                Nothing was written.
        """
        if not values:
            raise TrackingError("log: expected numbers by their names, found none")
        figures = {}
        for name, value in values.items():
            if not isinstance(name, str) or not name or name in _RESERVED:
                raise TrackingError(
                    f"log: {name!r} can't be the name of a number; its step is the second argument"
                )
            figures[name] = media.plain(value, f"log: {name}")
        step = self._step(step, axis)
        self._last[axis] = step
        place = {"step": step} if axis == STEP else {"step": step, "axis": axis}
        row = {"event": LOG, **self._at(), **place, **figures}
        if not self._writes:
            return
        append_row(self._rows, row)
        for sink in self._sinks:
            sink.figures(figures, step, axis)

    def log_image(
        self, name: str, image: Any, step: int | None = None, *, caption: str = ""
    ) -> None:
        """Log a picture: an array `[H, W]`, `[H, W, 1]`, `[H, W, 3]` or `[H, W, 4]` of uint8 or of
        floats from 0 to 1, a figure of matplotlib, or the path of a PNG.

        Raises:
            TrackingError: it is none, or the step is before the last one.
            ConfigError: the name can't be one of files.
        """
        self._log(media.image(image), name, step, caption)

    def log_histogram(
        self, name: str, values: Any, step: int | None = None, *, bins: int = 64
    ) -> None:
        """Log how the numbers of an array, of any shape, are spread; see `log_image` for errors."""
        self._log(media.histogram(values, bins), name, step)

    def log_text(self, name: str, text: str, step: int | None = None) -> None:
        """Log a text; see `log_image` for errors."""
        self._log(media.text(text), name, step)

    def log_table(
        self,
        name: str,
        rows: Any,
        step: int | None = None,
        *,
        columns: Iterable[str] | None = None,
    ) -> None:
        """Log rows: a list of dicts, or of lists beside `columns`; see `log_image` for errors."""
        self._log(media.table(rows, columns), name, step)

    def log_artifact(
        self, artifact: Artifact, *, aliases: Sequence[str] = ()
    ) -> LoggedArtifact | None:
        """Store the files of an artifact; what is there already is not stored again.

        Args:
            artifact: what to store.
            aliases: names that lead to it from now on, such as "best"; "latest" is always one.

        Returns:
            What is stored; None in the mode "disabled".

        Raises:
            TrackingError: it holds no file.
            ConfigError: an alias can't be a name.
        """
        if not self._writes:
            return None
        return artifacts.log_artifact(self.directory, artifact, aliases)

    def use_artifact(self, reference: str) -> LoggedArtifact:
        """An artifact of any run of the project, verified: `name:alias` or `name:version`.

        That it was used is noted in `artifacts/used.jsonl`.

        Raises:
            ConfigError: there is none; those that are there are listed.
            DataError: its files were changed.
        """
        runs = {record.path.resolve() for record in find_runs(self.directory.parent)}
        found = artifacts.find_artifact(sorted(runs | {self.directory.resolve()}), reference)
        if not self._writes:
            return found
        (self.directory / "artifacts").mkdir(exist_ok=True)
        used = {"name": found.name, "version": found.version, "run": str(found.run)}
        append_row(self.directory / "artifacts" / "used.jsonl", used)
        return found

    def forget_media(self, beginning: str) -> None:
        """Take back pictures, texts and the like whose names begin so: they are logged anew."""
        index = self.directory / "media.jsonl"
        self._remove(rewind(index, lambda row: not str(row.get("name")).startswith(beginning)))

    def rewind(self, iteration: int, epochs: int) -> None:
        """Take back what was logged beyond a point: the engine that goes on there logs it again.

        Args:
            iteration: iterations behind that point; 0 takes all back, but for artifacts.
            epochs: whole epochs behind it.
        """

        def is_right(row: Mapping[str, Any]) -> bool:
            return all(is_count(row.get(name), 0) for name in ("iteration", "epoch"))

        def stays(row: Mapping[str, Any]) -> bool:
            return iteration > 0 and is_behind(row, iteration, epochs)

        rewind(
            self._rows,
            lambda row: row.get("event") != LOG or stays(row),
            belongs=lambda row: row.get("event") != LOG or is_right(row),
            needed="epoch and iteration",
        )
        index = self.directory / "media.jsonl"
        self._remove(rewind(index, stays, belongs=is_right, needed="epoch and iteration"))
        for left in (self.directory / "media").rglob(".*.tmp"):  # by a kill
            left.unlink()
        self._last = self._last_steps()

    def _log(self, medium: Medium, name: str, step: int | None, caption: str = "") -> None:
        at = self._at()
        step = at["iteration"] if step is None else _whole(step, f"{medium.kind} {name}")
        home = inside(self.directory, "media", f"{medium.kind}s", *name.split("/"))
        if not self._writes:
            return
        digest = hashlib.sha256(medium.content).hexdigest()[:8]
        file = home / f"{step}-{digest}{medium.suffix}"
        with replacing(file) as temporary:
            temporary.write_bytes(medium.content)
        row = {
            "kind": medium.kind,
            "name": name,
            **at,
            "step": step,
            "file": str(file.relative_to(self.directory)),
            **({"caption": caption} if caption else {}),
            **medium.told,
        }
        append_row(self.directory / "media.jsonl", row)
        for sink in self._sinks:
            sink.medium(medium, name, step)

    def _remove(self, gone: list[dict[str, Any]]) -> None:
        """Remove the files of lines that were taken back, but for those that others have, too."""
        if not gone:
            return
        kept = {row.get("file") for row in read_rows(self.directory / "media.jsonl")[0]}
        for file in {row["file"] for row in gone if isinstance(row.get("file"), str)} - kept:
            path = self.directory / file
            if path.resolve().is_relative_to((self.directory / "media").resolve()):
                path.unlink(missing_ok=True)

    def _at(self) -> dict[str, int]:
        """Where the run stands: what is logged now comes again if it goes on from before."""
        if self._position is not None:
            iteration, epochs = self._position()
            return {"epoch": epochs, "iteration": iteration}
        return {"epoch": 0, "iteration": self._last.get(STEP, 0)}

    def _step(self, step: int | None, axis: str) -> int:
        last = self._last.get(axis)
        if step is None:
            if axis == STEP and self._position is not None:
                step = self._position()[0]
            else:
                step = 1 if last is None else last + 1
        step = _whole(step, f"log: {axis}")
        if last is not None and step < last:
            raise TrackingError(
                f"log: {axis} {step} comes after {last}; steps go up on each axis. What is counted "
                'otherwise gets one of its own: log(values, step, axis="...")'
            )
        return step

    def _last_steps(self) -> dict[str, int]:
        file = self._rows
        last: dict[str, int] = {}
        for row in read_rows(file)[0] if file.is_file() else []:
            if row.get("event") == LOG and is_count(row.get("step"), 0):
                last[str(row.get("axis", STEP))] = row["step"]
        return last


def _whole(step: Any, what: str) -> int:
    found = media.plain(step, f"{what}: the step")
    if not is_count(found, 0):
        raise TrackingError(f"{what}: expected a whole step from 0 on, found {step!r}")
    return int(found)
