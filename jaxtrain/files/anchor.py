"""A directory that is written into for long: still there, still the same, under the name it had.

    with anchored(run_directory):
        refuse_gone(run_directory / "metrics.jsonl")      # CheckpointError where it was deleted

Who deletes or renames the directory of a run that is going on would else find half of a new one in
its place. `replacing` and `append_line` ask by themselves.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from jaxtrain.errors import CheckpointError

Identity = tuple[int, int]

# By absolute path, those that this process has anchored.
_anchored: dict[Path, Identity] = {}


@contextlib.contextmanager
def anchored(directory: Path) -> Iterator[None]:
    """Have `refuse_gone` know `directory`, which must be there, as what it is now."""
    path = directory.absolute()
    # Kept open: the number of a directory that nobody has open may be given to the next one.
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _anchored[path] = _identity(os.fstat(descriptor))
        yield
    finally:
        _anchored.pop(path, None)
        os.close(descriptor)


def refuse_gone(path: Path) -> None:
    """See that an anchored directory at `path`, or around it, is the one that was anchored.

    Raises:
        CheckpointError: it was deleted or renamed, or another one stands in its place.
    """
    if not _anchored:
        return
    path = path.absolute()
    for directory in (path, *path.parents):
        known = _anchored.get(directory)
        if known is not None and _found(directory) != known:
            raise CheckpointError(
                f"{directory}: the directory is gone: it was deleted, renamed or replaced while "
                "it was in use. Nothing more is written there; leave the directory of a run alone "
                "until the run has ended"
            )


def _found(path: Path) -> Identity | None:
    try:
        return _identity(os.stat(path))
    except OSError:
        return None


def _identity(found: os.stat_result) -> Identity:
    """What tells a file or directory from all others, whatever its name is."""
    return found.st_dev, found.st_ino
