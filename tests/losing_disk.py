"""A disk that loses what was not synced: what a power cut could leave behind, at every instant.

    disk = LosingDisk(tmp_path / "disk")
    with disk.watched(monkeypatch):
        save()                                    # with real files; each system call is an instant
    for instant in disk.instants:
        for left in instant.after_a_power_cut():
            with left.built(tmp_path / "left") as place:
                assert sound(place)               # a copy of what may be left

The model is harsher than any file system. Of a file that was not synced since it was written, any
of its old bytes, its new ones or nothing is left; of a directory's names, those that were added,
removed or changed since it was synced are each left in any of the states that they went through,
independently of one another and of the order.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import shutil
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

Inode = tuple[int, int]
CALLS = ("fsync", "rename", "replace", "mkdir", "rmdir", "unlink", "remove", "link", "symlink")


class Left:
    """What a power cut has left: equal digests, equal files."""

    def __init__(self, tree: dict) -> None:
        self._tree = tree
        self.digest = hashlib.sha256(repr(_sorted(tree)).encode()).digest()

    @contextlib.contextmanager
    def built(self, place: Path) -> Iterator[Path]:
        """The files themselves, at `place`, for as long as the context lasts."""
        _build(self._tree, place)
        yield place
        shutil.rmtree(place)


@dataclass(frozen=True)
class Instant:
    """Behind one system call: for every name and every file, what of it may be left."""

    call: str
    root: Inode
    names: dict[tuple[Inode, str], list[Inode | None]]  # oldest first: the synced one
    contents: dict[Inode, list[bytes]]
    folders: frozenset[Inode]

    def after_a_power_cut(self, *, tries: int = 8, seed: int = 0) -> Iterator[Left]:
        """What may be left, no two of them alike."""
        open_names = [key for key, states in self.names.items() if len(states) > 1]
        open_files = [key for key, states in self.contents.items() if len(states) > 1]
        pending: list[object] = [*open_names, *open_files]
        dice = random.Random(f"{seed} {len(self.names)} {len(self.contents)}")
        choices = [set(), set(pending)]
        choices += [{item} for item in pending] + [set(pending) - {item} for item in pending]
        choices += [{p for p in pending if dice.random() < 0.5} for _ in range(tries)]
        seen = set()
        for written in choices:
            left = Left(self._left(self.root, written, dice))
            if left.digest not in seen:
                seen.add(left.digest)
                yield left

    def _left(self, folder: Inode, written: set[object], dice: random.Random) -> dict:
        left: dict[str, object] = {}
        for (parent, name), states in self.names.items():
            if parent != folder:
                continue
            # What has reached the disk is the last state, or one on the way to it.
            late = states[-1] if dice.random() < 0.8 else dice.choice(states)
            node = late if (parent, name) in written else states[0]
            if node is None:
                continue
            if node in self.folders:
                left[name] = self._left(node, written, dice)
            else:
                states_of_file = self.contents[node]
                left[name] = states_of_file[-1 if node in written else 0]
        return left


class LosingDisk:
    """A directory, made here, of which every system call of this process is watched."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.instants: list[Instant] = []
        self._lock = threading.RLock()
        self._held: dict[Inode, int] = {}  # descriptors: no inode may be used again meanwhile
        self._names: dict[tuple[Inode, str], list[Inode | None]] = {}
        self._contents: dict[Inode, list[bytes]] = {}
        self._folders: set[Inode] = set()

    @contextlib.contextmanager
    def watched(self, monkeypatch) -> Iterator[None]:
        """What is there at the beginning is on the disk; from then on all is watched."""
        self._look()
        for states in [*self._names.values(), *self._contents.values()]:
            del states[:-1]
        try:
            with monkeypatch.context() as patch:
                for name in CALLS:
                    patch.setattr(os, name, self._around(name, getattr(os, name)))
                yield
        finally:
            for descriptor in self._held.values():
                os.close(descriptor)
            self._held.clear()

    def _around(self, name, function):
        def call(*args, **kwargs):
            with self._lock:
                result = function(*args, **kwargs)
                self._look()
                if name == "fsync":
                    self._synced(_inode(os.fstat(args[0])))
                self._note(f"{len(self.instants)}: {name} {args[0]}")
            return result

        return call

    def mark(self, what: str) -> None:
        """An instant between two calls, of that name."""
        with self._lock:
            self._look()
            self._note(what)

    def _note(self, call: str) -> None:
        self.instants.append(
            Instant(
                call,
                _inode(self.root.stat()),
                {key: list(states) for key, states in self._names.items()},
                {key: list(states) for key, states in self._contents.items()},
                frozenset(self._folders),
            )
        )

    def _synced(self, inode: Inode) -> None:
        if inode in self._contents:
            del self._contents[inode][:-1]
        for (folder, _), states in self._names.items():
            if folder == inode:
                del states[:-1]

    def _look(self) -> None:
        """Compare with what was there before, and note what is new."""
        found: dict[tuple[Inode, str], Inode] = {}
        for folder, _, _ in os.walk(self.root):
            with contextlib.suppress(FileNotFoundError):
                self._look_into(Path(folder), found)
        for key in self._names.keys() | found.keys():
            states = self._names.setdefault(key, [None])
            if states[-1] != found.get(key):
                states.append(found.get(key))

    def _look_into(self, folder: Path, found: dict[tuple[Inode, str], Inode]) -> None:
        parent = self._hold(folder)
        self._folders.add(parent)
        for entry in os.scandir(folder):
            if stat.S_ISDIR(entry.stat(follow_symlinks=False).st_mode):
                found[parent, entry.name] = self._hold(Path(entry.path))
                continue
            node = found[parent, entry.name] = self._hold(Path(entry.path))
            content = Path(entry.path).read_bytes()
            # A file that was never synced may be there without its bytes.
            states = self._contents.setdefault(node, [b""])
            if states[-1] != content:
                states.append(content)

    def _hold(self, path: Path) -> Inode:
        inode = _inode(path.stat())
        if inode not in self._held:
            self._held[inode] = os.open(path, os.O_RDONLY)
        return inode


def _inode(status: os.stat_result) -> Inode:
    return status.st_dev, status.st_ino


def _sorted(tree: dict) -> list:
    return [
        (name, _sorted(node) if isinstance(node, dict) else node)
        for name, node in sorted(tree.items())
    ]


def _build(left: dict, target: Path) -> None:
    target.mkdir(parents=True)
    for name, node in left.items():
        if isinstance(node, dict):
            _build(node, target / name)
        else:
            (target / name).write_bytes(node)
