"""Which files of a run's directory are the run's own, and how they are removed.

    refuse_others(path)                # ConfigError: not a run's directory, in use, foreign files
    remove(path)

Order, for the sake of a kill in the middle. metadata.json says first that this is a remnant, and is
deleted last: so what is left is listed as what it is, and `runs rm` takes it up again. Renaming the
directory first would hide the rest instead. The checkpoints go all at once, by a rename: else
`train` would go on from one of those that are left, and call the best of them the best of the run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from jaxtrain.errors import ConfigError, DataError
from jaxtrain.files import replacing
from jaxtrain.files.lock import NAME as LOCK
from jaxtrain.files.lock import lock
from jaxtrain.tracking import RunRecord

REMNANT = "remnant"

_REMOVED = ".removed-checkpoints"
_FILES = (
    "config.yaml",
    "confusion_matrix.png",
    "learning_curves.png",
    "media.jsonl",
    "metadata.json",
    "metrics.csv",
    "metrics.json",
    "metrics.jsonl",
    "report.html",
    "sync.json",
    "system.jsonl",
)
_NAMES = "|".join(map(re.escape, _FILES))
_TEMPORARY = r"\.[0-9]+\.tmp"
_MEDIUM = r"[0-9]+-[0-9a-f]{8}\.(png|json|txt)"
_OWN = re.compile(
    "|".join(
        (
            re.escape(LOCK),
            _NAMES,
            rf"\.({_NAMES}){_TEMPORARY}",
            r"events\.out\.tfevents\.[^/]*",
            rf"({re.escape(_REMOVED)}|checkpoints)/([0-9]{{8,18}}(\.[0-9]+)?|\.bad|shared|\.tmp-[^/]+)/.+",
            rf"media/(images|histograms|texts|tables)/.+/({_MEDIUM}|\.{_MEDIUM}{_TEMPORARY})",
            r"artifacts/(index|used)\.jsonl",
            rf"artifacts/[^/]+/([0-9a-f]{{16}}|\.[0-9a-f]{{16}}{_TEMPORARY})/.+",
            r"profile/plugins/.+",
        )
    ),
    re.DOTALL,
)
_MOST = 5


def foreign(run: Path) -> list[str]:
    """Paths below a run's directory of what no run writes, and of symbolic links.

    An empty directory holds nothing that could be lost, and is none of them.
    """
    found = []
    for path in _entries(run):
        name = path.relative_to(run).as_posix()
        if path.is_symlink():
            found.append(f"{name} (a symbolic link)")
        elif not _OWN.fullmatch(name):
            found.append(name)
    return sorted(found)


def size(run: Path) -> tuple[int, int]:
    """How many files there are, and how many bytes."""
    sizes = [path.lstat().st_size for path in _entries(run)]
    return len(sizes), sum(sizes)


def refuse_others(run: Path) -> None:
    """See that the directory is a run's, with nothing else in it, and that nobody uses it.

    Raises:
        ConfigError: says what it is instead.
    """
    _refuse_strangers(run)
    with lock(run):
        _refuse_elsewhere(run)


def remove(run: Path) -> None:
    """Remove the directory of a run; after a kill in the middle, the rest of it.

    Raises:
        ConfigError: as `refuse_others`. Nothing was removed then.
        OSError: a file can't be removed.
    """
    _refuse_strangers(run)  # before there is a lock file, which would make a run of anything
    with lock(run) as introduce:
        _refuse_strangers(run)  # somebody may have written meanwhile
        _refuse_elsewhere(run)
        introduce()
        _say_remnant(run)
        if (run / _REMOVED).is_dir():
            shutil.rmtree(run / _REMOVED)
        if (run / "checkpoints").is_dir():
            (run / "checkpoints").rename(run / _REMOVED)
        for path in sorted(run.iterdir()):
            if path.is_dir():
                shutil.rmtree(path)  # follows no link, whoever puts one there meanwhile
            elif path.name not in (LOCK, "metadata.json"):
                path.unlink()
        # The lock file before it: a kill then leaves a remnant still, and not a directory that
        # nothing removes any more. Who comes by its name now finds no run, but a remnant.
        (run / LOCK).unlink()
        (run / "metadata.json").unlink()
        run.rmdir()


def _refuse_strangers(run: Path) -> None:
    if run.is_symlink():
        raise ConfigError(f"{run}: is a symbolic link, to {run.readlink()}; name the run itself")
    if not (run / "metadata.json").is_file():
        raise ConfigError(f"{run}: expected a run's directory, found no metadata.json in it")
    try:
        is_run = isinstance(RunRecord.read(run).metadata.get("status"), str)
    except DataError:  # torn: then something else has to say whose it is
        is_run = any((run / name).is_file() for name in (LOCK, "config.yaml"))
    if not is_run:
        raise ConfigError(f"{run}: expected a run's directory; its metadata.json is no run's")
    for around in (run.absolute().parent, run.absolute().parent.parent):
        if (around / "ledger.json").is_file():
            raise ConfigError(
                f"{run}: is part of the phases in {around}, which need it; delete all of those"
            )
    if found := foreign(run):
        more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
        raise ConfigError(
            f"{run}: holds what is not the run's own: {', '.join(found[:_MOST])}{more}; move or "
            "delete that first"
        )


def _refuse_elsewhere(run: Path) -> None:
    """Another machine's lock may be out of sight, whatever the kernel of this one says."""
    try:
        who = json.loads((run / LOCK).read_bytes())
        host = who["host"]
    except (ValueError, TypeError, KeyError, RecursionError):  # empty: nobody's
        return
    if host != socket.gethostname():
        raise ConfigError(
            f"{run}: in use by a process on {host}, as {LOCK} says; if it is dead, empty that file"
        )


def _say_remnant(run: Path) -> None:
    try:
        metadata = dict(RunRecord.read(run).metadata)
    except DataError:
        metadata = {}
    metadata["status"] = f"{REMNANT}: `runs rm` was stopped; it removes the rest"
    with replacing(run / "metadata.json") as temporary:
        temporary.write_text(json.dumps(metadata, indent=2) + "\n")


def _entries(run: Path) -> Iterator[Path]:
    """All that is no directory, links to directories among it."""
    for folder, folders, files in os.walk(run, onerror=_raise):
        linked = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        yield from (Path(folder, name) for name in (*files, *linked))


def _raise(error: OSError) -> None:
    raise error
