"""Parts that do not change from one checkpoint to the next, written once for all of them.

    shared = SharedParts(directory)
    part = shared.take("train_state/frozen", leaves)      # in the thread that trains
    digest = shared.commit(part)                          # in the one that writes
    shared.delete_unused(in_use)

A part stands in `shared/DIGEST/`: its `arrays/`, a file `digest`, and a manifest. The digest is of
the values, so that the same base has the same name in every process; a checkpoint's meta.json says
under which digest a part of it is to be found.

A jax array never changes: whoever hands in the very arrays of the time before hands in the same
part, and nothing of it is copied or read. Anything else is copied and digested again, and written
if it is new.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import weakref
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxtrain.checkpoint.arrays import write_arrays
from jaxtrain.checkpoint.fallback import set_aside
from jaxtrain.checkpoint.leaves import refuse_unstorable, to_host
from jaxtrain.checkpoint.manifest import NAME, write_manifest
from jaxtrain.checkpoint.saved import BAD, SHARED, shared_parts
from jaxtrain.checkpoint.verifier import shared_fault
from jaxtrain.errors import CheckpointError
from jaxtrain.files.atomic import make_directory, sync


@dataclass(frozen=True)
class Part:
    """A part on its way to the disk: its digest where that is known, else its arrays."""

    name: str
    digest: str | None
    arrays: Mapping[str, np.ndarray]
    marks: Mapping[str, Any]


class SharedParts:
    """What the checkpoints in `directory` have in common."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: dict[str, tuple[Mapping[str, Any], str]] = {}  # by name: marks and digest
        self._sound: set[str] = set()  # digests that were written or verified by this process

    def take(self, name: str, leaves: Mapping[str, Any]) -> Part:
        """A part, copied to the host unless it is the one of the time before, still on the disk."""
        refuse_unstorable(leaves)
        marks = {leaf_name: _mark(leaf) for leaf_name, leaf in leaves.items()}
        known, digest = self._known.get(name, ({}, ""))
        if marks == known and self._is_there(digest):
            return Part(name, digest, {}, marks)
        return Part(name, None, to_host(leaves), marks)

    def commit(self, part: Part) -> str:
        """Bring a part to the disk, unless it is there, and give its digest."""
        digest = part.digest or digest_of(part.arrays)
        if part.digest is None:
            if not self._is_usable(digest):
                self._write(part.arrays, digest)
            self._sound.add(digest)
        self._known[part.name] = (part.marks, digest)
        return digest

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

    def _write(self, arrays: Mapping[str, np.ndarray], digest: str) -> None:
        folder = self._directory / SHARED
        if folder.is_symlink():
            raise CheckpointError(f"{folder}: is a symbolic link; expected a directory")
        make_directory(folder)
        temporary = self._directory / f".tmp-{SHARED}-{digest}"
        try:
            temporary.mkdir()
            # As with a checkpoint: the data before the manifest, the manifest before the name, and
            # the name before any checkpoint that refers to it.
            write_arrays(temporary / "arrays", arrays)
            (temporary / "digest").write_text(digest)
            write_manifest(temporary)
            os.rename(temporary, folder / digest)
            sync(folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def digest_of(arrays: Mapping[str, np.ndarray]) -> str:
    """The sha256 of names, dtypes, shapes and values: equal ones have the same, wherever they are.

    >>> one, two = {"w": np.zeros((2, 3))}, {"w": np.zeros((3, 2))}
    >>> digest_of(one) == digest_of(dict(one)), digest_of(one) == digest_of(two)
    (True, False)
    """
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(repr((name, array.dtype.name, array.shape)).encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


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
