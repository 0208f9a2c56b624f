"""A directory that is there whole or not at all, and never in the place of another.

    with new_directory(Path("out/model")) as temporary:
        (temporary / "config.json").write_text(text)

It is filled under another name and then renamed, so that whoever finds it finds all of it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jaxtrain.errors import ConfigError
from jaxtrain.files.atomic import make_directory, sync


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """A directory to fill with files, that gets the name `path` when the block is done.

    Where the block raises, nothing is left, and nothing is at `path`.

    Raises:
        ConfigError: there is something at `path`.
        OSError: it could not be written.
    """
    refuse_taken(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        make_directory(path.parent)
        shutil.rmtree(temporary, ignore_errors=True)  # of a killed process that had our number
        temporary.mkdir()
        yield temporary
        # Bytes before names, and names inside before the one that makes them count.
        for file in sorted(temporary.iterdir()):
            sync(file)
        sync(temporary)
        os.rename(temporary, path)  # refused by the system where it is no empty directory
        sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def refuse_taken(path: Path) -> None:
    """See that nothing is at `path`, or an empty directory.

    Raises:
        ConfigError: something is.
    """
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not path.is_dir():
        raise ConfigError(f"{path}: expected no such path, or an empty directory, found a file")
    if found := sorted(entry.name for entry in path.iterdir()):
        raise ConfigError(
            f"{path}: expected no such path, or an empty directory, found {found[0]!r} in it; "
            "nothing is replaced: choose another, or move it away"
        )
