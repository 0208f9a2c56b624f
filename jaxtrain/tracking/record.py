"""A run as it lies on the disk, to be read by whoever shows, compares or sends it.

    record = RunRecord.read("runs/digits/seed0-1a2b3c4d")
    record.status, record.tags, record.config["optimizer"]
    record.series("val/loss")                  # iterations [N], values [N]
    for record in find_runs("runs"): ...
    one_run("seed0-1a", "runs")                # by path, id, or the beginning of an id

Reading changes nothing, locks nobody out, and takes a run that goes on as it stands.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from jaxtrain.errors import ConfigError, DataError, did_you_mean
from jaxtrain.files.lock import seems_held
from jaxtrain.tracking.artifacts import LoggedArtifact, artifacts_of
from jaxtrain.tracking.media import KINDS
from jaxtrain.tracking.rows import BOUND, LOG, PLACES, STEP, read_rows

# runs/PROJECT/ID, and below that the runs of phases, in phases/NUMBER-NAME.
_DEPTH = 4


@dataclass(frozen=True)
class RunRecord:
    """A run's directory, read. What is read lazily is read once.

    Attributes:
        path: the directory.
        metadata: what metadata.json says.
        fault: why it can't be read, of a run that `find_runs(broken=True)` has found.
    """

    path: Path
    metadata: Mapping[str, Any]
    fault: str = ""

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> RunRecord:
        """The run at `path`.

        Raises:
            ConfigError: there is none.
            DataError: its metadata.json is broken.
        """
        path = Path(path)
        file = path / "metadata.json"
        if not file.is_file():
            raise ConfigError(f"{path}: holds no run: there is no metadata.json")
        try:
            metadata = json.loads(file.read_bytes())
            if not isinstance(metadata, dict):
                raise ValueError(f"expected an object, found a {type(metadata).__name__}")
        except (ValueError, RecursionError) as error:
            raise DataError(f"{file}: can't be read: {error}") from None
        return cls(path, metadata)

    @property
    def id(self) -> str:
        """The name of its directory."""
        return self.path.absolute().name

    @property
    def project(self) -> str:
        """What its config says, else the directory that it is in."""
        found = self.metadata.get("project") or self.config.get("project")
        return found if isinstance(found, str) else self.path.absolute().parent.name

    @property
    def config(self) -> Mapping[str, Any]:
        """The effective config, as nested dicts."""
        found = self.metadata.get("config")
        return found if isinstance(found, dict) else {}

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags."""
        found = self.metadata.get("tags")
        tags = found if isinstance(found, list) else []
        return tuple(tag for tag in tags if isinstance(tag, str))

    @property
    def status(self) -> str:
        """What it says of itself: "running", "completed", "interrupted" or "failed: ...".

        Where it says that it is running, and no process holds the directory, it is "killed". Where
        nobody knows what it says, it is "broken: ...".
        """
        if self.fault:
            return f"broken: {self.fault}"
        said = str(self.metadata.get("status", "unknown"))
        return "killed" if said == "running" and not seems_held(self.path) else said

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """Of metrics.jsonl, in their order; see `tracking.rows`."""
        return self._lines("metrics.jsonl")

    @cached_property
    def system(self) -> list[dict[str, Any]]:
        """Of system.jsonl: what the machine did meanwhile, a dict of numbers a row."""
        return self._lines("system.jsonl")

    @cached_property
    def media(self) -> list[dict[str, Any]]:
        """Of media.jsonl: `kind`, `name`, `step` and `file`, a path below the run's directory,
        `caption` where there is one. Those whose file is not there any more are left out.
        """
        return [row for row in self._lines("media.jsonl") if self._is_medium(row)]

    @cached_property
    def artifacts(self) -> list[LoggedArtifact]:
        """What it has logged."""
        return artifacts_of(self.path)

    @cached_property
    def summary(self) -> Mapping[str, Any]:
        """Of metrics.json; empty where there is none yet, or a broken one."""
        try:
            found = json.loads((self.path / "metrics.json").read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    @cached_property
    def figures(self) -> dict[str, float]:
        """The last value of everything that has any, by its name; then those of metrics.json.

        What somebody has logged gives way to what the run tells under the same name.
        """
        found: dict[str, float] = {}
        for row in sorted(self.rows, key=lambda row: row.get("event") != LOG):
            found.update(_figures(row))
        found.update(_figures(self.summary))
        return found

    @cached_property
    def lost(self) -> dict[str, int]:
        """What has ended in NaN or Inf: by its name, the step since which it is no finite number.

        `series` leaves those values out.
        """
        found: dict[str, int] = {}
        for row in self.rows:
            step = row.get("step") if row.get("event") == LOG else row.get("iteration")
            for name, value in row.items():
                if value is not None:
                    found.pop(name, None)
                elif name not in PLACES and isinstance(step, int):
                    found.setdefault(name, step)
        return found

    @cached_property
    def names(self) -> list[str]:
        """What there are series of, in the order in which they came up."""
        return list(dict.fromkeys(name for row in self.rows for name in _figures(row)))

    def series(
        self, name: str, event: str | None = None, axis: str | None = None
    ) -> tuple[list[int], list[float]]:
        """The steps at which there is a value of `name`, and the values.

        Args:
            name: such as "val/loss".
            event: only those of "iteration", "epoch" or "log"; by default, where the run tells it
                under this name, not what somebody has logged.
            axis: that on which it was logged, "step" for iterations and steps; by default the
                first on which there is one.

        Returns:
            Iterations of the run, or steps of an axis of somebody's own, and the values.
        """
        steps, values = [], []
        own = [row for row in self.rows if row.get("event") != LOG and name in _figures(row)]
        for row in own if own and event is None else self.rows:
            is_log = row.get("event") == LOG
            place = row.get("step") if is_log else row.get("iteration")
            on = str(row.get("axis", STEP)) if is_log else STEP
            wanted = event in (None, row.get("event")) and axis in (None, on)
            if wanted and name in _figures(row) and isinstance(place, int):
                axis = on
                steps.append(place)
                values.append(float(row[name]))
        return steps, values

    def axis_of(self, name: str) -> str:
        """The axis on which `name` was logged first: "step" but for those of somebody's own."""
        rows = (row for row in self.rows if name in _figures(row))
        return str(next((row.get("axis", STEP) for row in rows), STEP))

    def _lines(self, name: str) -> list[dict[str, Any]]:
        file = self.path / name
        return read_rows(file)[0] if file.is_file() else []

    def _is_medium(self, row: Mapping[str, Any]) -> bool:
        texts = all(isinstance(row.get(key), str) for key in ("kind", "name", "file"))
        if not texts or row["kind"] not in KINDS or not isinstance(row.get("step"), int):
            return False
        file = self.path / row["file"]
        try:
            # Not resolved itself: where `media` is a link, its files are not the run's.
            inside = file.resolve().is_relative_to(self.path.resolve() / "media")
            return inside and file.is_file()
        except (ValueError, OSError):  # it can't be a path at all
            return False


def find_runs(
    root: str | os.PathLike[str] = "runs", *, broken: bool = False, depth: int = _DEPTH
) -> Iterator[RunRecord]:
    """All runs below a directory, by their paths.

    Args:
        root: `runs`, say; a run itself is one, too.
        broken: those, too, that can't be read, as records with a `fault`; else they are left out.
        depth: directories below one another; what may not be looked into is passed over.
    """
    for path in _directories(Path(root), depth):
        try:
            record = _read(path)
        except FileNotFoundError:  # deleted just now
            continue
        if broken or not record.fault:
            yield record


def one_run(text: str, root: str | os.PathLike[str] = "runs", *, broken: bool = False) -> RunRecord:
    """The run that somebody means.

    Args:
        text: a path, an id, the beginning of one, or either behind `project/`.
        root: where to look.
        broken: whether it may be one that can't be read; see `find_runs`.

    Raises:
        ConfigError: no run, or several; they are listed.
        DataError: a path at which there is one that can't be read.
    """
    if text and _is_run(Path(text)):
        return _read(Path(text)) if broken else RunRecord.read(text)
    known = [(f"{one.project}/{one.id}", one) for one in find_runs(root, broken=broken)]
    for names in (
        lambda full: text in (full, full.partition("/")[2]),
        lambda full: full.startswith(text) or full.partition("/")[2].startswith(text),
    ):
        found = [record for full, record in known if text and names(full)]
        if len(found) == 1:
            return found[0]
        if found:
            more = f" or one of {len(found) - 8} more" if len(found) > 8 else ""
            raise ConfigError(
                f"{text!r} could be {' or '.join(str(record.path) for record in found[:8])}{more}"
            )
    near = did_you_mean(text, [record.id for _, record in known])
    raise ConfigError(f"{text!r}: no run of that name or path below {root}{near}")


def _read(path: Path) -> RunRecord:
    """The run at `path`, with its fault where it has one.

    Raises:
        FileNotFoundError: there is nothing any more.
    """
    try:
        return RunRecord.read(path)
    except ConfigError:
        path.stat()
        return RunRecord(path, {}, "there is no metadata.json")
    except DataError:
        return RunRecord(path, {}, "metadata.json is torn, or no JSON")
    except PermissionError as error:
        return RunRecord(path, {}, f"metadata.json: {error.strerror}")


def _is_run(path: Path) -> bool:
    """Whether a run was begun there: its config comes first, then its metadata. A sweep is none."""
    if (path / "sweep.json").is_file():
        return False
    return any((path / name).is_file() for name in ("metadata.json", "config.yaml"))


def _entries(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except (NotADirectoryError, FileNotFoundError, PermissionError):
        return []


def _directories(root: Path, depth: int) -> Iterator[Path]:
    if (root / "metadata.json").is_file():
        yield root
        return
    below = False
    for entry in _entries(root) if depth else ():
        if entry.is_dir() and not entry.is_symlink() and not entry.name.startswith("."):
            for path in _directories(entry, depth - 1):
                below = True
                yield path
    if not below and _is_run(root):  # else the config is that of the phases below
        yield root


def _figures(row: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: value
        for name, value in row.items()
        if isinstance(value, float)
        or (isinstance(value, int) and not isinstance(value, bool) and -BOUND < value < BOUND)
        if name not in PLACES
    }
