"""Tokens on the disk, under the name of what they were made of.

    tokens = cached(Path("data/.tokens"), key, lambda: encode(...), vocab_size=512, what="stories")

The first time they are made and written, later only mapped: they take no memory that the system
could not take back. Each file is written whole or not at all, and a record with the digest of all
of them comes last, so that two processes may do it at once, and who is killed leaves nothing that
counts. The digest is compared each time: what is damaged is made anew.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from jaxtrain.data.text.tokens import (
    COUNTS,
    FLAT,
    OFFSETS,
    Encoded,
    Tokens,
    array_names,
    array_path,
    laid_end_to_end,
    mapped_arrays,
    token_dtype,
)
from jaxtrain.errors import ConfigError
from jaxtrain.files.atomic import make_directory, replacing

logger = logging.getLogger(__name__)

_RECORD = "tokens.json"
_NO_RIGHT = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}


def cached(
    folder: Path,
    key: str,
    make: Callable[[], Iterable[Encoded]],
    *,
    vocab_size: int,
    counted: bool,
    what: str,
) -> Tokens:
    """The tokens of that key: mapped, where they are there and whole; else made and kept.

    Args:
        folder: the cache; made where it is missing.
        key: says what they are made of: a name of a file.
        make: makes them.
        vocab_size: all of them are below it.
        counted: whether they have `counts`.
        what: what messages call them.

    Raises:
        ConfigError: nothing can be written there.
        DataError: what `make` raises.
    """
    entry = folder / key
    found = _found(entry, array_names(counted), what)
    if found is not None:
        return found
    try:
        make_directory(entry)
        made = _written(entry, array_names(counted), make(), vocab_size)
    except OSError as error:
        if error.errno not in _NO_RIGHT:
            raise
        raise ConfigError(
            f"data.cache: {folder} can't be written ({error.strerror}); set data.cache to a "
            "directory that can"
        ) from error
    logger.info("%s: %d tokens of %d documents, kept in %s", what, len(made), made.documents, entry)
    return made


def _found(entry: Path, names: tuple[str, ...], what: str) -> Tokens | None:
    record = entry / _RECORD
    try:
        digest = json.loads(record.read_text())["digest"]
        found = Tokens.of(mapped_arrays(entry, names), entry)
        if found.digest != digest:
            raise ValueError(f"its digest is {found.digest:.12}, and was {digest:.12}")
    except (FileNotFoundError, NotADirectoryError):
        if not record.exists():
            return None
        logger.warning("%s: the tokens kept in %s lack a file; they are made anew", what, entry)
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        logger.warning(
            "%s: the tokens kept in %s are damaged (%s); they are made anew", what, entry, error
        )
        return None
    return found


def _written(
    entry: Path, names: tuple[str, ...], encoded: Iterable[Encoded], vocab_size: int
) -> Tokens:
    with contextlib.ExitStack() as stack:
        adders = {}
        for name in (FLAT, COUNTS):
            if name in names:
                path = stack.enter_context(replacing(array_path(entry, name)))
                dtype = token_dtype(vocab_size) if name == FLAT else np.dtype(bool)
                adders[name] = stack.enter_context(_growing(path, dtype))
        offsets = laid_end_to_end(
            encoded, adders[FLAT], adders.get(COUNTS, _unwanted), vocab_size=vocab_size
        )
    with replacing(array_path(entry, OFFSETS)) as path, path.open("wb") as file:
        np.save(file, offsets)
    tokens = Tokens.of(mapped_arrays(entry, names), entry)
    with replacing(entry / _RECORD) as path:
        path.write_text(json.dumps({"digest": tokens.digest}) + "\n")
    return tokens


@contextlib.contextmanager
def _growing(path: Path, dtype: np.dtype[Any]) -> Iterator[Callable[[np.ndarray], None]]:
    """A function that adds to the array in a file, whose length is known only at the end."""
    length = 0

    def add(values: np.ndarray) -> None:
        nonlocal length
        file.write(np.ascontiguousarray(values, dtype).data)
        length += len(values)

    with path.open("w+b") as file:
        _write_head(file, dtype, length)
        begin = file.tell()
        yield add
        file.seek(0)
        _write_head(file, dtype, length)
        assert file.tell() == begin  # NumPy leaves room in it for any length


def _write_head(file: BinaryIO, dtype: np.dtype[Any], length: int) -> None:
    header = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": (length,),
    }
    np.lib.format.write_array_header_1_0(file, header)


def _unwanted(counts: np.ndarray) -> None:
    raise AssertionError("counts of tokens that were to have none")
