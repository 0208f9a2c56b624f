"""Which files of a run go to a server, and which are there.

files_of(record)                            # ["config.yaml", "media/images/grid/3-1a2b3c4d.png", …]
signature(path)                             # size and time of change: another file has another
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jaxtrain.tracking.record import RunRecord

if TYPE_CHECKING:
    from mlflow import MlflowClient

_ALWAYS = ("config.yaml", "metadata.json", "metrics.json")
# They grow as long as the run goes on.
_AT_THE_END = ("media.jsonl", "artifacts/index.jsonl", "system.jsonl")


def files_of(record: RunRecord) -> list[str]:
    """The paths below the run's directory of what is sent: neither checkpoints nor rows.

    Symbolic links are none: they may lead elsewhere. Files that only ever grow come when the run
    does not go on.
    """
    path = record.path
    pictures = sorted(file.name for file in path.glob("*.png"))
    growing = () if record.status == "running" else _AT_THE_END
    names = [*_ALWAYS, *pictures, *growing]
    names += [row["file"] for row in record.media]
    for one in record.artifacts:
        home = one.path.relative_to(path)
        names += [str(home / name) for name in one.files]
    return [name for name in dict.fromkeys(names) if _is_own(path, name)]


def is_fixed(name: str) -> bool:
    """Whether a file of that name never becomes another: a digest is part of its path."""
    return name.startswith(("media/", "artifacts/")) and name != "artifacts/index.jsonl"


def signature(path: Path) -> tuple[int, int]:
    """Size and time of change in nanoseconds."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def sizes_on(client: MlflowClient, run_id: str) -> dict[str, int]:
    """The sizes of the media and artifacts that are on the server, by their paths."""
    found: dict[str, int] = {}
    folders = ["media", "artifacts"]
    while folders:
        for entry in client.list_artifacts(run_id, folders.pop()):
            if entry.is_dir:
                folders.append(entry.path)
            elif entry.file_size is not None:
                found[entry.path] = int(entry.file_size)
    return found


def _is_own(run: Path, name: str) -> bool:
    """Whether it is a file in the run's directory, and no link on the way leads elsewhere."""
    path = run / name
    return path.is_file() and path.resolve() == run.resolve() / name
