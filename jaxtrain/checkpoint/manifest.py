"""The manifest of a checkpoint: a sha256 of every file in it.

It is written in the format of the `sha256sum` command, so that anybody can verify a checkpoint
with `cd CHECKPOINT && sha256sum -c manifest.sha256`. Its first line, a comment, is the digest of
the lines below, so that a change in the manifest itself is found, too.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from jaxtrain.atomic import sync
from jaxtrain.errors import CheckpointError

NAME = "manifest.sha256"
_HEAD = "# jaxtrain manifest "


def write_manifest(directory: Path) -> None:
    """Digest every file below `directory`, write the manifest, and bring all of it to the disk.

    A file that was digested but not yet on the disk could be lost in a power failure after the
    commit; so everything is synced here, files first, then the directories that name them.
    """
    lines = []
    for path in _files(directory):
        lines.append(f"{_digest(path)}  {path.relative_to(directory).as_posix()}\n")
        sync(path)
    body = "".join(lines)
    manifest = directory / NAME
    manifest.write_text(f"{_HEAD}{hashlib.sha256(body.encode()).hexdigest()}\n{body}")
    sync(manifest)
    for folder in sorted({p.parent for p in _files(directory)} | {directory}, reverse=True):
        sync(folder)


def verify(directory: Path) -> None:
    """Compare every file with the manifest.

    Raises:
        CheckpointError: naming the first file that is missing, left over or changed.
    """
    manifest = directory / NAME
    try:
        head, _, body = manifest.read_text().partition("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{manifest}: can't be read: {error}") from None
    if head != _HEAD + hashlib.sha256(body.encode()).hexdigest():
        raise CheckpointError(f"{manifest}: the manifest itself was changed or cut off")
    expected = {}
    for line in body.splitlines():
        digest, _, name = line.partition("  ")
        expected[name] = digest
    found = {path.relative_to(directory).as_posix(): path for path in _files(directory)}
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            raise CheckpointError(f"{directory / name}: missing; the manifest lists it")
        if name not in expected:
            raise CheckpointError(f"{directory / name}: not in the manifest")
        if _digest(found[name]) != expected[name]:
            raise CheckpointError(f"{directory / name}: the contents do not match their digest")


def _files(directory: Path) -> list[Path]:
    return sorted(p for p in directory.rglob("*") if p.is_file() and p != directory / NAME)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
