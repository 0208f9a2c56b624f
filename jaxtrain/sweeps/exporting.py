"""A member as an ordinary run directory: looked at, evaluated, predicted with, gone on with.

    export_member(sweep, 7, "runs/digits/member7")

It holds the checkpoints of its best epoch and of where it stands, the figures of every epoch, and
where it went all the way the report of a run. One that was cut goes on where it was left, by
`train`, to what it would have come to alone.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxtrain.errors import ConfigError
from jaxtrain.hooks import JSONL
from jaxtrain.run import Experiment, RunData, Task
from jaxtrain.step import TrainState
from jaxtrain.sweeps.sweep import Sweep
from jaxtrain.sweeps.unit import Unit
from jaxtrain.tracking import append_row


def export_member(sweep: Sweep, member: int, directory: str | Path) -> Path:
    """Write a run directory, which must not be there yet.

    Args:
        sweep: whose member it is.
        member: its number.
        directory: where to.

    Returns:
        The directory.

    Raises:
        ConfigError: there is no such member, or nothing is known of it yet, or the directory is
            another run's.
        CheckpointError: what was saved of it is gone or broken.
    """
    rows, asked = sweep.rows(), sweep.asked()
    row = rows.get(member)
    if row is None:
        raise ConfigError(
            f"{sweep.directory}: nothing is known of a member {member}; expected one of 0 to "
            f"{max(rows, default=-1)}"
        )
    if row.failed_at is not None and row.best_epoch is None:
        raise ConfigError(
            f"{sweep.directory}: member {member} failed in iteration {row.failed_at}, before the "
            "end of a good epoch: there is nothing of it to export"
        )
    batch = sweep.batch_of(row.batch, asked[row.batch])
    unit = next(one for one in sweep.units_of(batch) if member in one.members)
    last = len(row.rungs) - 1
    standing = unit.loaded(last, member)
    config = sweep.config_of(next(one for one in batch.asked if one.member == member))
    config = config.model_copy(update={"workdir": str(directory)})
    experiment = Experiment(Task.of(RunData.of(config)), directory)
    if experiment.directory.holds_a_run():
        raise ConfigError(f"{directory}: holds a run already; choose another directory")
    epochs = _epochs(unit, member)
    # A program's own structure may have its members' numbers in it.
    form = jax.tree.structure(experiment.task.abstract_state())

    def alone(state: TrainState) -> TrainState:
        one: TrainState = jax.tree.unflatten(form, jax.tree.leaves(standing.whole(state)))
        return one

    with experiment.directory.held(config):
        ends = row.status in ("finished", "stopped")
        stopped = "terminate" if row.status == "stopped" else ""
        places = {row.epochs: (alone(standing.state), stopped)}
        if row.best_epoch is not None and row.best_epoch != row.epochs:
            places[row.best_epoch] = (alone(standing.best), "")
        for epoch in sorted(places):
            _save(experiment, epochs, epoch, *places[epoch])
        for one in epochs:
            append_row(experiment.directory / JSONL.FILE_NAME, {"event": "epoch", **one})
        if not ends:
            experiment.directory.write_metadata(config, "interrupted")
    if ends:
        Experiment(experiment.task, directory).train(resume="must")
    return Path(directory)


def _save(
    experiment: Experiment, rows: list[dict[str, Any]], epoch: int, state: Any, stopped: str
) -> None:
    """A checkpoint behind an epoch."""
    trainer, steps = experiment.trainer, experiment.loader.steps_per_epoch
    arrays, record = trainer.snapshot()
    record = copy.deepcopy(record)
    until = [row for row in rows if row["epoch"] <= epoch]
    figures = {n: v for n, v in until[-1].items() if n not in ("epoch", "iteration")}
    record["counters"] |= {
        "epoch": epoch,
        "iteration": epoch * steps,
        "epoch_iteration": steps,
        "max_epochs": experiment.config.train.epochs,
        "epoch_length": steps,
        "started": True,
        "stopped": stopped,
        "metrics": figures,
    }
    record["cursor"] = experiment.loader.start(epoch)
    record["hooks"]["history"] = {"epochs": until, "seconds": 0.0}
    trainer.restore({**arrays, "train_state": state}, record)
    trainer.hooks["checkpoint"].save(trainer)
    experiment.store.wait()


def _epochs(unit: Unit, member: int) -> list[dict[str, Any]]:
    """The figures of a member, epoch by epoch, as a run's history has them."""
    rows = []
    for line in (unit.path / "history.jsonl").read_text().splitlines():
        found: Mapping[str, Any] = json.loads(line)
        if member not in found["members"]:
            continue
        place = found["members"].index(member)
        figures = {n: v[place] for n, v in found.items() if isinstance(v, list) and n != "members"}
        if all(value is None for value in figures.values()):
            continue
        numbers = {n: float(np.nan if v is None else v) for n, v in figures.items()}
        rows.append({"epoch": found["epoch"], "iteration": found["iteration"], **numbers})
    return rows
