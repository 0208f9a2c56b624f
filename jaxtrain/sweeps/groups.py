"""Groups: which members are one program.

    groups = split(configs)
    groups[0].members, groups[0].varied, groups[0].split_by

Nobody says which keys those are. Members whose configs differ in numbers alone are made one task,
with a `Varied` in the place of each such number; where code wants one answer of numbers that have
several (a length, a branch, a string), the members part there, and only there. So `model.dropout`
of 0 and of 0.1 are two programs, and of 0.1 and 0.3 are one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jaxtrain.config import ExperimentConfig, to_dict
from jaxtrain.config.frozen_dict import FrozenDict
from jaxtrain.errors import (
    CheckpointError,
    CheckpointMismatchError,
    ConfigError,
    DataError,
    JaxtrainError,
)
from jaxtrain.run.data import RunData
from jaxtrain.run.fitting import refuse_other_vocabulary
from jaxtrain.run.task import Task
from jaxtrain.step import LOSSES
from jaxtrain.sweeps.tracing import refuse_kept_traces
from jaxtrain.sweeps.tree import leaves
from jaxtrain.varied import Disagreement, Numbers, Varied

logger = logging.getLogger(__name__)

# What the steps are made of. Anything else that differs makes other data, or other limits.
_IN_THE_STEPS = ("model", "loss", "optimizer", "schedule", "train", "lora")
_LIMITS = ("train.epochs", "train.accumulate", "train.virtual_shards")


@dataclass(frozen=True, eq=False)
class Group:
    """Members of one program.

    Args:
        members: their places among all configs.
        configs: theirs.
        datas: what each of them reads.
        task: of all of them; where the configs differ it has a `Varied`.
        numbers: those that the task takes to the device.
        varied: the keys that do not part them.
        split_by: the keys that part these members from others, with what these have there.
    """

    members: tuple[int, ...]
    configs: tuple[ExperimentConfig, ...]
    datas: tuple[RunData, ...]
    task: Task
    numbers: Numbers
    varied: tuple[str, ...]
    split_by: Mapping[str, Any]

    @property
    def has_common_base(self) -> bool:
        """Whether what is frozen is the same for all: read from files, and not drawn by each.

        PiSSA takes from the base what the adapter begins with, which depends on its numbers.
        """
        parameters = self.task.parameters
        adapter = parameters.adapter
        return parameters.reads_files and adapter is not None and adapter.init != "pissa"


def split(configs: Sequence[ExperimentConfig], names: Sequence[str] = ()) -> list[Group]:
    """The groups of members with these configs, in the order of their first members.

    Args:
        configs: theirs.
        names: what errors call them; their places by default.

    Raises:
        ConfigError: a config's parts do not fit each other, or its data.
        DataError: the data are broken.
        CheckpointError: what they start from is.
    """
    names = names or [f"config {place}" for place in range(len(configs))]
    trees = [dict(leaves(to_dict(config))) for config in configs]
    keys = sorted({key for tree in trees for key in tree})
    differing = [k for k in keys if len({repr(tree.get(k, "")) for tree in trees}) > 1]
    apart = [k for k in differing if k != "seed" and not _is_number_of_steps(k, trees)]
    numbers = [k for k in differing if k != "seed" and k not in apart]
    read = _Reader()
    datas: dict[int, RunData] = {}
    by_kind: dict[str, dict[str, list[int]]] = {}
    for place, tree in enumerate(trees):
        with _naming(names[place]):
            datas[place] = read(configs[place])
            datas[place].refuse_broken()
            refuse_other_vocabulary(datas[place])
            form = repr(_form_of(datas[place]))
        alike = by_kind.setdefault(repr([tree.get(key) for key in apart]), {})
        alike.setdefault(form, []).append(place)
    found = []
    kinds = [(places, len(alike)) for alike in by_kind.values() for places in alike.values()]
    for places, forms in kinds:
        said = {key: trees[places[0]].get(key) for key in apart}
        if forms > 1:
            said["data"] = f"of the form of {names[places[0]].partition(',')[0]}'s"
        found += _made(_Some(tuple(places), configs, trees, datas, names), numbers, said)
    return sorted(found, key=lambda group: group.members[0])


def _form_of(data: RunData) -> tuple[Any, ...]:
    """What a program takes from its data besides the rows: members who differ in it part.

    Shapes and lengths; what there is to put out; the unit of the targets, in which figures come
    out; and how many rows each class has, where the loss weighs by it.
    """
    train, loss = data.train, data.config.loss
    shapes = {name: (x.shape, str(x.dtype)) for name, x in data.example().items()}
    scale = data.splits.target_scale
    weighs = getattr(loss, "class_weights", True) is not None  # a plugin's may do as it likes
    asks = "class_counts" in inspect.signature(LOSSES[loss.name]).parameters
    return (
        (train.task, train.num_outputs, train.label_names, data.loader.steps_per_epoch),
        sorted(shapes.items()),
        {name: len(rows) for name, rows in data.sets.items() if name == "validation"},
        None if scale is None else scale.to_json(),
        data.class_counts() if weighs and asks else None,
    )


class _Reader:
    """Data are read once for all members that read the same."""

    def __init__(self) -> None:
        self._read: dict[str, RunData] = {}

    def __call__(self, config: ExperimentConfig) -> RunData:
        tree = to_dict(config)
        which = repr((tree["data"], tree["seed"], config.train.virtual_shards))
        if which not in self._read:
            self._read[which] = RunData.of(config)
        return dataclasses.replace(self._read[which], config=config)


@dataclass(frozen=True)
class _Some:
    """Some of the members, whose configs differ in numbers alone."""

    members: tuple[int, ...]
    configs: Sequence[ExperimentConfig]
    trees: Sequence[Mapping[str, Any]]
    datas: Mapping[int, RunData]
    names: Sequence[str]

    def only(self, members: Sequence[int]) -> _Some:
        return dataclasses.replace(self, members=tuple(members))

    def values(self, key: str) -> list[Any]:
        return [self.trees[member][key] for member in self.members]

    def varying(self, keys: Sequence[str]) -> list[str]:
        return [key for key in keys if len(set(self.values(key))) > 1]

    def parted(self, answers: Sequence[Any]) -> list[_Some]:
        by_answer: dict[Any, list[int]] = {}
        for member, answer in zip(self.members, answers, strict=True):
            by_answer.setdefault(answer, []).append(member)
        return [self.only(members) for members in by_answer.values()]


def _made(some: _Some, keys: Sequence[str], said: Mapping[str, Any]) -> list[Group]:
    """One group, or as many as the code that reads the numbers parts them into."""
    varied = some.varying(keys)
    try:
        task, numbers = _task_of(some, varied)
    except Disagreement as parted:
        return _apart(some.parted(parted.answers), keys, said, varied)
    except JaxtrainError:
        # Either a member's config is wrong, or its code can't do with a number that varies.
        with _naming(some.names[some.members[0]]):
            if not varied:
                raise
            _task_of(some.only(some.members[:1]), [])
        guilty = [key for key in varied if not _can_vary(some, key)]
        logger.info("%s: can't be varied within a program", ", ".join(guilty or varied))
        by_value = [repr([some.trees[m][k] for k in guilty or varied]) for m in some.members]
        return _apart(some.parted(by_value), keys, said, varied)
    datas = tuple(some.datas[member] for member in some.members)
    configs = tuple(some.configs[member] for member in some.members)
    alone = {key: some.values(key)[0] for key in keys if key not in varied and key in said}
    said = {**said, **alone}
    return [Group(some.members, configs, datas, task, numbers, tuple(varied), said)]


def _apart(
    parts: Sequence[_Some], keys: Sequence[str], said: Mapping[str, Any], varied: Sequence[str]
) -> list[Group]:
    found = []
    for part in parts:
        fixed = [key for key in varied if key not in part.varying(varied)]
        found += _made(part, keys, {**said, **{key: part.values(key)[0] for key in fixed}})
    return found


@contextlib.contextmanager
def _naming(name: str) -> Iterator[None]:
    """Say whose config is wrong."""
    try:
        yield
    except JaxtrainError as error:
        kinds = (ConfigError, DataError, CheckpointMismatchError, CheckpointError, JaxtrainError)
        kind = next(kind for kind in kinds if isinstance(error, kind))
        raise kind(f"{name}: {error}") from error


def _can_vary(some: _Some, key: str) -> bool:
    try:
        _task_of(some, [key])
    except Disagreement:
        return True  # it says itself who goes with whom
    except JaxtrainError:
        return False
    return True


def _task_of(some: _Some, varied: Sequence[str]) -> tuple[Task, Numbers]:
    first = some.members[0]
    config = some.configs[first]
    for key in varied:
        config = _with(config, key.split("."), Varied(some.values(key)))
    numbers = Numbers()
    with numbers.discovering():
        task = Task.of(dataclasses.replace(some.datas[first], config=config))
    if varied:
        if task.parameters.reads_files and any(key.startswith("model.") for key in varied):
            raise ConfigError("what is read from files may depend on the model's numbers")
        refuse_kept_traces(task, numbers)
    return task, numbers


def _with(section: Any, path: Sequence[str], value: Any) -> Any:
    """A section with another value somewhere in it, which nobody checks: each member's was."""
    name, *rest = path
    if not rest:
        new = value
    elif isinstance(section, Mapping):
        return FrozenDict({**section, name: _with(section[name], rest, value)})
    else:
        new = _with(getattr(section, name), rest, value)
    return section.model_copy(update={name: new})


def _is_number_of_steps(key: str, trees: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a key may differ within a program, as far as one can tell before it is tried."""
    if key.split(".")[0] not in _IN_THE_STEPS or key in _LIMITS:
        return False
    values = [tree.get(key) for tree in trees]
    return all(isinstance(v, float | int) and not isinstance(v, bool) for v in values)
