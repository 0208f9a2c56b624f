"""CheckpointStore: a directory of checkpoints, each of them whole or not there.

    store = CheckpointStore("runs/digits/a/checkpoints", keep=2, monitor="val/loss", mode="min")
    store.save({"train_state": state}, iteration=900, meta={"metrics": {"val/loss": 0.3}})
    tree, meta = store.load(store.best(), {"train_state": state})
    params, _ = store.load(store.best(), state.params, part="train_state/params")

A checkpoint is a directory, `00000900` (or `00000900.1` where that iteration was saved before):

    arrays/            the leaves, written by orbax
    meta.json          counters, cursor, metrics, versions: whatever the caller gave
    manifest.sha256    digests of all other files; written last

It is written under a name that starts with a dot and renamed when it is complete, so a name without
a dot is a commit. A checkpoint whose digests don't match is moved to `.bad/` and the one before it
is used. Parts that do not change stand in `shared/`, once for all checkpoints that refer to them.

In a run of several processes each has a store of the same directory, on a disk that all of them
see, and all call its methods alike, in the same order. Each writes and reads the pieces that its
devices have; where one fails, all raise. What they all have, and `meta`, is that of process 0.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax

from jaxtrain.checkpoint.best import BestValues
from jaxtrain.checkpoint.committer import Committer
from jaxtrain.checkpoint.fallback import Faults, first_sound, set_all_aside, soundest
from jaxtrain.checkpoint.leaves import key_types, named_leaves, to_host
from jaxtrain.checkpoint.loading import compare_tree, is_within, load_tree
from jaxtrain.checkpoint.saved import FORMAT, Saved, committed, number
from jaxtrain.checkpoint.shared import Part
from jaxtrain.checkpoint.together import Together
from jaxtrain.errors import CheckpointError, PeerError
from jaxtrain.metrics import Direction

_OWN = ("format", "iteration", "keys", "shared")  # entries of meta.json that are the store's


class CheckpointStore:
    """Saves, lists, loads and prunes the checkpoints of one run.

    Args:
        directory: made with the first save.
        keep: how many of the newest stay, at least 1.
        keep_best: how many of the best stay besides, at least 1.
        monitor: the name among `meta["metrics"]` that says which one is best.
        mode: whether a small or a large value of it is good.
        asynchronous: write in a background thread; `save` then only waits for the copy off the
            device, and for the write before it, so that at most one more copy of the state is held.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        keep: int = 2,
        keep_best: int = 1,
        monitor: str = "val/loss",
        mode: Direction = "min",
        asynchronous: bool = True,
    ) -> None:
        for name, number_of in (("keep", keep), ("keep_best", keep_best)):
            if number_of < 1:
                raise ValueError(f"{name}: expected at least 1, found {number_of}")
        self.directory = Path(directory).absolute()  # a `chdir` does not move it
        self.monitor = monitor
        # A path may differ from host to host; what it ends with does not.
        self._together = Together("/".join(self.directory.parts[-2:]))
        self._committer = Committer(
            self.directory,
            self._together,
            keep=keep,
            keep_best=keep_best,
            monitor=monitor,
            mode=mode,
        )
        self._best = BestValues(self._committer, monitor=monitor, mode=mode, keep_best=keep_best)
        self._writer = ThreadPoolExecutor(1, "checkpoint") if asynchronous else None
        self._writing: Future[None] | None = None
        self._copy: dict[str, Any] = {}  # the last one of the state, for the next to write over

    # -- writing -------------------------------------------------------------------------------

    def save(
        self, tree: Any, *, iteration: int, meta: Mapping[str, Any], shared: Collection[str] = ()
    ) -> None:
        """Save a tree of arrays and a JSON-able `meta`.

        Args:
            tree: of arrays, numbers and typed random keys.
            iteration: after which it was taken.
            meta: whatever belongs to it, `metrics` among it; it may change when this returns.
            shared: parts of the tree, by name ("train_state/frozen"), that hardly ever change. They
                are written once and only referred to, for as long as they are made of the same jax
                arrays, or hold the same values.

        Raises:
            CheckpointError: where this save, or an asynchronous one before it, failed; or a leaf
                can't be stored as it is.
            ValueError: two leaves of the same name; no leaf in a part that is named as shared.
        """
        self.wait()
        leaves, take = named_leaves(tree), self._committer.shared.take
        parts = [take(n, below) for n, below in _split(leaves, shared).items()]
        own = {n: leaf for n, leaf in leaves.items() if not any(is_within(n, s) for s in shared)}
        arrays = to_host(own, reuse=self._copy, first=self._together.first)
        if jax.default_backend() == "cpu":
            self._copy = arrays
        if taken := meta.keys() & {*_OWN}:
            raise ValueError(f"meta: {', '.join(sorted(taken))} are the store's own; rename them")
        try:
            # What stands in it is now and here: the caller's lists may grow while it is written.
            kept = json.loads(json.dumps({**meta, "iteration": iteration}))
        except (ValueError, TypeError) as error:
            raise self._committer.failed(iteration, error) from error
        kept |= {"format": FORMAT, "keys": key_types(leaves)}
        if self.improves(kept.get("metrics", {})):
            self._best.note(number(kept["metrics"][self.monitor]))
        if self._writer is None:
            self._commit(arrays, parts, kept)
        else:
            self._writing = self._writer.submit(self._commit, arrays, parts, kept)

    def wait(self) -> None:
        """Wait until nothing is being written.

        Raises:
            CheckpointError: where the last asynchronous save failed.
        """
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def close(self) -> None:
        """Wait, and end the background thread. The store can't save any more."""
        try:
            self.wait()
        finally:
            if self._writer is not None:
                self._writer.shutdown()

    def _commit(self, arrays: dict[str, Any], parts: list[Part], meta: dict[str, Any]) -> None:
        try:
            self._committer.commit(arrays, parts, meta)
        except (CheckpointError, PeerError):
            self._best.forget()  # one may have been that of this save
            raise

    # -- reading -------------------------------------------------------------------------------

    def saved(self) -> list[Saved]:
        """The committed checkpoints, oldest first. Reads their `meta.json`, not their arrays.

        Waits for the one that is being written. One whose `meta.json` can't be read is bad: it is
        left out here, and set aside by `latest`.

        Raises:
            CheckpointError: where the last asynchronous save failed.
        """
        self.wait()
        return self._committer.committed()

    def latest(self) -> Saved | None:
        """The newest checkpoint that passes its digests, or None where none was ever committed.

        Waits for the one that is being written. Bad ones newer than it are moved to `.bad/`, with a
        warning in the log.

        Raises:
            CheckpointError: where there are checkpoints but all of them are bad; they stay where
                they are. Or the last asynchronous save failed.
        """
        saved, faults = self.look()
        self.set_aside(faults)
        return saved

    def look(self) -> tuple[Saved | None, Faults]:
        """What `latest` would give, and the bad ones that it would move; nothing is moved.

        Raises:
            CheckpointError: as for `latest`.
        """
        self.wait()
        self._committer.is_made = self.directory.is_dir()
        return first_sound(self.directory, committed(self.directory)[::-1], self._together)

    def set_aside(self, faults: Faults) -> None:
        """Move bad checkpoints, as `look` has found them, to `.bad/`, with a warning each."""
        set_all_aside(self.directory, faults, self._together)

    def best(self) -> Saved | None:
        """The checkpoint with the best monitored value that passes its digests.

        The newest one where none has such a value. Waits for the one that is being written.

        Raises:
            CheckpointError: as for `latest`.
        """
        ranked = [s.path for s in self._committer.ranked(self.saved())]
        rest = [path for path in committed(self.directory)[::-1] if path not in ranked]
        return soundest(self.directory, [*ranked, *rest], self._together)

    def improves(self, metrics: Mapping[str, Any]) -> bool:
        """Whether one with these metrics would be among the best that are kept; an equal is not."""
        return self._best.improved_by(number(metrics.get(self.monitor)))

    def load(
        self,
        saved: Saved | Path,
        template: Any,
        *,
        part: str | None = None,
        without: Collection[str] = (),
    ) -> tuple[Any, dict[str, Any]]:
        """Read a checkpoint into a tree like `template`, each leaf to where the template's is.

        Args:
            saved: which.
            template: a tree with the structure, shapes, dtypes and shardings that are expected, of
                arrays or `jax.ShapeDtypeStruct`s; see `template.py`.
            part: read only what stands under this name in the tree that was saved, such as
                "train_state/params"; `template` is then like that part.
            without: what is left in the file, by the same names, such as "train_state/opt_state";
                the template has no leaf there.

        Returns:
            The tree and the meta that was saved with it.

        Raises:
            CheckpointError: where it can't be read, or its digests don't match.
            CheckpointMismatchError: listing every leaf that differs from the template.
        """
        self.wait()
        path = saved.path if isinstance(saved, Saved) else Path(saved)
        tree, found = load_tree(path, template, part=part, without=without, together=self._together)
        if part is None and not without:
            for name, folder in found.shared.items():
                if folder.parent.parent == self.directory:
                    leaves = {n: v for n, v in named_leaves(tree).items() if is_within(n, name)}
                    self._committer.shared.know(name, leaves, folder.name)
        return tree, found.meta

    def compare(self, saved: Saved, template: Any) -> None:
        """See that `load` would find what `template` expects; reads no array.

        Raises:
            CheckpointError: where it can't be read.
            CheckpointMismatchError: listing every leaf that differs from the template.
        """
        self.wait()
        compare_tree(saved, template)


def _split(leaves: Mapping[str, Any], parts: Collection[str]) -> dict[str, dict[str, Any]]:
    """The leaves of each part, by name."""
    split = {part: {n: v for n, v in leaves.items() if is_within(n, part)} for part in parts}
    for part, below in split.items():
        if not below:
            raise ValueError(f"shared: the tree has no leaf in a part called {part!r}")
        if around := [other for other in split if other != part and is_within(part, other)]:
            raise ValueError(f"shared: {part!r} is within {around[0]!r}, which is shared already")
    return split
