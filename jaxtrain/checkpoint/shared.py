"""Parts that do not change from one checkpoint to the next, written once for all of them.

    shared = SharedParts(directory)
    part = shared.take("train_state/frozen", leaves)      # in the thread that trains
    digest = shared.commit(part)                          # in the one that writes
    shared.delete_unused(in_use)

A part stands in `shared/DIGEST/`: its `arrays/`, a file `digest`, and a manifest. The digest is of
the values, so that the same base has the same name in every process and on every mesh; a
checkpoint's meta.json says under which digest a part of it is to be found.

Where several processes have a piece of it each, none could digest it. So they write it, and process
0 reads it back, some megabytes at a time in the order of its bytes, before it gets its name.

A jax array never changes: whoever hands in the very arrays of the time before hands in the same
part, and nothing of it is copied or read. Anything else is copied and digested again, and written
if it is new.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import weakref
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxtrain.checkpoint.arrays import merge_shares, stored_arrays, write_arrays, write_share
from jaxtrain.checkpoint.chunks import StoredArray, own_folder
from jaxtrain.checkpoint.fallback import set_aside
from jaxtrain.checkpoint.leaves import refuse_unstorable, to_host
from jaxtrain.checkpoint.manifest import NAME, digest_files, write_manifest
from jaxtrain.checkpoint.saved import BAD, SHARED, shared_parts
from jaxtrain.checkpoint.spread import Spread, boxes_in_order
from jaxtrain.checkpoint.together import ALONE, Together
from jaxtrain.checkpoint.verifier import shared_fault
from jaxtrain.errors import CheckpointError
from jaxtrain.files.atomic import make_directory, sync


@dataclass(frozen=True)
class Part:
    """A part on its way to the disk: its digest where that is known, else its arrays."""

    name: str
    digest: str | None
    arrays: Mapping[str, np.ndarray | Spread]
    marks: Mapping[str, Any]


class SharedParts:
    """What the checkpoints in `directory` have in common, written by all processes `together`."""

    def __init__(self, directory: Path, together: Together = ALONE) -> None:
        self._directory = directory
        self._together = together
        self._known: dict[str, tuple[Mapping[str, Any], str]] = {}  # by name: marks and digest
        self._sound: set[str] = set()  # digests that were written or verified by this process

    def take(self, name: str, leaves: Mapping[str, Any]) -> Part:
        """A part, copied to the host unless it is the one of the time before, still on the disk."""
        refuse_unstorable(leaves)
        marks = {leaf_name: _mark(leaf) for leaf_name, leaf in leaves.items()}
        known, digest = self._known.get(name, ({}, ""))
        if marks == known and self._is_there(digest):
            return Part(name, digest, {}, marks)
        return Part(name, None, to_host(leaves, first=self._together.first), marks)

    def commit(self, part: Part) -> str:
        """Bring a part to the disk, unless it is there, and give its digest.

        Raises:
            CheckpointError: it could not be written, or not every process holds it for the same.
        """
        known = self._together.share("shared/known", lambda: part.digest)
        if len({*known}) > 1:
            raise CheckpointError(
                f"{part.name!r}: process {known.index(None)} has other values than those that were "
                "saved before, and another process has not; all must hold the same arrays"
            )
        digest = part.digest
        if digest is None:
            if self._together.count == 1:
                digest = digest_of(part.arrays)
                if not self._is_usable(digest):
                    self._write(part.arrays, digest)
            else:
                digest = self._write_together(part.arrays)
            self._sound.add(digest)
        self._known[part.name] = (part.marks, digest)
        return digest

    def forget(self) -> None:
        """Take nothing for known, as where a save has failed, and not in all processes alike."""
        self._known.clear()

    def know(self, name: str, leaves: Mapping[str, Any], digest: str) -> None:
        """Know that a part has just been read and verified: these are its leaves."""
        self._known[name] = ({n: _mark(leaf) for n, leaf in leaves.items()}, digest)
        self._sound.add(digest)

    def delete_unused(self, in_use: Collection[str]) -> None:
        """Delete all parts but those whose digests are `in_use`.

        To be called when no other checkpoint stands in the directory any more, not even in case of
        a power cut: a part must not be gone before the last that refers to it.
        """
        doomed = []
        for path in shared_parts(self._directory):
            if path.name not in in_use:
                doomed.append(self._directory / f".tmp-old-{SHARED}-{path.name}")
                os.rename(path, doomed[-1])
        if doomed:
            # Out of sight for good, before the first file is gone.
            sync(self._directory / SHARED)
            sync(self._directory)
        for path in doomed:
            shutil.rmtree(path)

    def _is_there(self, digest: str) -> bool:
        return (self._directory / SHARED / digest / NAME).is_file()

    def _is_usable(self, digest: str) -> bool:
        """Whether it is on the disk, and whole; a damaged one is moved out of the way."""
        path = self._directory / SHARED / digest
        if digest in self._sound and self._is_there(digest):
            return True
        if not os.path.lexists(path):
            return False
        fault = shared_fault(path)
        if fault:
            set_aside(path, self._directory / BAD / f"{SHARED}-{digest}", fault)
        return not fault

    def _write(self, arrays: Mapping[str, np.ndarray | Spread], digest: str) -> None:
        temporary = self._place(digest)
        try:
            temporary.mkdir()
            # As with a checkpoint: the data before the manifest, the manifest before the name, and
            # the name before any checkpoint that refers to it.
            write_arrays(temporary / "arrays", arrays)
            self._finish(temporary, digest, {})
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise

    def _write_together(self, arrays: Mapping[str, np.ndarray | Spread]) -> str:
        # Whatever names and shapes it has: the values, and with them its own name, nobody knows.
        described = repr([(n, a.dtype.name, tuple(a.shape)) for n, a in sorted(arrays.items())])
        temporary = self._place(hashlib.sha256(described.encode()).hexdigest())
        try:
            known = write_together(self._together, "shared", temporary, arrays)
            return self._together.share("shared/commit", lambda: self._name(temporary, known))[0]
        except CheckpointError:  # in all processes, and none of them writes there any more
            if self._together.first:
                shutil.rmtree(temporary, ignore_errors=True)
            raise

    def _name(self, temporary: Path, known: Mapping[str, str]) -> str:
        """Give what all have written its name, unless there is such a one; process 0 alone does."""
        if not self._together.first:
            return ""
        merge_shares(temporary / "arrays")
        digest = digest_of(stored_arrays(temporary / "arrays"))
        if self._is_usable(digest):
            shutil.rmtree(temporary)
        else:
            self._finish(temporary, digest, known)
        return digest

    def _place(self, digest: str) -> Path:
        """Where a part is written, to be renamed when it is whole."""
        folder = self._directory / SHARED
        if folder.is_symlink():
            raise CheckpointError(f"{folder}: is a symbolic link; expected a directory")
        if self._together.first:
            make_directory(folder)
        return self._directory / f".tmp-{SHARED}-{digest}"

    def _finish(self, temporary: Path, digest: str, known: Mapping[str, str]) -> None:
        folder = self._directory / SHARED
        (temporary / "digest").write_text(digest)
        write_manifest(temporary, known)
        os.rename(temporary, folder / digest)
        sync(folder)


def write_together(
    together: Together, step: str, directory: Path, arrays: Mapping[str, np.ndarray | Spread]
) -> dict[str, str]:
    """Have all processes write what is theirs into `directory`, which process 0 makes.

    Args:
        together: all that write.
        step: what the meetings are called.
        directory: where `arrays/` is made.
        arrays: see `write_share`.

    Returns:
        The digests of what the other processes have written, and brought to the disk.

    Raises:
        CheckpointError: a process could not; nobody writes there any more.
    """

    def make() -> None:
        if together.first:
            directory.mkdir()
            (directory / "arrays").mkdir()

    def write() -> dict[str, str]:
        if not (directory / "arrays").is_dir():
            raise CheckpointError(
                f"{directory}: process 0 has made it, and it is not there; all processes of a run "
                "must write to one disk"
            )
        write_share(directory / "arrays", arrays)
        if together.first:  # it digests its files with the others that it writes
            return {}
        return digest_files(directory, own_folder(directory / "arrays"))

    together.do(f"{step}/make", make)
    known: dict[str, str] = {}
    for digests in together.share(f"{step}/write", write):
        known |= digests
    return known


def digest_of(arrays: Mapping[str, np.ndarray | Spread | StoredArray]) -> str:
    """The sha256 of names, dtypes, shapes and values: equal ones have the same, wherever they are.

    >>> one, two = {"w": np.zeros((2, 3))}, {"w": np.zeros((3, 2))}
    >>> digest_of(one) == digest_of(dict(one)), digest_of(one) == digest_of(two)
    (True, False)
    """
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(repr((name, array.dtype.name, array.shape)).encode())
        for values in _in_order(array):
            digest.update(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _in_order(array: np.ndarray | Spread | StoredArray) -> Iterator[np.ndarray]:
    """The values of an array as its bytes are in C, in parts where they are not in one place."""
    if isinstance(array, np.ndarray):
        yield array
        return
    for box in boxes_in_order(array.shape, array.dtype.itemsize):
        yield array.read([box])[0] if isinstance(array, StoredArray) else array.read(box)


def _mark(leaf: Any) -> Any:
    """What equals that of another leaf only if both are sure to hold the same values.

    Of a jax array, a weak reference: equal while it lives only to one of itself, and, since it
    keeps nothing alive, a base that nobody uses any more takes no memory.
    """
    if isinstance(leaf, jax.Array):
        return _Same(leaf)
    if isinstance(leaf, np.ndarray):
        return object()  # its owner may have written into it
    return type(leaf), np.asarray(leaf).tobytes()


class _Same:
    """Equal to that of the same object alone, and only while it lives."""

    def __init__(self, leaf: Any) -> None:
        self._leaf = weakref.ref(leaf)

    def __eq__(self, other: object) -> bool:
        mine = self._leaf()
        return isinstance(other, _Same) and mine is not None and mine is other._leaf()

    __hash__ = None  # type: ignore[assignment]
