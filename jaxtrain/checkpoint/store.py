"""CheckpointStore: a directory of checkpoints, each of them whole or not there.

    store = CheckpointStore("runs/digits/a/checkpoints", keep=2, monitor="val/loss", mode="min")
    store.save({"train_state": state}, iteration=900, meta={"metrics": {"val/loss": 0.3}})
    store.wait()
    tree, meta = store.load(store.best(), {"train_state": state})

A checkpoint is a directory, `00000900` (or `00000900.1` where that iteration was saved before):

    arrays/            the leaves, written by orbax
    meta.json          counters, cursor, metrics, versions: whatever the caller gave
    manifest.sha256    digests of all other files; written last

It is written under a name that starts with a dot and renamed when it is complete, so a name without
a dot is a commit. A checkpoint whose digests don't match is moved to `.bad/` and the one before it
is used.
"""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import jax

from jaxtrain.checkpoint.arrays import describe_arrays, read_arrays, write_arrays
from jaxtrain.checkpoint.leaves import from_host, refuse_differences, to_host
from jaxtrain.checkpoint.manifest import verify, write_manifest
from jaxtrain.checkpoint.saved import MAX_META_BYTES, Saved, best_first, committed, read_saved
from jaxtrain.errors import CheckpointError
from jaxtrain.files.atomic import sync

logger = logging.getLogger(__name__)

FORMAT = 1

Mode = Literal["min", "max"]


