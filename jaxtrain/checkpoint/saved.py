"""What stands in a directory of checkpoints: which of its names count, what they say of themselves.

    paths = committed(directory)                      # oldest first; nothing half-written
    saved = [s for s in map(read_saved, paths) if s is not None]
    ranking = best_first(saved, monitor="val/loss", mode="min")

Only `meta.json` is read here, and no digest is compared.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtrain.metrics import Direction, rank

FORMAT = 2
"""Since 2, parts may be shared (see `shared.py`), and types of random keys are told."""

MAX_META_BYTES = 1 << 26
"""A meta.json beyond this is neither written nor read: parsing takes many times its size."""

MAX_ITERATION = 10**18 - 1
"""What a name has room for."""

_MAX_DEPTH = 64  # of what is nested in a meta.json; a checkpoint of a run has some eight

BAD = ".bad"
"""The folder that damaged checkpoints are moved to."""

SHARED = "shared"
"""The folder of the parts that several checkpoints share, each called by its digest."""

# The name of a commit: the iteration, and a serial number where it was saved more than once.
_COMMIT = r"[0-9]{8,18}(\.[0-9]{1,6})?"
_DIGEST = r"[0-9a-f]{64}"
# What a save writes under, and what a checkpoint is called while it is deleted.
_PASSING = re.compile(rf"\.tmp-(old-)?({_COMMIT}|{SHARED}-{_DIGEST})")


@dataclass(frozen=True)
class Saved:
    """A committed checkpoint."""

    path: Path
    meta: dict[str, Any]

    @property
    def iteration(self) -> int:
        """The iteration after which it was taken."""
        return int(self.meta["iteration"])

    @property
    def shared(self) -> dict[str, Path]:
        """Where those parts of it are that it has in common with others, by name."""
        digests = self.meta.get("shared", {}) if self.meta.get("format") == FORMAT else {}
        folder = self.path.parent.parent if self.path.parent.name == BAD else self.path.parent
        return {part: folder / SHARED / digest for part, digest in digests.items()}

    @property
    def keys(self) -> dict[str, str]:
        """The types of the random keys in it, by path."""
        return dict(self.meta.get("keys", {}))

    def value(self, monitor: str) -> float | None:
        """The metric of that name, where the checkpoint has it as a number."""
        metrics = self.meta.get("metrics")
        value = metrics.get(monitor) if isinstance(metrics, dict) else None
        return number(value)


def number(value: object) -> float | None:
    """`value` as a float where it is a number; what is none, NaN and True are not.

    >>> number(3), number("3"), number(float("nan")), number(True)
    (3.0, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return None if math.isnan(value) else float(value)
    except OverflowError:  # an int beyond all floats, which somebody has written there
        return None


def misnamed(saved: Saved) -> str:
    """What is wrong with the name of a commit; empty where nothing is.

    One that was renamed to a higher number would pass for the newest.
    """
    if not re.fullmatch(_COMMIT, saved.path.name) or _order(saved.path)[0] == saved.iteration:
        return ""
    return (
        f"{saved.path}: was renamed: it is a checkpoint of iteration {saved.iteration}, which is "
        f"called {saved.iteration:08d}"
    )


def committed(directory: Path) -> list[Path]:
    """The checkpoints in `directory`, oldest first. Symbolic links are none."""
    return sorted(_folders(directory, _COMMIT), key=_order)


def shared_parts(directory: Path) -> list[Path]:
    """What checkpoints in `directory` may share. Symbolic links are none."""
    folder = directory / SHARED
    return [] if folder.is_symlink() else sorted(_folders(folder, _DIGEST))


def half_written(directory: Path) -> list[Path]:
    """What a killed process left of a save, or of deleting a checkpoint; names of no one else."""
    if not directory.is_dir():
        return []
    return sorted(p for p in directory.iterdir() if _PASSING.fullmatch(p.name))


def free_name(directory: Path, iteration: int) -> Path:
    """What a checkpoint of an iteration is called; with a serial number where that is taken."""
    path, serial = directory / f"{iteration:08d}", 0
    while os.path.lexists(path):
        serial += 1
        path = directory / f"{iteration:08d}.{serial}"
    return path


def digests_in_use(directory: Path) -> set[str] | None:
    """Digests of the shared parts that any checkpoint, also one that is bad, refers to.

    None where it can't be known, since one of them does not say to what it refers.
    """
    digests: set[str] = set()
    for path in [*committed(directory), *committed(directory / BAD)]:
        saved = read_saved(path)
        if saved is None or saved.meta.get("format") not in (1, FORMAT):
            return None
        digests |= {folder.name for folder in saved.shared.values()}
    return digests


def read_saved(path: Path) -> Saved | None:
    """The checkpoint at `path`, or None where its `meta.json` can't be read."""
    try:
        with (path / "meta.json").open("rb") as file:
            content = file.read(MAX_META_BYTES + 1)
        if len(content) > MAX_META_BYTES:
            return None
        meta = json.loads(content, object_pairs_hook=_without_duplicates)
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(meta, dict) or not _is_plain(meta) or not _is_count(meta.get("iteration")):
        return None
    if meta.get("format") == FORMAT and not (
        _is_table(meta.get("shared"), _DIGEST) and _is_table(meta.get("keys"), ".*")
    ):
        return None
    return Saved(path, meta)


def best_first(saved: Iterable[Saved], *, monitor: str, mode: Direction) -> list[Saved]:
    """Those that have a number for `monitor`, the best and of equals the earliest first."""
    ranked = [s for s in saved if s.value(monitor) is not None]
    return sorted(ranked, key=lambda s: (rank(s.value(monitor), mode), _order(s.path)))


def _folders(directory: Path, pattern: str) -> list[Path]:
    if not directory.is_dir():
        return []
    named = (p for p in directory.iterdir() if re.fullmatch(pattern, p.name))
    return [p for p in named if p.is_dir() and not p.is_symlink()]


def _order(path: Path) -> tuple[int, int]:
    iteration, _, serial = path.name.partition(".")
    return int(iteration), int(serial or 0)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_ITERATION


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; of one that has a key twice, two readers may see two values."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _is_plain(meta: dict[str, Any]) -> bool:
    """Whether all of it can be walked through and shown: neither too deep nor half a character."""
    level: list[Any] = [meta]
    for _ in range(_MAX_DEPTH):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below += [*value, *value.values()]
            elif isinstance(value, list):
                below += value
            elif isinstance(value, str) and not value.isascii():
                try:
                    value.encode()
                except UnicodeEncodeError:
                    return False
        if not below:
            return True
        level = below
    return False


def _is_table(value: object, pattern: str) -> bool:
    """Whether it is a dict from names to strings of that pattern: it may lead to files."""
    return isinstance(value, dict) and all(
        isinstance(entry, str) and re.fullmatch(pattern, entry) for entry in value.values()
    )
