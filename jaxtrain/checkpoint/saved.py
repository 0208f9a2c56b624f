"""What stands in a directory of checkpoints: which of its names count, what they say of themselves.

    paths = committed(directory)                      # oldest first; nothing half-written
    saved = [s for s in map(read_saved, paths) if s is not None]
    ranking = best_first(saved, monitor="val/loss", mode="min")

Only `meta.json` is read here, and no digest is compared.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

# The name of a commit: the iteration, and a serial number where it was saved more than once.
_NAME = re.compile(r"[0-9]{8,18}(\.[0-9]{1,6})?")

MAX_META_BYTES = 1 << 26
"""A meta.json beyond this is neither written nor read: parsing takes many times its size."""


@dataclass(frozen=True)
class Saved:
    """A committed checkpoint."""

    path: Path
    meta: dict[str, Any]

    @property
    def iteration(self) -> int:
        """The iteration after which it was taken."""
        return int(self.meta["iteration"])

    def value(self, monitor: str) -> float | None:
        """The metric of that name, where the checkpoint has it."""
        metrics = self.meta.get("metrics")
        value = metrics.get(monitor) if isinstance(metrics, dict) else None
        return value if isinstance(value, int | float) else None


def committed(directory: Path) -> list[Path]:
    """The checkpoints in `directory`, oldest first. Symbolic links are none."""
    if not directory.is_dir():
        return []
    named = (p for p in directory.iterdir() if _NAME.fullmatch(p.name))
    return sorted((p for p in named if p.is_dir() and not p.is_symlink()), key=_order)


def read_saved(path: Path) -> Saved | None:
    """The checkpoint at `path`, or None where its `meta.json` can't be read."""
    try:
        with (path / "meta.json").open("rb") as file:
            content = file.read(MAX_META_BYTES + 1)
        if len(content) > MAX_META_BYTES:
            return None
        meta = json.loads(content)
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(meta, dict) or not isinstance(meta.get("iteration"), int):
        return None
    return Saved(path, meta)


def best_first(saved: Iterable[Saved], *, monitor: str, mode: Literal["min", "max"]) -> list[Saved]:
    """Those that have the metric `monitor`, the best and of equals the earliest first; NaN last."""
    sign = 1.0 if mode == "min" else -1.0

    def rank(one: Saved) -> tuple[float, int]:
        value = one.value(monitor)
        assert value is not None
        return (sign * value if value == value else float("inf")), one.iteration

    return sorted((s for s in saved if s.value(monitor) is not None), key=rank)


def _order(path: Path) -> tuple[int, int]:
    iteration, _, serial = path.name.partition(".")
    return int(iteration), int(serial or 0)
