"""Files that are either the old one or the new one, never half of each.

    with replacing(directory / "metrics.json") as temporary:
        temporary.write_text(text)

Whoever reads while that block runs, or after a kill or a power cut in the middle of it, finds the
old file; whoever reads behind it finds the new one.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from jaxtrain.files.anchor import refuse_gone

_UNFINISHED = re.compile(r"\.(?P<name>.+)\.[0-9]+\.tmp")


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside `path`, which takes its place when the block ends well.

    The directory is made where it is missing. If the block raises, `path` is left as it was and
    the temporary file is removed.

    Raises:
        CheckpointError: the directory was anchored, and is gone.
    """
    path = Path(path)
    refuse_gone(path)
    make_directory(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        # The bytes must be on the disk before the name is: the other way round, a power cut
        # could leave an empty file under the good name.
        sync(temporary)
        refuse_gone(path)
        os.replace(temporary, path)
        sync(path.parent)
    except OSError as error:
        if error.errno is not None:  # a failed write, which does not know its file
            error.filename = error.filename or str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def unfinished(directory: Path, *names: str) -> list[Path]:
    """The temporary files in `directory` that a killed `replacing` of `names` left behind.

    Nobody else's: a `.precious.tmp` is none of them, nor is one of a name that is not asked for.

    >>> unfinished(Path("no/such/directory"), "metrics.json")
    []
    """
    if not directory.is_dir():
        return []
    return sorted(
        path
        for path in directory.iterdir()
        if (found := _UNFINISHED.fullmatch(path.name)) and found["name"] in names
        if path.is_file() and not path.is_symlink()
    )


def make_directory(path: Path) -> None:
    """Make `path`, and what is missing above it, so that a power cut does not undo it.

    What is synced inside a directory whose own name was not is lost with it.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync(folder.parent)


def sync(path: Path) -> None:
    """Bring a file's bytes, or a directory's list of names, to the disk.

    A rename is durable only once the directory that it happened in is synced.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
