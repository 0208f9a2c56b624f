"""A sweep: members are asked for in batches, trained a group at a time, and ranked.

    sweep = Sweep(tree, SweepConfig.of("sweep.yaml"), directory="runs/digits/sweep")
    rows = sweep.run()
    rows[0]["value"], sweep.directory / "best.yaml"

Killed at any instant, the same call goes on to the same figures: what was asked for stands in
asked.jsonl, where each unit stands in its checkpoints, and everything else follows from these.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtrain.config import ConfigDict, ExperimentConfig, dump, dumps, merge, to_dict
from jaxtrain.config.yaml_form import dumps_plain
from jaxtrain.direction import Direction, better
from jaxtrain.errors import ConfigError, DataError
from jaxtrain.files import append_line, make_directory, replacing
from jaxtrain.files.lock import lock
from jaxtrain.hooks.monitor import Monitor
from jaxtrain.report.page.sweep_page import write_sweep_page
from jaxtrain.run.device import choose_device
from jaxtrain.run.registries import make_config
from jaxtrain.sweeps.best import write_best
from jaxtrain.sweeps.config import SweepConfig
from jaxtrain.sweeps.groups import Group, split
from jaxtrain.sweeps.halving import rungs, survivors
from jaxtrain.sweeps.ledger import (
    Asked,
    AskedMember,
    Row,
    append_asked,
    append_rows,
    read_asked,
    read_rows,
)
from jaxtrain.sweeps.memory import members_at_once
from jaxtrain.sweeps.population import refuse_unfit
from jaxtrain.sweeps.ranking import best_row, importance
from jaxtrain.sweeps.search import Searcher, searcher_of
from jaxtrain.sweeps.tree import leaves, nested
from jaxtrain.sweeps.unit import Guard, Unit

logger = logging.getLogger(__name__)

RECORD, ROWS, ASKED = "sweep.json", "sweep.jsonl", "asked.jsonl"


@dataclass(frozen=True)
class Batch:
    """What is trained at once.

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


