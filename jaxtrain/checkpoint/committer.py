"""From arrays in memory to a commit on the disk, by one process or by several together.

    committer = Committer(directory, keep=2, keep_best=1, monitor="val/loss", mode="min")
    committer.commit(arrays, parts, meta)       # a thread of its own may do it

The order is what makes a kill or a power cut at any instant harmless. What a checkpoint refers to
is on the disk before it, its data before the manifest that vouches for them, the manifest before
the name that makes it count, the name before anything older is deleted.

Of several processes each writes its pieces, brings them to the disk and digests them. Process 0
does all else, and what comes before the name only when all have said that their files are there.
All have to see one directory.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxtrain.checkpoint.arrays import merge_shares, write_arrays
from jaxtrain.checkpoint.manifest import write_manifest
from jaxtrain.checkpoint.saved import (
    MAX_META_BYTES,
    Saved,
    best_first,
    committed,
    digests_in_use,
    free_name,
    half_written,
    misnamed,
    read_saved,
)
from jaxtrain.checkpoint.shared import Part, SharedParts, write_together
from jaxtrain.checkpoint.spread import Spread
from jaxtrain.checkpoint.together import Together
from jaxtrain.errors import CheckpointError
from jaxtrain.files import make_directory, refuse_gone, sync
from jaxtrain.metrics import Direction

Arrays = Mapping[str, np.ndarray | Spread]


class Committer:
    """Commits the checkpoints of one directory, and deletes what is not kept.

    Args:
        directory: made with the first commit.
        together: the processes that write it.
        keep, keep_best, monitor, mode: as of a `CheckpointStore`.
    """

    def __init__(
        self,
        directory: Path,
        together: Together,
        *,
        keep: int,
        keep_best: int,
        monitor: str,
        mode: Direction,
    ) -> None:
        self._directory = directory
        self._together = together
        self._keep, self._keep_best = keep, keep_best
        self._monitor, self._mode = monitor, mode
        self.shared = SharedParts(directory, together)
        self.is_made = False  # whether the directory must be there

    def commit(self, arrays: Arrays, parts: list[Part], meta: dict[str, Any]) -> None:
        """Bring a checkpoint to the disk, whole or not at all; then delete what is not kept.

        Args:
            arrays: its own.
            parts: what it shares with others.
            meta: what stands in its meta.json, but for the digests of the parts.

        Raises:
            CheckpointError: it failed, in this process or in another, which is named then.
            PeerError: another process did not come in time.
        """
        temporary: Path | None = None
        try:
            name = self._together.share("begin", lambda: self._begin(meta["iteration"]))[0]
            final = self._directory / name
            temporary = self._directory / f".tmp-{name}"
            self.is_made = self._directory.is_dir()
            # Several processes find the digest of a part by writing it, so each is a step of all.
            meta["shared"] = {part.name: self.shared.commit(part) for part in parts}
            if self._together.count == 1:
                temporary.mkdir()
                write_arrays(temporary / "arrays", arrays)
                self._finish(temporary, final, meta, {})
            else:
                known = write_together(self._together, "own", temporary, arrays)
                self._together.do("commit", lambda: self._merge(temporary, final, meta, known))
        except (CheckpointError, OSError, ValueError, TypeError) as error:
            # On a full disk, what is half written is in the way of all else. Nobody writes there
            # any more: whoever comes here knows that all have left off.
            if temporary is not None and self._together.first:
                shutil.rmtree(temporary, ignore_errors=True)
            if self._together.count > 1:  # not all may have come as far
                self.shared.forget()
            self._refuse_gone()
            raise self.failed(meta["iteration"], error) from error

    def failed(self, iteration: int, error: Exception) -> CheckpointError:
        """What is raised where a save of this iteration failed."""
        return CheckpointError(
            f"{self._directory}: saving iteration {iteration} failed: {error}. "
            "Earlier checkpoints are untouched."
        )

    def committed(self) -> list[Saved]:
        """The checkpoints of the directory, by what their meta.json says."""
        found = map(read_saved, committed(self._directory))
        return [s for s in found if s is not None and not misnamed(s)]

    def ranked(self, saved: list[Saved]) -> list[Saved]:
        """Those that have the monitored metric, the best first."""
        return best_first(saved, monitor=self._monitor, mode=self._mode)

    def _begin(self, iteration: int) -> str:
        """Make room, and give the name of the commit; process 0 alone does, and tells it."""
        self._refuse_gone()
        if not self._together.first:
            return ""
        final = free_name(self._directory, iteration)
        make_directory(self._directory)
        self.is_made = True
        self._sweep()
        return final.name

    def _merge(
        self, temporary: Path, final: Path, meta: dict[str, Any], known: Mapping[str, str]
    ) -> None:
        if self._together.first:
            merge_shares(temporary / "arrays")
            self._finish(temporary, final, meta, known)

    def _finish(
        self, temporary: Path, final: Path, meta: Mapping[str, Any], known: Mapping[str, str]
    ) -> None:
        (temporary / "meta.json").write_bytes(_encode(meta))
        write_manifest(temporary, known)
        os.rename(temporary, final)
        sync(self._directory)
        self._prune()

    def _refuse_gone(self) -> None:
        """See that nobody took the directory away, or the one around it, since it was made."""
        refuse_gone(self._directory)
        if self.is_made and not self._directory.is_dir():
            raise CheckpointError(
                f"{self._directory}: the directory is gone, and the checkpoints in it: it was "
                "deleted or renamed while the run was going on"
            )

    def _sweep(self) -> None:
        """Delete what a killed process left half written."""
        for left in half_written(self._directory):
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
            else:
                left.unlink()

    def _prune(self) -> None:
        """Delete all but the newest and the best, and then what none refers to any more."""
        saved = self.committed()
        best = self.ranked(saved)[: self._keep_best]
        doomed = []
        for old in saved[: -self._keep]:
            if old not in best:
                # Out of sight first: half deleted, it must not look like a checkpoint.
                doomed.append(self._directory / f".tmp-old-{old.path.name}")
                os.rename(old.path, doomed[-1])
        if doomed:
            sync(self._directory)
        for path in doomed:
            shutil.rmtree(path)
        in_use = digests_in_use(self._directory)
        if in_use is not None:
            self.shared.delete_unused(in_use)


def _encode(meta: Mapping[str, Any]) -> bytes:
    # In the order that things have: metrics are written into logs in the order they are kept in.
    content = json.dumps(meta, indent=1).encode()
    if len(content) > MAX_META_BYTES:
        raise ValueError(f"meta.json takes {len(content):,} bytes; at most {MAX_META_BYTES:,} do")
    return content
