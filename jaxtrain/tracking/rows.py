"""metrics.jsonl: what stands in it, and how it is read and taken back.

    {"event": "iteration", "epoch": 1, "iteration": 100, "loss": 0.41, "grad_norm": 1.2, ...}
    {"event": "epoch", "epoch": 1, "iteration": 900, "train/loss": 0.3, "val/loss": 0.2}
    {"event": "log", "epoch": 1, "iteration": 900, "step": 900, "margin": 0.7}

The first two are what an engine tells by itself; the third is what somebody has logged, where the
engine stood then (`epoch`: how many were over), and at which step of which `axis`. One JSON object
a line, only ever added at the end. NaN and Inf, which JSON does not have, are null.
`read_rows(path)` reads it whatever a kill or a careless editor has done to single lines.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxtrain.files import append_line, replacing

logger = logging.getLogger(__name__)

LOG = "log"
"""The event of a row that somebody has logged."""

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


def is_behind(row: Mapping[str, Any], iteration: int, epochs: int) -> bool:
    """Whether a row that somebody logged is behind a run of so many iterations and whole epochs.

    What is logged when an epoch ends has as many iterations as the epoch's last one, and comes
    again where a run goes on between the two.
    """
    return bool(row["iteration"] <= iteration and row["epoch"] <= epochs)


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
