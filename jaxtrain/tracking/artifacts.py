"""Files that a run leaves: with a type, a description, a version and aliases; stored once.

    artifact = Artifact("classifier", "model", "the best of the sweep")
    artifact.add_file("model.safetensors").add_directory("tokenizer", "tokenizer")
    run.log_artifact(artifact, aliases=["best"])      # "latest" is always one of them
    run.use_artifact("classifier:best").path          # a directory of plain files

In the directory of the run:

    artifacts/index.jsonl                  a line for each time that one was logged
    artifacts/classifier/3f2a…/            the files, as they were named; 3f2a… is their version

A version is a digest of the names and bytes: what is logged again is not stored again, and a file
that another version has already is the same file on the disk (a hard link; read-only, so that
nobody changes both).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from jaxtrain.errors import ConfigError, DataError, TrackingError
from jaxtrain.files import inside, make_directory, refuse_gone, sync
from jaxtrain.files.names import check_name
from jaxtrain.tracking.rows import append_row, mend, read_rows

LATEST = "latest"

_VERSION = 16


class Artifact:
    """Files, gathered under a name; nothing is read or copied before it is logged.

    Args:
        name: of letters, digits, '.', '_' and '-'.
        type: what it is: "model", "dataset", whatever says it.
        description: for people.

    Raises:
        ConfigError: the name or the type is none.
    """

    def __init__(self, name: str, type: str, description: str = "") -> None:
        self.name = check_name(name, what="Artifact(name)")
        if name in ("index.jsonl", "used.jsonl"):
            raise ConfigError(f"Artifact(name): {name!r} is the name of a list of artifacts")
        self.type = check_name(type, what="Artifact(type)")
        self.description = description
        self.files: dict[str, Path] = {}

    def add_file(self, path: str | os.PathLike[str], name: str | None = None) -> Artifact:
        """Add a file.

        Args:
            path: where it is.
            name: what it is called in the artifact, with `/` for folders; by default as it is.

        Raises:
            ConfigError: there is no such file, the name leads elsewhere, or is taken.
        """
        path = Path(path)
        if not path.is_file():
            raise ConfigError(f"artifact {self.name}: {path}: there is no such file")
        name = path.name if name is None else name
        _refuse_outside(name, f"artifact {self.name}")
        if name in self.files:
            raise ConfigError(f"artifact {self.name}: there is a file {name!r} already")
        self.files[name] = path.absolute()
        return self

    def add_directory(self, path: str | os.PathLike[str], name: str = "") -> Artifact:
        """Add all files below a directory, under their paths in it.

        Args:
            path: the directory. What is a symbolic link in it is refused: it may lead elsewhere.
            name: a folder in the artifact to put them in; by default none.

        Raises:
            ConfigError: there is no such directory, it holds no file, or a link.
        """
        path = Path(path)
        if not path.is_dir():
            raise ConfigError(f"artifact {self.name}: {path}: there is no such directory")
        entries = sorted(path.rglob("*"))
        if links := [entry for entry in entries if entry.is_symlink()]:
            raise ConfigError(f"artifact {self.name}: {links[0]}: is a symbolic link")
        found = [entry for entry in entries if entry.is_file()]
        if not found:
            raise ConfigError(f"artifact {self.name}: {path}: holds no file")
        for entry in found:
            self.add_file(entry, str(PurePosixPath(name) / entry.relative_to(path).as_posix()))
        return self


@dataclass(frozen=True)
class LoggedArtifact:
    """One that is in a run.

    Attributes:
        name: its name.
        type: what it is.
        description: for people.
        version: the digest of its files.
        aliases: what it is called besides.
        path: the directory of its files.
        files: the SHA-256 of each, by its name.
        time: when it was logged, ISO 8601.
        run: the directory of the run that logged it.
    """

    name: str
    type: str
    description: str
    version: str
    aliases: tuple[str, ...]
    path: Path
    files: Mapping[str, str]
    time: str
    run: Path

    def verify(self) -> None:
        """See that the files are those that were logged.

        Raises:
            DataError: one is missing, or was changed.
        """
        for name, expected in self.files.items():
            file = self.path / name
            if not file.is_file() or file.is_symlink():
                raise DataError(f"{file}: of artifact {self.name}:{self.version}: is missing")
            if (found := _digest(file)) != expected:
                raise DataError(
                    f"{file}: of artifact {self.name}:{self.version}: was changed: SHA-256 "
                    f"expected {expected}, found {found}"
                )


def log_artifact(run: Path, artifact: Artifact, aliases: Sequence[str] = ()) -> LoggedArtifact:
    """Store an artifact in the directory of a run, and give it its aliases.

    Raises:
        TrackingError: it holds no file.
        ConfigError: an alias that is no name.
        OSError: the disk is full, or a file can't be read.
    """
    refuse_unfit(artifact, aliases)
    digests = {name: _digest(path) for name, path in sorted(artifact.files.items())}
    told = json.dumps(digests, sort_keys=True).encode()
    version = hashlib.sha256(told).hexdigest()[:_VERSION]
    home = inside(run, "artifacts", artifact.name)
    if not _is_whole(home / version, digests):
        _store(run, artifact, digests, home / version)
    row = {
        "name": artifact.name,
        "version": version,
        "aliases": list(dict.fromkeys([*aliases, LATEST])),
        "type": artifact.type,
        "description": artifact.description,
        "files": digests,
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    mend(run / "artifacts" / "index.jsonl")
    append_row(run / "artifacts" / "index.jsonl", row, sync=True)
    key = (artifact.name, version)
    return next(one for one in artifacts_of(run) if (one.name, one.version) == key)


def refuse_unfit(artifact: Artifact, aliases: Sequence[str]) -> None:
    """See that an artifact can be logged under these aliases.

    Raises:
        TrackingError: it holds no file.
        ConfigError: an alias that is no name.
    """
    if not artifact.files:
        raise TrackingError(f"artifact {artifact.name}: holds no file")
    if isinstance(aliases, str):
        raise ConfigError(f"artifact {artifact.name}: aliases: expected a list, found {aliases!r}")
    for alias in aliases:
        check_name(alias, what=f"artifact {artifact.name}: an alias")


def artifacts_of(run: Path) -> list[LoggedArtifact]:
    """What a run has logged, a version each, by the time at which it was logged last.

    An alias is that of the version that was given it last. Lines of the index that are torn, or
    whose names lead out of the run, are none.
    """
    index = run / "artifacts" / "index.jsonl"
    if not index.is_file():
        return []
    found: dict[tuple[str, str], dict[str, Any]] = {}
    owner: dict[tuple[str, str], str] = {}
    for row in read_rows(index)[0]:
        if not _is_entry(row):
            continue
        key = (row["name"], row["version"])
        found.pop(key, None)
        found[key] = row
        for alias in row["aliases"]:
            owner[row["name"], alias] = row["version"]
    logged = []
    for (name, version), row in found.items():
        aliases = tuple(alias for (of, alias), at in owner.items() if (of, at) == (name, version))
        try:
            path = inside(run, "artifacts", name, version)
        except ConfigError:  # a link leads out of the run
            continue
        logged.append(
            LoggedArtifact(
                name,
                row["type"],
                row["description"],
                version,
                aliases,
                path,
                row["files"],
                row["time"],
                run,
            )
        )
    return logged


def find_artifact(runs: Iterable[Path], reference: str) -> LoggedArtifact:
    """The artifact that `name:alias` or `name:version` means: the newest, where several runs have
    one. Its files are verified.

    Args:
        runs: directories of runs.
        reference: without alias, the latest.

    Raises:
        ConfigError: there is none; those that are there are listed.
        DataError: its files were changed.
    """
    name, _, alias = reference.partition(":")
    check_name(name, what=f"artifact {reference!r}")
    alias = check_name(alias, what=f"artifact {reference!r}") if alias else LATEST
    known = [one for run in runs for one in artifacts_of(run)]
    fitting = [one for one in known if one.name == name and alias in (one.version, *one.aliases)]
    if not fitting:
        there = sorted({f"{one.name}:{other}" for one in known for other in one.aliases})
        raise ConfigError(
            f"artifact {reference!r}: there is none; there are: {', '.join(there) or 'none at all'}"
        )
    newest = max(fitting, key=lambda one: one.time)
    newest.verify()
    return newest


def _store(run: Path, artifact: Artifact, digests: Mapping[str, str], target: Path) -> None:
    """Copy the files beside their place, and rename the whole when it is on the disk."""
    refuse_gone(target)
    stored = {
        digest: one.path / name
        for one in artifacts_of(run)
        for name, digest in one.files.items()
        if (one.path / name).is_file()
    }
    make_directory(target.parent)
    staged = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    for left in target.parent.glob(f".{target.name}.*.tmp"):  # by a kill: the run is ours alone
        shutil.rmtree(left)
    for name, source in artifact.files.items():
        place = staged / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if not _linked(stored.get(digests[name]), place, digests[name]):
            shutil.copyfile(source, place)
            if _digest(place) != digests[name]:
                shutil.rmtree(staged)
                raise TrackingError(f"{source}: was changed while it was logged")
            place.chmod(0o444)
            sync(place)
        stored[digests[name]] = place
    for folder in [*(path for path in staged.rglob("*") if path.is_dir()), staged]:
        sync(folder)
    if target.is_dir():  # somebody has damaged it
        shutil.rmtree(target)
    staged.rename(target)
    sync(target.parent)


def _is_whole(target: Path, digests: Mapping[str, str]) -> bool:
    """Whether the files are there, and what they were."""
    return all(
        (target / name).is_file() and _digest(target / name) == digest
        for name, digest in digests.items()
    )


def _linked(stored: Path | None, place: Path, digest: str) -> bool:
    """Whether the file could be had by linking to one that is there, and is still what it was."""
    if stored is None or _digest(stored) != digest:
        return False
    try:
        place.hardlink_to(stored)
    except OSError:  # a file system without hard links
        return False
    return True


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _refuse_outside(name: str, what: str) -> None:
    for part in name.split("/"):
        check_name(part, what=f"{what}: file {name!r}")


def _is_entry(row: Mapping[str, Any]) -> bool:
    texts = ("name", "version", "type", "description", "time")
    files, aliases = row.get("files"), row.get("aliases")
    if not all(isinstance(row.get(key), str) for key in texts):
        return False
    if not isinstance(files, dict) or not isinstance(aliases, list):
        return False
    try:
        for name in (row["name"], row["version"], *aliases):
            check_name(name, what="")
        for name in files:
            _refuse_outside(name, "")
    except (ConfigError, TypeError):
        return False
    return True
