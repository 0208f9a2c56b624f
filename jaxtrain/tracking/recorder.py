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

from jaxtrain.errors import ConfigError, DataError, TrackingError
from jaxtrain.files import inside, replacing
from jaxtrain.tracking import artifacts, media
from jaxtrain.tracking.artifacts import Artifact, LoggedArtifact
from jaxtrain.tracking.media import Medium
from jaxtrain.tracking.record import RunRecord, find_runs
from jaxtrain.tracking.rows import (
    LOG,
    PLACES,
    STEP,
    Place,
    append_row,
    is_count,
    is_place,
    mend,
    read_rows,
    rewind,
)


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
        writes: False for a run that only checks what it is given.

    Attributes:
        directory: where it is.
    """

    def __init__(self, directory: Path, *, writes: bool = True) -> None:
        self.directory = directory
        self._rows = directory / "metrics.jsonl"
        self._media = directory / "media.jsonl"
        self._place: Callable[[], Place] | None = None
        self._engines = 0
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

    def new_engine(self) -> int:
        """A number for one more engine that logs into the run; see `hooks.Tracking`."""
        self._engines += 1
        return self._engines - 1

    def follow(self, place: Callable[[], Place] | None) -> None:
        """Note with all that is logged where an engine stands, its step by default; None: with
        nothing any more. See `hooks.Tracking`.
        """
        self._place = place

    @property
    def _lines(self) -> tuple[Path, ...]:
        """The files to which lines are added."""
        index, used = (
            self.directory / "artifacts" / name for name in ("index.jsonl", "used.jsonl")
        )
        return self._rows, self._media, index, used

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
            if not isinstance(name, str) or not name or name in PLACES:
                raise TrackingError(
                    f"log: {name!r} can't be the name of a number; its step is the second argument"
                )
            figures[name] = media.plain(value, f"log: {name}")
        place = None if self._place is None else self._place()
        step = self._step(step, axis, place)
        self._last[axis] = step
        where: dict[str, Any] = {"step": step}
        if axis != STEP:
            where |= {"axis": axis} if place else {"axis": axis, "after": self._last.get(STEP, 0)}
        row = {"event": LOG, **where, **_at(place), **figures}
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
            artifacts.refuse_unfit(artifact, aliases)
            return None
        return artifacts.log_artifact(self.directory, artifact, aliases)

    def use_artifact(self, reference: str) -> LoggedArtifact:
        """An artifact of any run of the project, verified: `name:alias` or `name:version`.

        That it was used is noted in `artifacts/used.jsonl`.

        Raises:
            ConfigError: there is none; those that are there are listed.
            DataError: its files were changed.
        """
        found = artifacts.find_artifact([self.directory, *self._siblings()], reference)
        if not self._writes:
            return found
        (self.directory / "artifacts").mkdir(exist_ok=True)
        used = {"name": found.name, "version": found.version, "run": str(found.run)}
        append_row(self.directory / "artifacts" / "used.jsonl", used)
        return found

    def _siblings(self) -> list[Path]:
        """The other runs of the project: those in the same directory that say so."""
        try:
            project = self.record.project
        except (ConfigError, DataError):  # one that is disabled has no record
            project = self.directory.parent.name
        found = find_runs(self.directory.parent, depth=1)
        return [one.path for one in found if one.project == project and one.id != self.id]

    def forget_media(self, *names: str) -> None:
        """Take back media of these names that no engine has logged: they are logged anew."""
        if not self._writes:
            return

        def stays(row: Mapping[str, Any]) -> bool:
            return row.get("name") not in names or is_place(row.get("at"))

        self._remove(rewind(self._media, stays))

    def rewind_to(self, step: int) -> None:
        """Take back what a script has logged beyond a step: it goes on there, and logs it again.

        For a loop with checkpoints of its own. What stands on another axis goes if it was logged
        after a later step; artifacts stay.

        Args:
            step: that of the checkpoint; 0 takes all back.
        """
        if not self._writes:
            return
        step = _whole(step, "rewind_to")

        def stays(row: Mapping[str, Any]) -> bool:
            place = row.get("after", row.get("step"))
            return is_place(row.get("at")) or not is_count(place, 0) or place <= step

        rewind(self._rows, lambda row: row.get("event") != LOG or stays(row))
        self._remove(rewind(self._media, stays))
        self._last = self._last_steps()

    def rewind(self, place: Place) -> None:
        """Take back what an engine has logged beyond a place: it goes on there, and logs it again.

        Lines that a kill has torn go as well. What a script has logged stays, as do artifacts.
        """
        if not self._writes:
            return

        def stays(row: Mapping[str, Any]) -> bool:
            return not place.comes_again(row)

        self.mend()
        rewind(self._rows, lambda row: row.get("event") != LOG or stays(row))
        self._remove(rewind(self._media, stays))
        for left in (self.directory / "media").rglob(".*.tmp"):  # by a kill
            left.unlink()
        self._last = self._last_steps()

    def mend(self) -> None:
        """Cut off last lines that a kill has torn: the next ones would be glued to them."""
        for file in self._lines:
            mend(file)

    def _log(self, medium: Medium, name: str, step: int | None, caption: str = "") -> None:
        place = None if self._place is None else self._place()
        if step is None:
            step = self._last.get(STEP, 0) if place is None else place.iteration
        step = _whole(step, f"{medium.kind} {name}")
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
            "step": step,
            **_at(place),
            "file": str(file.relative_to(self.directory)),
            **({"caption": caption} if caption else {}),
            **medium.told,
        }
        append_row(self._media, row)
        for sink in self._sinks:
            sink.medium(medium, name, step)

    def _remove(self, gone: list[dict[str, Any]]) -> None:
        """Remove the files of lines that were taken back, but for those that others have, too."""
        if not gone:
            return
        kept = {row.get("file") for row in read_rows(self._media)[0]}
        for file in {row["file"] for row in gone if isinstance(row.get("file"), str)} - kept:
            path = self.directory / file
            if path.resolve().is_relative_to((self.directory / "media").resolve()):
                path.unlink(missing_ok=True)

    def _step(self, step: int | None, axis: str, place: Place | None) -> int:
        last = self._last.get(axis)
        if step is None:
            if axis == STEP and place is not None:
                step = place.iteration
            else:
                step = 1 if last is None else last + 1
        step = _whole(step, f"log: {axis}")
        if last is not None and step < last:
            raise TrackingError(
                f"log: {axis} {step} comes after {last}; steps go up on each axis. A run that goes "
                "on from a checkpoint first takes back what came later: "
                f"run.rewind_to({max(step - 1, 0)}). What is counted otherwise gets an axis of its "
                'own: log(values, step, axis="...")'
            )
        return step

    def _last_steps(self) -> dict[str, int]:
        last: dict[str, int] = {}
        for row in read_rows(self._rows)[0] if self._writes and self._rows.is_file() else []:
            if row.get("event") == LOG and is_count(row.get("step"), 0):
                last[str(row.get("axis", STEP))] = row["step"]
        return last


def _at(place: Place | None) -> dict[str, Any]:
    return {} if place is None else {"at": place.to_json()}


def _whole(step: Any, what: str) -> int:
    found = media.plain(step, f"{what}: the step")
    if not is_count(found, 0):
        raise TrackingError(f"{what}: expected a whole step from 0 on, found {step!r}")
    return int(found)
