"""A config with phases: ordinary runs, each of which begins with what the one before has made.

    phased = PhasedConfig.of(load("configs/korean_medical.py"))
    phased.phases[0].name                                     # "korean"
    phased.config_of("medical", workdir="w", start=("runs/korean", digest))

    project: korean_medical
    model: {name: decoder, ...}                # what stands here is for all phases
    base: {data: {...}, train: {epochs: 40}}   # trained whole, before the first phase; or left out
    phases:
      korean: {data: {...}, lora: {rank: 8}}
      medical: {data: {...}, lora: {rank: 8}, replay: {share: 0.2}}
    joint: true                                # one run on the rows of all phases, to compare with
    retention: {untrained: {stories: {name: text, path: stories.txt}}}

A phase overrides what stands above; each is checked before the first begins.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic

from jaxtrain.config import ConfigDict, ExperimentConfig, from_cli_dotlist, load, merge
from jaxtrain.config.schema import Section
from jaxtrain.config.tree import Tree
from jaxtrain.errors import ConfigError, DataError, did_you_mean
from jaxtrain.phases.joint import JOINT, joint_of
from jaxtrain.phases.phase import (
    OWN_KEYS,
    Phase,
    batching_of,
    checked_section,
    data_of,
    part_of,
    phase_of,
    with_places,
)
from jaxtrain.phases.replay import BASE, in_words, key_of_data
from jaxtrain.run import make_config


class RetentionSection(Section):
    """What is measured beside the tasks of the phases."""

    untrained: dict[str, Any] = pydantic.Field(
        default_factory=dict
    )  # a section `data` by name, that no phase trains on


@dataclass(frozen=True)
class PhasedConfig:
    """Phases in their order.

    Args:
        tree: all as it was written.
        base: what is trained before them, whole; None where the model begins with what its config
            says, weights or a key.
        phases: at least one.
        untrained: sections `data`, by the name of the suite.
        joint: what is trained on the rows of all phases at once; None for nothing.
        plugins: what was imported for it.
    """

    tree: ConfigDict
    base: Phase | None
    phases: tuple[Phase, ...]
    untrained: Mapping[str, Any]
    joint: Phase | None = None
    plugins: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        source: str | Path | Tree,
        overrides: Iterable[str] = (),
        *,
        plugins: Iterable[str] = (),
    ) -> PhasedConfig:
        """Read and check all of it. No device is touched, no data are read.

        Args:
            source: a config file, or the tree itself.
            overrides: `dotted.key=value` each: `seed=1` is for all phases, `phases.korean.seed=1`
                for one.
            plugins: modules or .py files to import.

        Raises:
            ConfigError: what is wrong with it, phase by phase.
        """
        tree = load(source) if isinstance(source, str | Path) else source
        tree = merge(tree, from_cli_dotlist(overrides))
        plugins = tuple(plugins)
        listed = tree.get("plugins") or ()
        if plugins and isinstance(listed, list | tuple):  # a record, as that of a single run
            tree = merge(tree, {"plugins": tuple(dict.fromkeys([*listed, *plugins]))})
        common = merge({key: value for key, value in tree.items() if key not in OWN_KEYS})
        written = tree.get("phases")
        if not isinstance(written, Mapping | ConfigDict) or not len(written):
            raise ConfigError("phases: expected at least one, a section each")
        if common.get("start") is not None and tree.get("base") is not None:
            raise ConfigError("start: a config with a base begins with that; leave one out")
        phases: list[Phase] = []
        before = [BASE] if tree.get("base") is not None else []
        for name, own in written.items():
            phases.append(phase_of(name, own, common, before))
            before.append(name)
            # What stands above the phases is what the first of them begins with.
            common = merge(common, {"start": None})
        base = None
        if tree.get("base") is not None:
            base = phase_of(
                BASE, tree.get("base"), merge(common, {"lora": None, "start": None}), []
            )
        retention = checked_section(RetentionSection, tree.get("retention") or {}, "retention")
        joint = joint_of(tree.get("joint"), phases)
        made = cls(merge(tree), base, tuple(phases), retention.untrained, joint, plugins)
        made._check()
        return made

    @property
    def names(self) -> tuple[str, ...]:
        """Of the phases, in their order."""
        return tuple(phase.name for phase in self.phases)

    @property
    def every(self) -> tuple[str, ...]:
        """The base, where there is one, and the phases."""
        return (BASE, *self.names) if self.base else self.names

    def config_of(
        self,
        name: str,
        *,
        workdir: str | None = None,
        start: tuple[str, str] | None = None,
    ) -> ExperimentConfig:
        """The config of a phase, or of the base: an ordinary run's.

        Args:
            name: of the phase; "base"; "joint", whose epochs `joint_config` knows.
            workdir: its run directory.
            start: path and digest of the checkpoint that it begins with; None where it begins with
                what the config says.
        """
        phase = self._find(name)
        tree: Tree = phase.tree
        if phase.replay is not None:
            tree = merge(tree, {"data": None})
            tree = merge(tree, {"data": self._mixed(phase)})
        if (room := self._earlier_rank(phase)) is not None:
            tree = merge(tree, {"lora": {"protect": {"earlier_rank": room}}})
        begins = None if start is None else {"path": start[0], "digest": start[1]}
        if begins is not None or workdir is not None:
            tree = merge(tree, {"workdir": workdir})
        if begins is not None:
            tree = merge(tree, {"start": begins})
        return self._made(tree, name, self.replayed(name))

    def task_of(self, name: str) -> ExperimentConfig:
        """The config whose data a task is measured on, without what is replayed.

        Args:
            name: of a phase, or of an untrained suite.
        """
        if name in self.untrained:
            common = {key: value for key, value in self.tree.items() if key not in OWN_KEYS}
            tree = merge(common, {"data": None, "lora": None, "start": None})
            given = self.untrained[name]
            if not isinstance(given, Mapping):
                raise ConfigError(
                    f"retention.untrained.{name}: expected a section like data, found {given!r}"
                )
            above = self.tree.get("data")
            own = {**batching_of(above), **with_places(given, above)}
            return self._made(merge(tree, {"data": own}), f"retention.untrained.{name}")
        return self._made(self._find(name).tree, name)

    def replayed(self, name: str) -> tuple[str, ...]:
        """What stands among the rows of a phase, in the order of the phases; mostly nothing."""
        replay = self._find(name).replay
        if replay is None:
            return ()
        return self.every[: self.every.index(name)] if replay.of is None else replay.of

    @contextlib.contextmanager
    def told(self, name: str) -> Iterator[None]:
        """What is wrong with the run of a phase comes out by its name, and by the keys here.

        Args:
            name: of the phase; "base"; "joint".

        Raises:
            ConfigError: the config, or what it names, is wrong.
            DataError: the data are.
        """
        try:
            yield
        except (ConfigError, DataError) as error:
            kind = ConfigError if isinstance(error, ConfigError) else DataError
            raise kind(self._in_words(error, name, self.replayed(name))) from error

    def _find(self, name: str) -> Phase:
        known = (self.base, *self.phases, self.joint)
        found = {phase.name: phase for phase in known if phase is not None}
        if name not in found:
            raise ConfigError(
                f"no phase is called {name!r}{did_you_mean(name, found)}; there are "
                + ", ".join(found)
            )
        return found[name]

    def _earlier_rank(self, phase: Phase) -> int | None:
        """The ranks of all adapters before a phase that is to be orthogonal to them."""
        if not phase.tree.get("lora.protect.orthogonal"):
            return None
        ranks = [1]  # where there is none, there is room all the same
        for name in self.names[: self.names.index(phase.name)]:
            config = self._made(self._find(name).tree, name)
            if config.lora is not None:
                ranks.append(max([config.lora.rank, *(r for _, r in config.lora.rank_pattern)]))
        return sum(ranks)

    def _mixed(self, phase: Phase) -> dict[str, Any]:
        """The data of a phase, with those of earlier ones among them."""
        assert phase.replay is not None
        sections = {
            name: data_of(self._find(name)) for name in (phase.name, *self.replayed(phase.name))
        }
        own = sections[phase.name]
        if own.get("stream"):
            raise ConfigError(
                f"phase {phase.name}: {key_of_data(phase.name)}.stream: what is replayed is held "
                f"in memory; leave phases.{phase.name}.replay out, or do not stream"
            )
        parts = {name: part_of(data) for name, data in sections.items()}
        mixed = {"name": "mixture", "share": phase.replay.share, "parts": parts}
        return {**batching_of(own), **mixed}

    def _made(self, tree: Tree, name: str, replayed: tuple[str, ...] = ()) -> ExperimentConfig:
        try:
            return make_config(tree, plugins=self.plugins)
        except ConfigError as error:
            raise ConfigError(self._in_words(error, name, replayed)) from None

    def _in_words(self, error: object, name: str, replayed: tuple[str, ...]) -> str:
        if name == JOINT and self.joint is not None:
            known = "|".join(map(re.escape, self.names))
            words = re.sub(rf"\bdata\.parts\.({known})(?=[.:])", r"phases.\1.data", str(error))
            return "\n".join(f"{JOINT}: {line}" for line in words.splitlines())
        return in_words(error, name, replayed)

    def _check(self) -> None:
        problems = []
        every = self.every
        for name in every:
            try:
                self.task_of(name)  # its data are told of as they stand, not as a part of a mixture
                config = self.config_of(name)
                if name != every[0] and config.start is not None:
                    problems.append(f"phase {name}: start: it begins with what the last one made")
                if config.lora is not None and config.lora.quantize is not None:
                    problems.append(
                        f"phase {name}: lora.quantize: expected none, found "
                        f"{config.lora.quantize}; each phase is merged into the base of the next, "
                        "and to round that to few bits again would take from what was learnt more "
                        "than most updates add"
                    )
                if self.base is not None and name == BASE and config.lora is not None:
                    problems.append("base.lora: the base is trained whole; make it a phase")
            except ConfigError as error:
                problems.append(str(error))
        for name in self.untrained:
            if name in every:
                problems.append(f"retention.untrained.{name}: a phase has that name, too")
                continue
            try:
                self.task_of(name)
            except ConfigError as error:
                problems.append(str(error))
        if self.joint is not None and not problems:  # it would tell all of them once more
            self.config_of(JOINT)
        if problems:
            raise ConfigError("\n".join(problems))


def is_phased(tree: Any) -> bool:
    """Whether a tree is that of a config with phases."""
    return "phases" in tree
