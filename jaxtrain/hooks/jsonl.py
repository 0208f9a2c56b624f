"""metrics.jsonl: one JSON object a line, complete and exact across restarts.

    {"event": "iteration", "epoch": 1, "iteration": 100, "loss": 0.41, "grad_norm": 1.2, ...}
    {"event": "epoch", "epoch": 1, "iteration": 900, "train/loss": 0.3, "val/loss": 0.2}

`trainer.attach(JSONL(run_directory))` writes it, and `read_rows(path)` reads it, whatever a kill
or a careless editor has done to single lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic

from jaxtrain.engine import Engine, EngineState, Events
from jaxtrain.hooks.registry import EPOCH_METRICS, HOOKS
from jaxtrain.hooks.rows import completed_epochs, epoch_row, iteration_row
from jaxtrain.tracking import LOG, append_row, is_count, rewind


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
        rewind(
            self.path,
            lambda row: _stays(row, engine.state),
            belongs=_can_be_right,
            needed="epoch and iteration",
        )

    def _write_iteration(self, engine: Engine) -> None:
        append_row(self.path, {"event": "iteration", **iteration_row(engine)})

    def _write_epoch(self, engine: Engine) -> None:
        # On the disk before the checkpoint of this epoch can be: it must not know of rows that a
        # power cut has taken away.
        append_row(self.path, {"event": "epoch", **epoch_row(engine)}, sync=True)


def _can_be_right(row: Mapping[str, Any]) -> bool:
    """Whether a row says where in the run it belongs; what somebody logged is `Tracking`'s."""
    return row.get("event") == LOG or all(is_count(row.get(n)) for n in ("iteration", "epoch"))


def _stays(row: Mapping[str, Any], state: EngineState) -> bool:
    """Whether the run, standing at `state`, has this row behind it."""
    if row.get("event") == LOG:
        return True
    if row.get("event") == "epoch":
        return bool(row["epoch"] <= completed_epochs(state))
    return bool(row["iteration"] <= state.iteration)
