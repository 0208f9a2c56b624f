"""metrics.jsonl: one JSON object a line, complete and exact across restarts.

    {"event": "iteration", "epoch": 1, "iteration": 100, "loss": 0.41, "grad_norm": 1.2, ...}
    {"event": "epoch", "epoch": 1, "iteration": 900, "train/loss": 0.3, "val/loss": 0.2}

`trainer.attach(JSONL(run_directory))` writes it, and `read_rows(path)` reads it, whatever a kill
or a careless editor has done to single lines.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic

from jaxtrain.engine import Engine, EngineState, Events
from jaxtrain.files import append_line, replacing
from jaxtrain.hooks.registry import EPOCH_METRICS, HOOKS
from jaxtrain.hooks.rows import completed_epochs, epoch_row, is_count, iteration_row

logger = logging.getLogger(__name__)


@HOOKS.register("jsonl")
class JSONL:
    """Writes `metrics.jsonl` into `directory`.

    A run that goes on after a kill first drops the rows that it is going to write again, and a
    line torn by the kill: the file ends up as that of a run that was never stopped. A run that
    begins anew begins the file anew. NaN and Inf, which JSON does not have, are written as null.

    Args:
        directory: where the file goes; made when the run begins.
        every: iterations between two rows of the event "iteration".

    Raises:
        OSError: where a row can't be written in full; what was written of it is taken back.
    """

    FILE_NAME = "metrics.jsonl"
    writes = (FILE_NAME,)

    def __init__(self, directory: str | Path, *, every: pydantic.PositiveInt = 100) -> None:
        self.path = Path(directory) / self.FILE_NAME
        self.every = every

    def attach(self, engine: Engine) -> None:
        """Subscribe, after everything that adds metrics."""
        engine.attach_handler(Events.STARTED | Events.RESUMED, self._rewind)
        engine.attach_handler(Events.ITERATION_COMPLETED(every=self.every), self._write_iteration)
        engine.attach_handler(Events.EPOCH_COMPLETED, self._write_epoch, needs=(EPOCH_METRICS,))

    def _rewind(self, engine: Engine) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.path.exists():
            return
        lines = self.path.read_bytes().splitlines(keepends=True)
        rows = [(line, _row(line)) for line in lines]
        right = [(line, row) for line, row in rows if row is not None and _can_be_right(row)]
        if dropped := len(rows) - len(right):
            garbage = sum(row is None for _, row in rows)
            whats = {
                "that are not JSON objects": garbage,
                "that do not say epoch and iteration": dropped - garbage,
            }
            told = " and ".join(f"{count} lines {what}" for what, count in whats.items() if count)
            logger.warning("%s: dropped %s", self.path, told)
        kept = [line for line, row in right if _stays(row, engine.state)]
        if dropped or len(kept) < len(right):
            with replacing(self.path) as temporary:
                temporary.write_bytes(b"".join(kept))

    def _write_iteration(self, engine: Engine) -> None:
        _append(self.path, {"event": "iteration", **iteration_row(engine)})

    def _write_epoch(self, engine: Engine) -> None:
        # On the disk before the checkpoint of this epoch can be: it must not know of rows that a
        # power cut has taken away.
        _append(self.path, {"event": "epoch", **epoch_row(engine)}, sync=True)


def read_rows(path: str | Path) -> tuple[list[dict[str, Any]], int]:
    """The rows of a metrics.jsonl.

    Returns:
        The rows, and how many lines were skipped because they are torn or not JSON objects.
    """
    found = [_row(line) for line in Path(path).read_bytes().splitlines(keepends=True)]
    rows = [row for row in found if row is not None]
    return rows, len(found) - len(rows)


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


def _can_be_right(row: Mapping[str, Any]) -> bool:
    """Whether a row says where in the run it belongs: else nobody knows if it comes again."""
    return is_count(row.get("iteration")) and is_count(row.get("epoch"))


def _stays(row: Mapping[str, Any], state: EngineState) -> bool:
    """Whether the run, standing at `state`, has this row behind it."""
    if row.get("event") == "epoch":
        return bool(row["epoch"] <= completed_epochs(state))
    return bool(row["iteration"] <= state.iteration)


def _line(row: Mapping[str, Any]) -> bytes:
    finite = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in row.items()
    }
    return json.dumps(finite, allow_nan=False).encode() + b"\n"


def _append(path: Path, row: Mapping[str, Any], *, sync: bool = False) -> None:
    append_line(path, _line(row), sync=sync)
