"""Find and open data files, plain or gzipped.

    path = find_file("data/mnist", "train-labels-idx1-ubyte", remedy="set download=true")
    with open_data(path) as stream:
        header = stream.read(8)

A gzip stream that is corrupt raises a `DataError` wherever it is noticed, and how much is read is
up to the caller: nothing here inflates a file as a whole.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from jaxtrain.errors import ConfigError, DataError, DataNotFoundError
from jaxtrain.files.paths import typed_path


def find_file(root: str | Path, name: str, *, remedy: str) -> Path:
    """The file `name` under `root`, or else `name.gz` there.

    Args:
        root: a directory; `~` is the user's home.
        name: the file's name without `.gz` (a name that has it is looked for as it stands), a path
            below `root`, or an absolute one.
        remedy: what the user can do about a missing file; ends the message.

    Raises:
        DataNotFoundError: neither is there.
        ConfigError: there can be no file of that name, or nobody may look.
    """
    plain = typed_path(str(root), what="root") / typed_path(name, what="data file")
    candidates = [plain] if name.endswith(".gz") else [plain, Path(f"{plain}.gz")]
    for path in candidates:
        try:
            if path.is_file():
                return path
        except OSError as error:
            raise ConfigError(f"data file {path} can't be read: {error.strerror}") from error
    looked_for = " or ".join(path.name for path in candidates)
    raise DataNotFoundError(
        f"data file not found: {plain.absolute()} (looked for {looked_for} in "
        f"{plain.parent.absolute()}); {remedy}"
    )


@contextmanager
def open_data(path: Path, *, inflate: bool = True) -> Iterator[BinaryIO]:
    """The bytes of `path`, inflated where its name ends in `.gz` and nobody says otherwise.

    Raises:
        ConfigError: it can't be opened.
        DataError: while reading, where the gzip stream is corrupt or ends too early.
    """
    try:
        if inflate and path.suffix == ".gz":
            with _opened(path) as file, gzip.open(file, "rb") as stream:
                yield cast(BinaryIO, stream)
        else:
            with _opened(path) as stream:
                yield stream
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: corrupt gzip file ({error}); fetch it again") from error
    except EOFError as error:
        raise DataError(f"{path}: the gzip file is truncated; fetch it again") from error


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise ConfigError(f"data file {path} can't be read: {error.strerror}") from error
