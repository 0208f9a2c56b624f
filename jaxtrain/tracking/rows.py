"""metrics.jsonl: what stands in it, and how it is read and taken back.

    {"event": "iteration", "epoch": 1, "iteration": 100, "loss": 0.41, "grad_norm": 1.2, ...}
    {"event": "epoch", "epoch": 1, "iteration": 900, "train/loss": 0.3, "val/loss": 0.2}
    {"event": "log", "step": 900, "at": {"iteration": 900, "epoch": 1, "done": 1}, "margin": 0.7}

The first two are what an engine tells by itself; the third is what somebody has logged, at which
step of which `axis`, and, while an engine ran, where that stood (`Place`). One JSON object a line,
only ever added at the end. NaN and Inf, which JSON does not have, are null. `read_rows(path)` reads
it whatever a kill or a careless editor has done to single lines.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtrain.files import append_line, replacing

logger = logging.getLogger(__name__)

LOG = "log"
"""The event of a row that somebody has logged."""

PLACES = frozenset({"event", "epoch", "iteration", "step", "axis", "after", "at"})
"""What says where a row belongs, and so can't be the name of a number."""

STEP = "step"
"""The axis that everything is logged on where nothing else is said."""

# Made once: a training waits for each row.
_ENCODER = json.JSONEncoder(allow_nan=False)

# A number above that nobody has counted to, and no float or device has room for it.
BOUND = 2**63


def read_rows(path: str | Path) -> tuple[list[dict[str, Any]], int]:
    """The rows of a metrics.jsonl, or of another file of one JSON object a line.

    Returns:
        The rows, and how many lines were skipped because they are torn or not JSON objects.
    """
    return rows_in(Path(path).read_bytes())


def rows_in(content: bytes) -> tuple[list[dict[str, Any]], int]:
    """As `read_rows`, of bytes that were read already."""
    found = [_row(line) for line in content.splitlines(keepends=True)]
    rows = [row for row in found if row is not None]
    return rows, len(found) - len(rows)


def append_row(path: Path, row: Mapping[str, Any], *, sync: bool = False) -> None:
    """Add a row, whole or not at all.

    Raises:
        OSError: it can't be written in full; what was written of it is taken back.
    """
    finite = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in row.items()
    }
    append_line(path, _ENCODER.encode(finite).encode() + b"\n", sync=sync)


def rewind(
    path: Path,
    stays: Callable[[Mapping[str, Any]], bool],
    *,
    belongs: Callable[[Mapping[str, Any]], bool] = lambda row: True,
    needed: str = "",
) -> list[dict[str, Any]]:
    """Take the rows away that are going to be written again, and what is no row, with a warning.

    Args:
        path: need not be there.
        stays: whether a row is behind the point where the run goes on.
        belongs: whether it says where in a run it belongs: else nobody knows if it comes again.
        needed: what a row must say for that, for the warning.

    Returns:
        The rows that were taken away since they come again.
    """
    if not path.exists():
        return []
    lines = path.read_bytes().splitlines(keepends=True)
    rows = [(line, _row(line)) for line in lines]
    right = [(line, row) for line, row in rows if row is not None and belongs(row)]
    if dropped := len(rows) - len(right):
        garbage = sum(row is None for _, row in rows)
        whats = {
            "that are not JSON objects": garbage,
            f"that do not say {needed}": dropped - garbage,
        }
        told = " and ".join(f"{count} lines {what}" for what, count in whats.items() if count)
        logger.warning("%s: dropped %s", path, told)
    kept = [line for line, row in right if stays(row)]
    if dropped or len(kept) < len(right):
        with replacing(path) as temporary:
            temporary.write_bytes(b"".join(kept))
    return [row for _, row in right if not stays(row)]


@dataclass(frozen=True)
class Place:
    """Where an engine stands, so that a run that goes on knows what will be logged again.

    Attributes:
        iteration: iterations begun.
        epoch: epochs begun.
        done: epochs completed: what is logged when one ends has as many iterations as its last.
        engine: which of those that log into the run, from 0.
        ended: whether the run of the engine is over, and its last event fired.
    """

    iteration: int
    epoch: int
    done: int
    engine: int = 0
    ended: bool = False

    def to_json(self) -> dict[str, int | bool]:
        """What stands in a row; the usual is left out."""
        found: dict[str, int | bool] = {
            "iteration": self.iteration,
            "epoch": self.epoch,
            "done": self.done,
        }
        found |= {"engine": self.engine} if self.engine else {}
        return found | ({"ended": True} if self.ended else {})

    def comes_again(self, row: Mapping[str, Any]) -> bool:
        """Whether what was logged at a row's place is logged again, going on from here.

        What a script logged by itself, or another engine, is not. What was logged when the run was
        over is: the end comes again.
        """
        at: Any = row.get("at")
        if not is_place(at) or at.get("engine", 0) != self.engine:
            return False
        beyond = any(at[name] > getattr(self, name) for name in _COUNTS)
        return beyond or bool(at.get("ended"))


_COUNTS = ("iteration", "epoch", "done")


def is_place(at: Any) -> bool:
    """Whether it says where an engine stood."""
    return isinstance(at, dict) and all(is_count(at.get(name), 0) for name in _COUNTS)


def mend(path: Path) -> None:
    """Cut off a last line that a kill has torn, with a warning: the next would be glued to it."""
    if not path.is_file():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole == len(content):
        return
    logger.warning("%s: dropped a torn last line of %d bytes", path, len(content) - whole)
    with replacing(path) as temporary:
        temporary.write_bytes(content[:whole])


def is_count(value: Any, first: int = 1) -> bool:
    """Whether it can be an epoch or iteration, as one finds it in a file: from `first` on."""
    return isinstance(value, int) and not isinstance(value, bool) and first <= value < BOUND


def _row(line: bytes) -> dict[str, Any] | None:
    """The JSON object that a line is; None where it is torn, or anything else."""
    if not line.endswith(b"\n"):
        return None
    try:
        row = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):  # not JSON, or not even UTF-8
        return None
    return row if isinstance(row, dict) else None


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
