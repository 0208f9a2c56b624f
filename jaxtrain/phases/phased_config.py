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

from jaxtrain.config import (
    ConfigDict,
    ExperimentConfig,
    from_cli_dotlist,
    load,
    merge,
)
from jaxtrain.config.fields import describe
from jaxtrain.config.schema import Section
from jaxtrain.config.tree import Tree
from jaxtrain.errors import ConfigError, DataError, did_you_mean
from jaxtrain.files.names import PATTERN
from jaxtrain.phases.replay import BASE, Replay, data_of, in_words
from jaxtrain.run import make_config

_OWN = ("base", "phases", "retention")
_OF_A_PHASE = "replay"


class RetentionSection(Section):
    """What is measured beside the tasks of the phases."""

    untrained: dict[str, Any] = pydantic.Field(
        default_factory=dict
    )  # a section `data` by name, that no phase trains on


@dataclass(frozen=True)
class Phase:
    """A phase as it was written.

    Args:
        name: of the phase, and of the task that it trains.
        tree: of an `ExperimentConfig`, with what stands above the phases.
        replay: of what comes before; None for none.
    """

    name: str
    tree: ConfigDict
    replay: Replay | None = None


@dataclass(frozen=True)
class PhasedConfig:
    """Phases in their order.

    Args:
        tree: all as it was written.
        base: what is trained before them, whole; None where the model begins with what its config
            says, weights or a key.
        phases: at least one.
        untrained: sections `data`, by the name of the suite.
        plugins: what was imported for it.
    """

    tree: ConfigDict
    base: Phase | None
    phases: tuple[Phase, ...]
    untrained: Mapping[str, Any]
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
        common = merge({key: value for key, value in tree.items() if key not in _OWN})
        written = tree.get("phases")
        if not isinstance(written, Mapping | ConfigDict) or not len(written):
            raise ConfigError("phases: expected at least one, a section each")
        if common.get("start") is not None and tree.get("base") is not None:
            raise ConfigError("start: a config with a base begins with that; leave one out")
        phases: list[Phase] = []
        before = [BASE] if tree.get("base") is not None else []
        for name, own in written.items():
            phases.append(_phase(name, own, common, before))
            before.append(name)
            # What stands above the phases is what the first of them begins with.
            common = merge(common, {"start": None})
        base = None
        if tree.get("base") is not None:
            base = _phase(BASE, tree.get("base"), merge(common, {"lora": None, "start": None}), [])
        retention = _checked(RetentionSection, tree.get("retention") or {}, "retention")
        made = cls(merge(tree), base, tuple(phases), retention.untrained, tuple(plugins))
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
            name: of the phase; "base".
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
            common = {key: value for key, value in self.tree.items() if key not in _OWN}
            tree = merge(common, {"data": None, "lora": None, "start": None})
            given = self.untrained[name]
            if not isinstance(given, Mapping):
                raise ConfigError(
                    f"retention.untrained.{name}: expected a section like data, found {given!r}"
                )
            own = {**_batches(self.tree.get("data")), **given}
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
            name: of the phase; "base".

        Raises:
            ConfigError: the config, or what it names, is wrong.
            DataError: the data are.
        """
        try:
            yield
        except (ConfigError, DataError) as error:
            kind = ConfigError if isinstance(error, ConfigError) else DataError
            raise kind(in_words(error, name, self.replayed(name))) from error

    def _find(self, name: str) -> Phase:
        found = {phase.name: phase for phase in (*([self.base] if self.base else []), *self.phases)}
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
            name: merge(self._find(name).tree.get("data")).to_dict()
            for name in (phase.name, *self.replayed(phase.name))
        }
        own = sections[phase.name]
        if own.get("stream"):
            raise ConfigError(
                f"phase {phase.name}: {data_of(phase.name)}.stream: what is replayed is held in "
                f"memory; leave phases.{phase.name}.replay out, or do not stream"
            )
        parts = {name: _part(data) for name, data in sections.items()}
        mixed = {"name": "mixture", "share": phase.replay.share, "parts": parts}
        return {**_batches(own), **mixed}

    def _made(self, tree: Tree, name: str, replayed: tuple[str, ...] = ()) -> ExperimentConfig:
        try:
            return make_config(tree, plugins=self.plugins)
        except ConfigError as error:
            raise ConfigError(in_words(error, name, replayed)) from None

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
        if problems:
            raise ConfigError("\n".join(problems))


def is_phased(tree: Any) -> bool:
    """Whether a tree is that of a config with phases."""
    return "phases" in tree


# What a section `data` says of batches, and not of rows.
_BATCHING = (
    "batch_size",
    "eval_batch_size",
    "validation_fraction",
    "last_batch",
    "shuffle",
    "prefetch",
)


def _batches(data: Any) -> dict[str, Any]:
    return {key: data[key] for key in _BATCHING if data is not None and key in data}


def _part(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key not in _BATCHING}


def _phase(name: str, own: Any, common: Tree, before: list[str]) -> Phase:
    if not re.fullmatch(PATTERN, name) or (name == BASE and before):
        raise ConfigError(f"phases.{name}: a phase can't be called so")
    if not isinstance(own, Mapping | ConfigDict):
        raise ConfigError(f"phases.{name}: expected a section, found {own!r}")
    for key in ("project", "workdir", "plugins", "seed", *_OWN):
        if key in own and key != "seed":
            raise ConfigError(f"phases.{name}.{key}: stands above the phases, for all of them")
    rest = merge({key: value for key, value in own.items() if key != _OF_A_PHASE})
    replay = None
    if own.get(_OF_A_PHASE) is not None:
        replay = _checked(Replay, own[_OF_A_PHASE], f"phases.{name}.{_OF_A_PHASE}")
        if not before:
            raise ConfigError(f"phases.{name}.replay: there is nothing before it")
        for each in replay.of or ():
            if each not in before:
                raise ConfigError(
                    f"phases.{name}.replay.of: expected some of {', '.join(before)}, found {each!r}"
                )
    return Phase(name, merge(common, rest), replay)


def _checked(schema: Any, values: Any, where: str) -> Any:
    try:
        plain = values.to_dict() if isinstance(values, ConfigDict) else values
        return schema.model_validate(plain)
    except pydantic.ValidationError as error:
        lines = []
        for one in error.errors():
            key = ".".join([where, *map(str, one["loc"])])
            name = str(one["loc"][0]) if one["loc"] else ""
            known = schema.model_fields
            if one["type"] == "extra_forbidden":
                lines.append(f"{key}: unknown key{did_you_mean(name, known)}")
            elif name in known:
                lines.append(f"{key}: expected {describe(known[name])}, found {one['input']!r:.80}")
            else:
                lines.append(f"{key}: expected a section, found {one['input']!r:.80}")
        raise ConfigError("\n".join(lines)) from None