class Sweep:
    """See the module.

    Args:
        tree: the config that the members have in common, as it was written.
        sweep: what to search.
        directory: where; by default `runs/<project>/sweep`, or the config's workdir.
        plugins: modules or .py files that register components.

    Raises:
        ConfigError: the config is wrong, or a key of the space is none of it.
    """

    def __init__(
        self,
        tree: Mapping[str, Any] | ConfigDict,
        sweep: SweepConfig,
        directory: str | Path | None = None,
        *,
        plugins: Sequence[str] = (),
    ) -> None:
        self.sweep = sweep
        self._plugins = tuple(plugins)
        self._configs: dict[int, ExperimentConfig] = {}
        self._tree = merge(tree)
        self.base = make_config(self._tree, plugins=self._plugins)
        if directory is None:
            directory = self.base.workdir or Path("runs") / self.base.project / "sweep"
        self.directory = Path(directory).absolute()
        monitor = sweep.monitor or self.base.checkpoint.monitor
        self.monitor = Monitor(monitor, sweep.mode or self.base.checkpoint.mode)

    @classmethod
    def in_directory(cls, directory: str | Path, *, plugins: Sequence[str] = ()) -> Sweep:
        """The sweep that a directory holds.

        Raises:
            ConfigError: it holds none.
        """
        path = Path(directory) / RECORD
        if not path.is_file():
            raise ConfigError(f"{directory}: expected a sweep's directory, found no {RECORD} in it")
        said = json.loads(path.read_text())
        return cls(said["tree"], SweepConfig(said["sweep"]), directory, plugins=plugins)

    @property
    def direction(self) -> Direction:
        """Which way the monitored figure gets better."""
        return better(self.monitor.name, self.monitor.mode)

    def config_of(self, asked: AskedMember) -> ExperimentConfig:
        """The config of a member, which it has as a run of its own.

        Raises:
            ConfigError: it is wrong, with the member's number and values.
        """
        if asked.member not in self._configs:
            tree = merge(self._tree, nested(asked.values))
            try:
                self._configs[asked.member] = make_config(tree, plugins=self._plugins)
            except ConfigError as error:
                raise ConfigError(f"member {asked.member}, {asked.values}: {error}") from None
        return self._configs[asked.member]

    def _refuse_wrong_ends(self) -> None:
        """Check what later batches may ask for, before anything is trained."""
        for values in self.sweep.space.ends():
            try:
                make_config(merge(self._tree, nested(values)), plugins=self._plugins)
            except ConfigError as error:
                raise ConfigError(f"a member of the space, {values}: {error}") from None

    def batch_of(self, number: int, asked: Sequence[AskedMember]) -> Batch:
        """The programs of a batch; no array is made.

        Raises:
            ConfigError: a member's config is wrong, or asks for what a population has not.
        """
        configs = tuple(self.config_of(one) for one in asked)
        choose_device(self.base.device)
        groups = tuple(split(configs))
        for group in groups:
            refuse_unfit(group)
        return Batch(number, tuple(asked), configs, groups)

    def units_of(self, batch: Batch) -> list[Unit]:
        """What is trained of a batch one after the other, each as many members as there is room."""
        path = self.directory / "units" / f"{batch.number:03d}.json"
        # What there was room for when they were begun: they go on as they are.
        sizes = json.loads(path.read_text()) if path.exists() else []
        found = []
        for number, group in enumerate(batch.groups):
            size = sizes[number] if sizes else members_at_once(group)
            for part, first in enumerate(range(0, len(group.members), size)):
                places = range(first, min(first + size, len(group.members)))
                found.append(
                    Unit(
                        self.directory / "units" / f"{batch.number:03d}-{number:02d}-{part}",
                        group,
                        places=places,
                        members=[batch.asked[group.members[place]].member for place in places],
                        monitor=self.monitor,
                        order=self.sweep.order,
                    )
                )
        return found

    def run(self, guard: Guard = nullcontext) -> list[Row]:
        """Train what is left to be trained.

        Args:
            guard: a context to train in, given each engine, such as one that heeds signals.

        Returns:
            The rows of all members, by number.

        Raises:
            Preempted: stopped by a signal; everything is saved.
            ConfigError: the directory holds another sweep, or another process has it.
        """
        if self.sweep.batch < self.sweep.members:
            self._refuse_wrong_ends()
        make_directory(self.directory)
        with lock(self.directory) as introduce:
            self._refuse_another()
            introduce()
            self._claim()
            asked, rows = self.asked(), self.rows()
            searcher = searcher_of(self.sweep, self.directory, self.direction)
            for number, members in self._batches(asked, searcher):
                if self._is_left(members, rows):
                    told = self._train(self.batch_of(number, members), rows, guard)
                    append_rows(self.directory / ROWS, [r for r in told if rows.get(r.member) != r])
                    rows |= {row.member: row for row in told}
                searcher.tell(members, [rows[one.member] for one in members])
            found = [rows[member] for member in sorted(rows)]
            self._report(found)
        return found

    def asked(self) -> list[tuple[AskedMember, ...]]:
        """The members of each batch so far.

        Raises:
            DataError: somebody has edited the file.
        """
        found = read_asked(self.directory / ASKED)
        if [one.batch for one in found] != list(range(len(found))):
            raise DataError(f"{self.directory / ASKED}: a batch is missing, expected all from 0 on")
        return [one.members for one in found]

    def rows(self) -> dict[int, Row]:
        """What has become of the members that are over, by number.

        Raises:
            DataError: somebody has edited the file.
        """
        return {row.member: row for row in read_rows(self.directory / ROWS)}

    def _report(self, rows: Sequence[Row]) -> None:
        best = best_row(rows, self.monitor.mode)
        if best is not None:
            path = self.directory / "best.yaml"
            write_best(path, self._tree, best, sweep=self.directory, members=len(rows))
        history = [
            json.loads(line)
            for path in sorted(self.directory.glob("units/*/history.jsonl"))
            for line in path.read_text().splitlines()
        ]
        write_sweep_page(
            self.directory / "report.html",
            [row.model_dump(mode="json") for row in rows],
            history,
            self.monitor.name,
            self.direction,
            f"{dumps_plain({'sweep': self.sweep.to_json()})}\n{dumps(self._tree)}",
            f"{self.base.project}: sweep",
            importance(rows).shares or None,
        )

    def _batches(
        self, before: Sequence[tuple[AskedMember, ...]], searcher: Searcher
    ) -> Iterator[tuple[int, tuple[AskedMember, ...]]]:
        """Those that were asked for, and further ones until there are enough."""
        yield from enumerate(before)
        number, first = len(before), sum(map(len, before))
        while asked := searcher.ask(first=first, count=self.sweep.batch):
            for one in asked:
                self.config_of(one)  # what is wrong with it is said before it is trained
            members = tuple(asked)
            append_asked(self.directory / ASKED, Asked(batch=number, members=members))
            yield number, members
            number, first = number + 1, first + len(members)

    def _is_left(self, asked: Sequence[AskedMember], rows: Mapping[int, Row]) -> bool:
        """Whether there is something to train: nobody was told, or who went all the way goes on."""
        if any(one.member not in rows for one in asked):
            return True
        ended = [one for one in asked if rows[one.member].status == "finished"]
        return any(self.config_of(m).train.epochs > rows[m.member].epochs for m in ended)

    def _train(self, batch: Batch, rows: Mapping[int, Row], guard: Guard) -> list[Row]:
        """Train a batch from rung to rung, and say what has become of each member."""
        units = self.units_of(batch)
        sizes = [max(len(u.members) for u in units if u.group is g) for g in batch.groups]
        make_directory(self.directory / "units")
        with replacing(self.directory / "units" / f"{batch.number:03d}.json") as temporary:
            temporary.write_text(json.dumps(sizes))
        alive = [one.member for one in batch.asked]
        told: dict[int, dict[str, Any]] = {}
        reached: dict[int, list[tuple[int, float | None]]] = {member: [] for member in alive}
        last = max(config.train.epochs for config in batch.configs)
        halving = self.sweep.halving
        ends = [last]
        if halving is not None:
            ends = rungs(first=halving.first, factor=halving.factor, epochs=last)
        for rung, end in enumerate(ends):
            for unit in units:
                mine = [member for member in unit.members if member in alive]
                if not mine:
                    continue
                epochs = min(end, unit.group.configs[0].train.epochs)
                result = unit.train(rung, epochs, mine, guard)
                self._tell(unit, result, batch, told)
                for place, member in enumerate(result["members"]):
                    reached[member].append((epochs, result["best"][place]))
            if rung == len(ends) - 1:
                break
            assert halving is not None
            standing = [member for member in alive if told[member]["status"] == "finished"]
            seen = [
                value
                for member, row in rows.items()
                if member not in reached
                for epoch, value in row.rungs
                if epoch == end
            ]
            chosen = survivors(
                [told[member]["value"] for member in standing],
                seen=seen,
                factor=halving.factor,
                mode=self.direction,
            )
            going_on = {standing[place] for place in chosen}
            for member in standing:
                if member not in going_on and told[member]["epochs"] < last:
                    told[member]["status"] = "cut"
            alive = [member for member in alive if member in going_on]
            logger.info("rung of %d epochs: %d of %d go on", end, len(alive), len(standing))
            if not alive:
                break
        return [Row(**told[one.member], rungs=tuple(reached[one.member])) for one in batch.asked]

    def _tell(
        self,
        unit: Unit,
        result: Mapping[str, Any],
        batch: Batch,
        told: dict[int, dict[str, Any]],
    ) -> None:
        """What is to be said of a unit's members behind a rung, and their figures by epoch."""
        asked = {one.member: one for one in batch.asked}
        number = batch.groups.index(unit.group)
        _write_history(unit.path, result["history"])
        for place, member in enumerate(result["members"]):
            failed, stopped = result["failed_at"][place], result["stopped_at"][place]
            best = result["best_epochs"][place]
            before = told.get(member, {"figures": {}})
            status = "failed" if failed else "stopped" if stopped else "finished"
            told[member] = {
                "member": member,
                "batch": batch.number,
                "group": number,
                "values": asked[member].values,
                "status": status,
                "epochs": stopped or result["epoch"],
                "iterations": failed or result["iterations"],
                "monitor": self.monitor.name,
                "value": result["best"][place],
                "best_epoch": best,
                "figures": _figures(result["history"], place, best) or before["figures"],
                "failed_at": failed or None,
            }

    # -- the directory -------------------------------------------------------------------------

    def _refuse_another(self) -> None:
        """See that the sweep in the directory is this one, or this one shorter."""
        path = self.directory / RECORD
        if not path.exists():
            own = {"config.yaml", ".lock", "optuna.db"}
            strange = sorted(p.name for p in self.directory.iterdir() if p.name not in own)
            if strange:
                raise ConfigError(
                    f"{self.directory}: expected an empty directory or a sweep's, found other "
                    f"files ({strange[0]}{', …' if len(strange) > 1 else ''}); choose another one"
                )
            return
        before, now = json.loads(path.read_text()), self._record()
        wrong = [
            f"{key}: was {before[section].get(key)!r}, is now {now[section].get(key)!r}"
            for section in ("sweep", "config")
            for key in sorted(before[section].keys() | now[section].keys())
            if before[section].get(key) != now[section].get(key) and not _may_grow(section, key)
        ]
        if wrong:
            raise ConfigError(
                f"{self.directory}: holds another sweep; more members and epochs can be asked for, "
                "and nothing else:\n  " + "\n  ".join(wrong)
            )
        for section, key in (("sweep", "members"), ("config", "train.epochs")):
            if now[section][key] < before[section][key]:
                raise ConfigError(
                    f"{self.directory}: {key} was {before[section][key]}, and can't become fewer; "
                    f"found {now[section][key]}"
                )

    def _claim(self) -> None:
        with replacing(self.directory / RECORD) as temporary:
            temporary.write_text(json.dumps(self._record(), indent=1))
        dump(self.base, self.directory / "config.yaml")

    def _record(self) -> dict[str, Any]:
        config = {key: value for key, value in leaves(to_dict(self.base)) if key != "workdir"}
        said = {"sweep": self.sweep.to_json(), "config": config, "tree": to_dict(self._tree)}
        return dict(json.loads(json.dumps(said)))  # as it is read again: a tuple is a list then


def _may_grow(section: str, key: str) -> bool:
    return (section, key) in (
        ("sweep", "members"),
        ("sweep", "batch"),
        ("config", "train.epochs"),
        ("config", "device"),
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
