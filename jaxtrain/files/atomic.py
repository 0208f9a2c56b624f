"""Files that are either the old one or the new one, never half of each.

    with replacing(directory / "metrics.json") as temporary:
        temporary.write_text(text)

Whoever reads while that block runs, or after a kill in the middle of it, finds the old file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

UNFINISHED = ".*.tmp"
"""What the temporary files are called, as a glob: a kill leaves one behind."""


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside `path`, which takes its place when the block ends well.

    The directory is made where it is missing. If the block raises, `path` is left as it was and
    the temporary file is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        # The bytes must be on the disk before the name is: the other way round, a power cut
        # could leave an empty file under the good name.
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)
    except OSError as error:
        if error.errno is not None:  # a failed write, which does not know its file
            error.filename = error.filename or str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Bring a file's bytes, or a directory's list of names, to the disk.

    A rename is durable only once the directory that it happened in is synced.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