class CheckpointStore:
    """Saves, lists, loads and prunes the checkpoints of one run.

    Args:
        directory: made with the first save.
        keep: how many of the newest stay, at least 1. The best one stays besides.
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
        monitor: str = "val/loss",
        mode: Mode = "min",
        asynchronous: bool = True,
    ) -> None:
        self.directory = Path(directory)
        self._keep = keep
        self._monitor = monitor
        self._mode = mode
        self._writer = ThreadPoolExecutor(1, "checkpoint") if asynchronous else None
        self._writing: Future[None] | None = None
        self._copy: dict[str, Any] = {}  # the last one of the state, for the next to write over
        self._best: float | None = None  # of the monitor, over what was saved

    # -- writing -------------------------------------------------------------------------------

    def save(self, tree: Any, *, iteration: int, meta: Mapping[str, Any]) -> None:
        """Save a tree of arrays and a JSON-able `meta`.

        Raises:
            CheckpointError: where this save, or an asynchronous one before it, failed.
        """
        self.wait()
        arrays = to_host(tree, reuse=self._copy)
        if jax.default_backend() == "cpu":
            self._copy = arrays
        meta = {"format": FORMAT, "iteration": iteration, **meta}
        if self.improves(meta.get("metrics", {})):
            self._best = meta["metrics"][self._monitor]
        if self._writer is None:
            self._commit(arrays, meta)
        else:
            self._writing = self._writer.submit(self._commit, arrays, meta)

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

    def _commit(self, arrays: dict[str, Any], meta: dict[str, Any]) -> None:
        final = self._free_name(meta["iteration"])
        temporary = self.directory / f".tmp-{final.name}"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._sweep()
            temporary.mkdir()
            # The order is what makes a kill at any instant harmless. The data is on the disk
            # before the manifest that vouches for it, the manifest before the name that makes it
            # count, the name before anything older is deleted.
            write_arrays(temporary / "arrays", arrays)
            (temporary / "meta.json").write_bytes(_encode(meta))
            write_manifest(temporary)
            os.rename(temporary, final)
            sync(self.directory)
            self._prune()
        except (CheckpointError, OSError, ValueError, TypeError) as error:
            # On a full disk, what is half written is in the way of all else.
            shutil.rmtree(temporary, ignore_errors=True)
            raise CheckpointError(
                f"{self.directory}: saving iteration {meta['iteration']} failed: {error}. "
                "Earlier checkpoints are untouched."
            ) from error

    def _free_name(self, iteration: int) -> Path:
        name = f"{iteration:08d}"
        serial = 0
        while os.path.lexists(self.directory / (f"{name}.{serial}" if serial else name)):
            serial += 1
        return self.directory / (f"{name}.{serial}" if serial else name)

    def _sweep(self) -> None:
        """Delete what a killed process left half written."""
        for left in self.directory.glob(".tmp-*"):
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
            else:
                left.unlink()

    def _prune(self) -> None:
        """Delete all but the newest `keep` and the best."""
        saved = self.saved()
        best = self._ranked(saved)[:1]
        for old in saved[: -self._keep]:
            if old not in best:
                # Out of sight first: half deleted, it must not look like a checkpoint.
                doomed = self.directory / f".tmp-old-{old.path.name}"
                os.rename(old.path, doomed)
                shutil.rmtree(doomed)

    # -- reading -------------------------------------------------------------------------------

    def saved(self) -> list[Saved]:
        """The committed checkpoints, oldest first. Reads their `meta.json`, not their arrays.

        One whose `meta.json` can't be read is bad: it is left out here, and set aside by `latest`.
        """
        return [s for s in map(read_saved, committed(self.directory)) if s is not None]

    def latest(self) -> Saved | None:
        """The newest checkpoint that passes its digests, or None where none was ever committed.

        Bad ones newer than it are moved to `.bad/`, with a warning in the log.

        Raises:
            CheckpointError: where there are checkpoints but all of them are bad; they stay where
                they are.
        """
        return self._soundest(committed(self.directory)[::-1])

    def best(self) -> Saved | None:
        """The checkpoint with the best monitored value that passes its digests.

        The newest one where none has such a value.
        """
        ranked = [s.path for s in self._ranked(self.saved())]
        rest = [path for path in committed(self.directory)[::-1] if path not in ranked]
        return self._soundest([*ranked, *rest])

    def improves(self, metrics: Mapping[str, Any]) -> bool:
        """Whether a checkpoint with these metrics would be the best so far. NaN never is."""
        value = metrics.get(self._monitor)
        if not isinstance(value, int | float) or math.isnan(value):
            return False
        if self._best is None:
            ranked = self._ranked(self.saved())
            self._best = ranked[0].value(self._monitor) if ranked else None
        if self._best is None or math.isnan(self._best):
            return True
        return value < self._best if self._mode == "min" else value > self._best

    def load(
        self, saved: Saved | Path, template: Any, *, part: str | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Read a checkpoint into a tree like `template`.

        Args:
            saved: which.
            template: a tree with the structure, shapes and dtypes that are expected.
            part: read only what stands under this name in the tree that was saved; `template` is
                then like that part.

        Returns:
            The tree and the meta that was saved with it.

        Raises:
            CheckpointError: where it can't be read, or its digests don't match.
            CheckpointMismatchError: listing every leaf that differs from the template.
        """
        path = saved.path if isinstance(saved, Saved) else Path(saved)
        verify(path)
        found = read_saved(path)
        if found is None:
            raise CheckpointError(f"{path / 'meta.json'}: is not what it must be")
        if found.meta.get("format") != FORMAT:
            raise CheckpointError(
                f"{path}: format {found.meta.get('format')!r}; this version reads {FORMAT}"
            )
        wanted = template if part is None else {part: template}
        prefix = "" if part is None else f"{part}/"
        described = describe_arrays(path / "arrays")
        # Compared before any array is read: no memory is taken for what a file merely claims.
        refuse_differences({n: d for n, d in described.items() if n.startswith(prefix)}, wanted)
        stored = {n: a for n, a in read_arrays(path / "arrays").items() if n.startswith(prefix)}
        tree = from_host(stored, wanted)
        return (tree if part is None else tree[part]), found.meta

    def _soundest(self, candidates: list[Path]) -> Saved | None:
        faults: dict[Path, str] = {}
        for path in candidates:
            try:
                verify(path)
            except CheckpointError as error:
                faults[path] = str(error)
                continue
            found = read_saved(path)
            if found is not None:
                for bad, fault in faults.items():
                    self._set_aside(bad, fault)
                return found
            faults[path] = f"{path / 'meta.json'}: is not what it must be"
        aside = [str(path) for path in self.directory.glob(".bad/*")]
        if faults or aside:
            raise CheckpointError(
                "every checkpoint is bad; not starting over from step 0 (for that, choose another "
                "directory, or delete them):\n  " + "\n  ".join([*faults.values(), *aside])
            )
        return None

    def _set_aside(self, path: Path, reason: str) -> None:
        bad = self.directory / ".bad"
        if bad.is_symlink():
            raise CheckpointError(f"{bad}: is a symbolic link; expected a directory")
        bad.mkdir(exist_ok=True)
        target = bad / path.name
        serial = 0
        while target.exists():
            serial += 1
            target = bad / f"{path.name}.{serial}"
        os.rename(path, target)
        logger.warning("%s; set aside as %s", reason, target)

    def _ranked(self, saved: list[Saved]) -> list[Saved]:
        return best_first(saved, monitor=self._monitor, mode=self._mode)


def _encode(meta: Mapping[str, Any]) -> bytes:
    content = json.dumps(meta, indent=1, sort_keys=True).encode()
    if len(content) > MAX_META_BYTES:
        raise ValueError(f"meta.json takes {len(content):,} bytes; at most {MAX_META_BYTES:,} do")
    return content
