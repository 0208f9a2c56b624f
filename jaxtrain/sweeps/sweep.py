"""A sweep: members are asked for in batches, trained a group at a time, and ranked.

    sweep = Sweep(tree, SweepConfig.of("sweep.yaml"), directory="runs/digits/sweep")
    rows = sweep.run()
    rows[0].value, sweep.directory / "best.yaml"

Killed at any instant, the same call goes on to the same figures: what was asked for stands in
asked.jsonl, where each unit stands in its checkpoints, and everything else follows from these.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from jaxtrain.config import (
    ConfigDict,
    ExperimentConfig,
    dumps,
    from_dict,
    imported_digests,
    merge,
    to_dict,
)
from jaxtrain.config.tree import stamp
from jaxtrain.config.yaml_form import dumps_plain
from jaxtrain.direction import Direction, better
from jaxtrain.errors import ConfigError, DataError
from jaxtrain.hooks.monitor import Monitor
from jaxtrain.report.page.sweep_page import write_sweep_page
from jaxtrain.run.data import RunData
from jaxtrain.run.deciding import is_stretched
from jaxtrain.run.device import choose_device
from jaxtrain.run.registries import make_config
from jaxtrain.sweeps.batch import Batch
from jaxtrain.sweeps.best import write_best
from jaxtrain.sweeps.config import SweepConfig
from jaxtrain.sweeps.directory import SweepDirectory
from jaxtrain.sweeps.groups import split
from jaxtrain.sweeps.ledger import AskedMember, Row
from jaxtrain.sweeps.memory import members_at_once
from jaxtrain.sweeps.population import refuse_unfit
from jaxtrain.sweeps.ranking import best_row, importance
from jaxtrain.sweeps.search import searcher_of
from jaxtrain.sweeps.tree import leaves, nested
from jaxtrain.sweeps.unit import Guard, Unit

logger = logging.getLogger(__name__)


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
        self._kept = SweepDirectory(directory)
        self.directory = self._kept.path
        self._refuse_no_rung()
        monitor = sweep.monitor or self.base.checkpoint.monitor
        self.monitor = Monitor(monitor, sweep.mode or self.base.checkpoint.mode)

    @classmethod
    def in_directory(cls, directory: str | Path, *, plugins: Sequence[str] = ()) -> Sweep:
        """The sweep that a directory holds.

        Raises:
            ConfigError: it holds none.
        """
        said = SweepDirectory(directory).record()
        sweep = SweepConfig(said["sweep"], str(directory))
        return cls(said["tree"], sweep, directory, plugins=plugins)

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
            try:
                self._configs[asked.member] = self._made(asked.values)
            except ConfigError as error:
                raise ConfigError(f"member {asked.member}, {asked.values}: {error}") from None
        return self._configs[asked.member]

    def _made(self, values: Mapping[str, Any]) -> ExperimentConfig:
        of_member = from_dict(nested(values))
        stamp(of_member, self.sweep.source)
        return make_config(merge(self._tree, of_member), plugins=self._plugins)

    def _tell_of_own_losses(self) -> None:
        keys = [key for key in self.sweep.space.keys if key.startswith("loss.")]
        if keys and self.monitor.name.rpartition("/")[2] == "loss":
            logger.warning(
                "monitor: %s is each member's own loss, of which the space varies %s: members are "
                "not compared by it; set monitor in the sweep's file, to val/accuracy for example",
                self.monitor.name,
                ", ".join(keys),
            )

    def _refuse_stretched(self, asked: Sequence[Sequence[AskedMember]]) -> None:
        """More epochs are more of the same only where no rate hangs on how many there are."""
        if not asked:
            return
        was = self._kept.record()["config"]["train.epochs"]
        for one in (one for batch in asked for one in batch):
            schedule = self.config_of(one).schedule
            if self.base.train.epochs > was and is_stretched(schedule):
                raise ConfigError(
                    f"train.epochs: was {was}, is now {self.base.train.epochs}; the schedule "
                    f"{schedule.name!r} of member {one.member} ends with the last epoch, so that "
                    "more of them are another run; begin a new sweep, or take schedule.name="
                    "constant"
                )

    def _refuse_no_rung(self) -> None:
        halving, epochs = self.sweep.halving, self.base.train.epochs
        if halving is not None and halving.first >= epochs:
            raise ConfigError(
                f"halving.first {halving.first}: expected fewer than train.epochs {epochs}, or "
                "nobody is left out before the end; make it smaller, or leave halving out"
            )

    def _refuse_wrong_ends(self) -> None:
        """Check what later batches may ask for, before anything is trained."""
        for values in self.sweep.space.ends():
            try:
                self._made(values)
            except ConfigError as error:
                raise ConfigError(f"a member of the space, {values}: {error}") from None

    def batch_of(self, number: int, asked: Sequence[AskedMember]) -> Batch:
        """The programs of a batch; no array is made.

        Raises:
            ConfigError: a member's config is wrong, or asks for what a population has not.
        """
        configs = tuple(self.config_of(one) for one in asked)
        _tell_of_the_same(asked, configs)
        choose_device(self.base.device)
        names = [f"member {one.member}, {one.values}" for one in asked]
        groups = tuple(split(configs, names))
        for group in groups:
            refuse_unfit(group, self.monitor.name, self.sweep.mesh.data)
        return Batch(number, tuple(asked), configs, groups)

    def units_of(self, batch: Batch) -> list[Unit]:
        """What is trained of a batch one after the other, each as many members as there is room."""
        # What there was room for when they were begun: they go on as they are.
        sizes = self._kept.sizes(batch.number)
        found = []
        for number, group in enumerate(batch.groups):
            size = sizes[number] if sizes else members_at_once(group)
            for part, first in enumerate(range(0, len(group.members), size)):
                places = range(first, min(first + size, len(group.members)))
                found.append(
                    Unit(
                        self._kept.unit(batch.number, number, part),
                        group,
                        places=places,
                        members=[batch.asked[group.members[place]].member for place in places],
                        monitor=self.monitor,
                        order=self.sweep.order,
                        data=self.sweep.mesh.data,
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
        self._tell_of_own_losses()
        with self._kept.held(self._record(), self.base) as claim:
            before, rows = self.asked(), self.rows()
            self._refuse_stretched(before)
            searcher = searcher_of(self.sweep, self.directory, self.direction)
            if before:
                claim()
            for number, asked in enumerate(before):
                if self._is_left(asked, rows):
                    self._train(self.batch_of(number, asked), rows, guard)
                searcher.tell(asked, [rows[one.member] for one in asked])
            number, first = len(before), sum(map(len, before))
            while found := searcher.ask(first=first, count=self.sweep.batch):
                # What is wrong with it is said before anything is written or trained.
                batch = self.batch_of(number, found)
                if number == 0:
                    claim()
                self._kept.append_asked(number, batch.asked)
                self._train(batch, rows, guard)
                searcher.tell(batch.asked, [rows[one.member] for one in batch.asked])
                number, first = number + 1, first + len(batch.asked)
            ranked = [rows[member] for member in sorted(rows)]
            self._report(ranked)
        return ranked

    def asked(self) -> list[tuple[AskedMember, ...]]:
        """The members of each batch so far.

        Raises:
            DataError: somebody has edited the file.
        """
        return self._kept.asked()

    def rows(self) -> dict[int, Row]:
        """What has become of the members that are over, by number.

        Raises:
            DataError: somebody has edited the file.
        """
        return self._kept.rows()

    def _report(self, rows: Sequence[Row]) -> None:
        best = best_row(rows, self.monitor.mode)
        if best is not None:
            path = self.directory / "best.yaml"
            write_best(
                path,
                self._tree,
                best,
                sweep=self.directory,
                members=len(rows),
                plugins=self._plugins,
            )
        write_sweep_page(
            self.directory / "report.html",
            [row.model_dump(mode="json") for row in rows],
            self._kept.history(),
            self.monitor.name,
            self.direction,
            f"{dumps_plain({'sweep': _shown(self.sweep.to_json())})}\n{dumps(self._tree)}",
            f"{self.base.project}: sweep",
            importance(rows).shares or None,
            [k for k, one in self.sweep.space.keys.items() if one.kind.startswith("log")],
        )

    def _train(self, batch: Batch, rows: dict[int, Row], guard: Guard) -> None:
        """Train a batch, and write down what has become of its members; into `rows`, too."""
        units = self.units_of(batch)
        sizes = [max(len(u.members) for u in units if u.group is g) for g in batch.groups]
        self._kept.keep_sizes(batch.number, sizes)
        told = batch.train(
            units,
            before=list(rows.values()),
            halving=self.sweep.halving,
            monitor=self.monitor,
            guard=guard,
        )
        self._kept.append_rows([row for row in told if rows.get(row.member) != row])
        rows |= {row.member: row for row in told}

    def _is_left(self, asked: Sequence[AskedMember], rows: Mapping[int, Row]) -> bool:
        """Whether there is something to train: nobody was told, or who went all the way goes on."""
        if any(one.member not in rows for one in asked):
            return True
        ended = [one for one in asked if rows[one.member].status == "finished"]
        return any(self.config_of(m).train.epochs > rows[m.member].epochs for m in ended)

    def _record(self) -> dict[str, Any]:
        config = {key: value for key, value in leaves(to_dict(self.base)) if key != "workdir"}
        said = {
            "sweep": self.sweep.to_json(),
            "config": config,
            "tree": to_dict(self._tree),
            "plugins": imported_digests(self.base.plugins),
            "data": self._fingerprints(),
        }
        return dict(json.loads(json.dumps(said)))  # as it is read again: a tuple is a list then

    def _fingerprints(self) -> dict[str, str] | None:
        """Of the data that the config has without a member's values; None where it has none."""
        try:
            return RunData.of(self.base).fingerprints()
        except (ConfigError, DataError):
            return None  # only the members' may be there


def _tell_of_the_same(asked: Sequence[AskedMember], configs: Sequence[ExperimentConfig]) -> None:
    """A draw from a small space comes again: it is trained again, to the same figures."""
    alike: dict[str, list[int]] = {}
    for one, config in zip(asked, configs, strict=True):
        alike.setdefault(repr(to_dict(config)), []).append(one.member)
    for members in alike.values():
        if len(members) > 1:
            logger.warning(
                "members %s have the same config, seed and all; search: grid has each combination "
                "once",
                ", ".join(map(str, members)),
            )


def _shown(sweep: dict[str, Any]) -> dict[str, Any]:
    """For a page that is handed on: without the password of a database."""
    optuna = sweep["optuna"]
    if optuna is None or optuna["storage"] is None:
        return sweep
    hidden = re.sub(r"(?<=://)([^/@]*?):[^/@]*@", r"\1:***@", optuna["storage"])
    return sweep | {"optuna": optuna | {"storage": hidden}}
