"""The manifest of a directory: a sha256 of every file in it.

    write_manifest(directory)      # digests it, and brings all of it to the disk
    verify_manifest(directory)     # CheckpointError: names the first file that is not as it was

Several processes share the work:

    digests = digest_files(directory, own_folder)       # each, of what it has written
    write_manifest(directory, digests_of_all_others)    # the first
    verify_manifest(directory, share=(0, 2))            # each, every second file

It is written in the format of the `sha256sum` command, so that anybody can verify a checkpoint
with `cd CHECKPOINT && sha256sum -c manifest.sha256`. Its first line, a comment, is the digest of
the lines below, so that a change in the manifest itself is found, too.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from jaxtrain.errors import CheckpointError
from jaxtrain.files.atomic import sync

Share: TypeAlias = tuple[int, int]
"""Which of how many parts of some work."""

ALL: Share = (0, 1)

NAME = "manifest.sha256"
_HEAD = "# jaxtrain manifest "
_MAX_BYTES = 1 << 26
_SMALL = 1 << 20
# hashlib gives the interpreter away while it hashes; more threads than this only wait for the disk.
_THREADS = 4


def write_manifest(directory: Path, known: Mapping[str, str] = MappingProxyType({})) -> None:
    """Digest every file below `directory`, write the manifest, and bring all of it to the disk.

    A file that was digested but not yet on the disk could be lost in a power failure after the
    commit; so everything is synced here, files first, then the directories that name them.

    Args:
        directory: of which.
        known: digests, by name, of files that other processes have written, digested and synced.

    Raises:
        CheckpointError: one of those is not there.
    """
    files = {path.relative_to(directory).as_posix(): path for path in _files(directory)}
    if unseen := sorted(known.keys() - files.keys()):
        raise CheckpointError(
            f"{directory / unseen[0]}: another process has written it, and it is not there: all "
            "must write to one disk"
        )
    own = [path for name, path in files.items() if name not in known]
    digests = iter([*_in_threads(_digest_and_sync, own)])
    body = "".join(f"{known.get(name) or next(digests)}  {name}\n" for name in files)
    manifest = directory / NAME
    manifest.write_text(f"{_HEAD}{hashlib.sha256(body.encode()).hexdigest()}\n{body}")
    sync(manifest)
    # Also a directory that holds only others: a name that is lost takes all below it along.
    _sync_folders(directory)


def digest_files(directory: Path, folder: Path) -> dict[str, str]:
    """Digest the files below `folder`, which may be missing, and bring them to the disk.

    Returns:
        The digests, by the names that they have in the manifest of `directory`.
    """
    if not folder.is_dir():
        return {}
    files = _files(folder)
    names = [path.relative_to(directory).as_posix() for path in files]
    digests = dict(zip(names, _in_threads(_digest_and_sync, files), strict=True))
    _sync_folders(folder)
    return digests


def _sync_folders(directory: Path) -> None:
    for folder in sorted((p for p in directory.rglob("*") if p.is_dir()), reverse=True):
        sync(folder)
    sync(directory)


def verify_manifest(directory: Path, *, share: Share = ALL) -> None:
    """Compare every file with the manifest.

    Args:
        directory: of which.
        share: of which of the large files the contents are compared: the first number and every so
            many more. Names, and what is small, are compared whatever the share is: whoever reads a
            checkpoint reads its meta.json and its tree of names.

    Raises:
        CheckpointError: naming the first file that is missing, left over, changed, unreadable, or
            neither a file nor a directory.
    """
    try:
        found = {path.relative_to(directory).as_posix(): path for path in _files(directory)}
    except OSError as error:
        raise CheckpointError(f"{directory}: can't be read: {error}") from None
    expected = _listed(directory)
    # Names first: what the manifest does not list is not even opened.
    for name in sorted(expected.keys() ^ found.keys()):
        if name not in found:
            raise CheckpointError(f"{directory / name}: missing; the manifest lists it")
        raise CheckpointError(f"{directory / name}: not in the manifest")
    try:
        large = {name for name, path in found.items() if path.stat().st_size > _SMALL}
        others = large.difference(sorted(large)[share[0] :: share[1]])
        own = {name: path for name, path in found.items() if name not in others}
        digests = list(_in_threads(_digest, own.values()))
    except OSError as error:  # a bad sector, or another process has just deleted it
        raise CheckpointError(f"{error.filename or directory}: can't be read: {error}") from error
    for (name, path), digest in zip(own.items(), digests, strict=True):
        if expected[name] != digest:
            raise CheckpointError(f"{path}: the contents do not match their digest")


def vouches_for(directory: Path, name: str) -> bool:
    """Whether the manifest is whole, and one file of the directory is as it says; cheap."""
    try:
        return _listed(directory).get(name) == _digest(directory / name)
    except (CheckpointError, OSError):
        return False


def manifest_digest(directory: Path) -> str:
    """The digest of a manifest, and so of all that it lists; no other file is read.

    Raises:
        CheckpointError: it can't be read, or is not what was written.
    """
    _listed(directory)
    with (directory / NAME).open() as file:
        return file.readline().removeprefix(_HEAD).strip()


def _listed(directory: Path) -> dict[str, str]:
    """The digests in the manifest, by name.

    Raises:
        CheckpointError: it can't be read, or is not what was written.
    """
    manifest = directory / NAME
    try:
        with manifest.open("rb") as file:
            head, _, body = file.read(_MAX_BYTES).decode().partition("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{manifest}: can't be read: {error}") from None
    if head != _HEAD + hashlib.sha256(body.encode()).hexdigest():
        raise CheckpointError(f"{manifest}: the manifest itself was changed or cut off")
    lines = (line.partition("  ") for line in body.splitlines())
    return {name: digest for digest, _, name in lines}


def _files(directory: Path) -> list[Path]:
    """All files below `directory` but the manifest.

    Raises:
        CheckpointError: a symbolic link, which may lead anywhere, or a pipe, which may never end.
    """
    files = []
    for path in sorted(directory.rglob("*")):
        kind = path.lstat().st_mode
        if stat.S_ISREG(kind):
            files.append(path)
        elif not stat.S_ISDIR(kind):
            raise CheckpointError(f"{path}: expected a file or a directory, found something else")
    return [path for path in files if path != directory / NAME]


def _in_threads(function: Callable[[Path], str], paths: Iterable[Path]) -> Iterator[str]:
    with ThreadPoolExecutor(_THREADS) as threads:
        yield from threads.map(function, paths)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_and_sync(path: Path) -> str:
    digest = _digest(path)
    sync(path)
    return digest
