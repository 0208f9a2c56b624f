"""A batch: members that were asked for at once, and are trained from rung to rung.

    batch = Batch(number, asked, configs, groups)
    rows = batch.train(units, before=rows, halving=halving, monitor=monitor, guard=guard)

Rung by rung its units are trained; where there is halving, those go on who are among the best of
all that have stood there, those of earlier batches too.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtrain.config import ExperimentConfig
from jaxtrain.files import append_line, replacing
from jaxtrain.hooks.monitor import Monitor
from jaxtrain.sweeps.config import HalvingSection
from jaxtrain.sweeps.groups import Group
from jaxtrain.sweeps.halving import rungs, survivors
from jaxtrain.sweeps.ledger import AskedMember, Row
from jaxtrain.sweeps.unit import Guard, Unit

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batch:
    """See the module.

    Args:
        number: from 0.
        asked: its members.
        configs: theirs.
        groups: the programs that they make.
    """

    number: int
    asked: tuple[AskedMember, ...]
    configs: tuple[ExperimentConfig, ...]
    groups: tuple[Group, ...]

    @property
    def epochs(self) -> int:
        """How many the longest of its members trains."""
        return max(config.train.epochs for config in self.configs)

    def train(
        self,
        units: Sequence[Unit],
        *,
        before: Iterable[Row],
        halving: HalvingSection | None,
        monitor: Monitor,
        guard: Guard,
    ) -> list[Row]:
        """Train its units, and say what has become of each member.

        Args:
            units: what of it is trained one after the other.
            before: the rows of the sweep; those of earlier batches count at a rung. Later ones do
                not, or who has come further once more epochs are asked for would hang on them.
            halving: who goes on at a rung; None for all.
            monitor: which figure says who is better.
            guard: a context to train in, given each engine.

        Raises:
            Preempted: stopped by a signal; everything is saved.
        """
        others = [row for row in before if row.batch < self.number]
        told = {one.member: _Told(self.number, one) for one in self.asked}
        alive = list(told)
        ends = [self.epochs]
        if halving is not None:
            ends = rungs(first=halving.first, factor=halving.factor, epochs=self.epochs)
        for rung, end in enumerate(ends):
            for unit in units:
                going = [member for member in unit.members if member in alive]
                if not going:
                    continue
                epochs = min(end, unit.group.configs[0].train.epochs)
                result = unit.train(rung, epochs, going, guard)
                _write_history(unit.path, result["history"])
                group = self.groups.index(unit.group)
                for place, member in enumerate(result["members"]):
                    told[member].take(result, place, group=group, epochs=epochs)
            if halving is None or rung == len(ends) - 1:
                break
            standing = [member for member in alive if told[member].status == "finished"]
            chosen = survivors(
                [told[member].value for member in standing],
                seen=[value for row in others for epoch, value in row.rungs if epoch == end],
                factor=halving.factor,
                mode=monitor.direction,
            )
            alive = [standing[place] for place in chosen]
            for member in set(standing) - set(alive):
                told[member].cut(last=self.epochs)
            logger.info("rung of %d epochs: %d of %d go on", end, len(alive), len(standing))
            if not alive:
                break
        return [told[one.member].row(monitor) for one in self.asked]


class _Told:
    """What has become of a member so far."""

    def __init__(self, batch: int, asked: AskedMember) -> None:
        self._batch, self._asked = batch, asked
        self._said: dict[str, Any] = {"figures": {}}
        self._rungs: list[tuple[int, float | None]] = []

    @property
    def status(self) -> str:
        return str(self._said["status"])

    @property
    def value(self) -> float | None:
        """The best so far."""
        found: float | None = self._said["value"]
        return found

    def take(self, result: Mapping[str, Any], place: int, *, group: int, epochs: int) -> None:
        """Take it from the result of a rung."""
        failed, stopped = result["failed_at"][place], result["stopped_at"][place]
        best = result["best_epochs"][place]
        self._said = {
            "group": group,
            "status": "failed" if failed else "stopped" if stopped else "finished",
            "epochs": stopped or result["epoch"],
            "iterations": failed or result["iterations"],
            "value": result["best"][place],
            "best_epoch": best,
            "figures": _figures(result["history"], place, best) or self._said["figures"],
            "failed_at": failed or None,
        }
        self._rungs.append((epochs, self.value))

    def cut(self, *, last: int) -> None:
        """It does not go on, unless it is where all are to come to."""
        if self._said["epochs"] < last:
            self._said["status"] = "cut"

    def row(self, monitor: Monitor) -> Row:
        return Row(
            member=self._asked.member,
            batch=self._batch,
            values=self._asked.values,
            monitor=monitor.name,
            rungs=tuple(self._rungs),
            **self._said,
        )


def _figures(history: Sequence[Mapping[str, Any]], place: int, best: int | None) -> dict[str, Any]:
    """All figures of a member's best epoch, or of its last one where there is no best."""
    mine = [
        {n: v[place] for n, v in row.items() if isinstance(v, list) and n != "members"}
        for row in history
        if best is None or row["epoch"] == best
    ]
    return mine[-1] if mine else {}


def _write_history(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """A unit's figures epoch by epoch: behind those of the rungs before."""
    target = path / "history.jsonl"
    lines = target.read_bytes().splitlines(keepends=True) if target.exists() else []
    first = rows[0]["epoch"] if rows else None
    if first is None:
        return
    kept = [line for line in lines if json.loads(line)["epoch"] < first]
    with replacing(target) as temporary:
        temporary.write_bytes(b"".join(kept))
        for row in rows:
            append_line(temporary, json.dumps(row).encode() + b"\n")
