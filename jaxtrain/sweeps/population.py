"""A population: the members of a group, trained as one program.

population = Population.of(group, places, store=store)
population.begin()                              # or resume(population.trainer, saved, store)
population.trainer.run(population.loader, max_epochs=9)
fewer = population.only([0, 3, 7])              # go on with these alone, where they stand
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxtrain.checkpoint import CheckpointStore, environment
from jaxtrain.config import DEFAULT_HOOKS, ExperimentConfig, imported_digests, to_dict
from jaxtrain.data import members_loader
from jaxtrain.engine import Engine
from jaxtrain.engine.device.members import Order, axes_of_state, choose_order, map_own
from jaxtrain.errors import ConfigError, did_you_mean
from jaxtrain.hooks import HOOKS, Checkpoint, EarlyStopping, Validation
from jaxtrain.hooks.monitor import Monitor
from jaxtrain.parallel.mesh import DATA
from jaxtrain.run.deciding import hook_decides
from jaxtrain.sweeps.beginning import initial_members
from jaxtrain.sweeps.following import Following
from jaxtrain.sweeps.groups import Group
from jaxtrain.sweeps.member import Member, member_eval_step, member_step

logger = logging.getLogger(__name__)


class Population:
    """Engines and hooks of some members of a group.

    Args:
        group: which program.
        places: which of its members, by their places in the group.
        numbers: what to call them: their numbers in the sweep.
        store: where checkpoints go.
        monitor: what says which epoch is the best.
        state: where the members stand, every leaf `[M, ...]`; by default they begin.
        order: as the engine's.
        data: over how many devices each member's batch is split.

    Attributes:
        trainer: the engine that trains all of them.
        evaluator: the one that validates all of them.
        following: what has become of each.
        loader: what the trainer reads.
    """

    def __init__(
        self,
        group: Group,
        places: Sequence[int],
        *,
        numbers: Sequence[int],
        store: CheckpointStore,
        monitor: Monitor,
        state: Member | None = None,
        order: Order | None = None,
        data: int = 1,
    ) -> None:
        self._data = data
        self.group, self.places, self.numbers = group, tuple(places), tuple(numbers)
        self.store, self.monitor, self._order = store, monitor, order
        task, config = group.task, group.configs[0]
        datas = [group.datas[place] for place in places]
        self.loader = members_loader([data.loader for data in datas])
        if state is None:
            state = initial_members(group, places)
        order = order or own_order()
        mesh = mesh_of(len(self.places), order, data)
        state = laid_out(state, mesh)
        split = mesh if data > 1 else None
        form = None if config.train.form == "auto" else config.train.form
        make: dict[str, Any] = {"form": form, "members": len(self.places), "order": order}
        self.trainer = Engine(member_step(task.train_step, group.numbers, split), state, **make)
        metrics = {f"train/{name}": metric for name, metric in task.train_metrics().items()}
        self.trainer.add_metrics(metrics)
        self.evaluator = Engine(
            member_eval_step(task.eval_step, group.numbers, split), state, **make
        )
        self.evaluator.add_metrics(task.train_metrics())
        if "validation" in datas[0].sets:
            loader = members_loader([data.eval_loader("validation") for data in datas])
            self.trainer.attach(Validation(self.evaluator, loader), "validation")
        self.following = Following(numbers, monitor, self._stopping())
        self.trainer.attach(self.following, "following")
        checkpoint = Checkpoint(
            store,
            self.loader,
            every_epochs=config.checkpoint.every_epochs,
            every=config.checkpoint.every,
            describe={
                "configs": [to_dict(group.configs[place]) for place in places],
                "environment": environment.current(),
                "plugins": imported_digests(config.plugins),
            },
        )
        self.trainer.attach(checkpoint, "checkpoint")

    def only(self, places: Sequence[int], store: CheckpointStore) -> Population:
        """Those at these places of the population, where they stand; the engine is a new one.

        Args:
            places: among the members of this one.
            store: where checkpoints go from now on.
        """
        taken = np.asarray(places)
        arrays, record = self.trainer.snapshot()
        arrays = map_own(lambda leaf: leaf[taken], arrays)
        order = self.trainer.order or own_order()
        arrays = laid_out(arrays, mesh_of(len(places), order, self._data))
        fewer = Population(
            self.group,
            [self.places[place] for place in places],
            numbers=[self.numbers[place] for place in places],
            store=store,
            monitor=self.monitor,
            state=arrays["train_state"],
            order=order,
            data=self._data,
        )
        record = copy.deepcopy(record)
        record["counters"]["metrics"] = {}
        record["cursor"] = fewer.loader.start(record["counters"]["epoch"])
        record["hooks"]["following"] = self.following.only(places)
        fewer.trainer.restore(arrays, record)
        return fewer

    def _stopping(self) -> list[EarlyStopping]:
        """The early stopping that the config has, for each member one of its own."""
        sections = stopping_sections(self.group.configs[0])
        return [HOOKS.build(section) for section in sections for _ in self.places]


def stopping_sections(config: ExperimentConfig) -> list[Any]:
    """The early stopping that a config asks for, under whatever name; one at most is."""
    return [section for section in config.hooks.values() if section.name == "early_stopping"]


def own_order() -> Order:
    """The order where nobody asks for one: over several devices all at once, or the rule's."""
    return "together" if len(jax.devices()) > 1 else choose_order(jax.default_backend())


def mesh_of(members: int, order: Order, data: int = 1) -> Mesh | None:
    """The devices as members × data, as many for the members as divide their number; None for one.

    In turn they go through one device.

    Args:
        members: how many there are.
        order: in which they are computed.
        data: over how many devices each one's batch is split; it divides their number.
    """
    devices = jax.devices()
    if order == "in_turn" or len(devices) == 1:
        return None
    most = len(devices) // data
    parts = max(n for n in range(1, most + 1) if members % n == 0)
    return Mesh(np.asarray(devices[: parts * data]).reshape(parts, data), ("members", DATA))


def laid_out(members: Any, mesh: Mesh | None) -> Any:
    """A tree of members over the mesh, or their shapes; what they have in common on each device."""
    if mesh is None:
        return members
    places = {
        0: NamedSharding(mesh, PartitionSpec("members")),
        None: NamedSharding(mesh, PartitionSpec()),
    }

    def put(leaf: Any, axis: int | None) -> Any:
        place = places[axis]
        if isinstance(leaf, jax.ShapeDtypeStruct):
            return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place)
        return jax.device_put(leaf, place)

    leaves, treedef = jax.tree.flatten(members)
    return jax.tree.unflatten(treedef, map(put, leaves, axes_of_state(members)))


def refuse_unfit(group: Group, monitor: str, data: int = 1) -> None:
    """See that members of this group can be trained as a population.

    Args:
        group: theirs.
        monitor: what they are ranked by.
        data: over how many devices each one's batch is to be split.

    Raises:
        ConfigError: their config asks for something that a population has not.
    """
    config = group.configs[0]
    if data > 1:
        _refuse_unsplit(config, data)
    _refuse_unknown_monitors(group, monitor)
    if config.mesh is not None:
        raise ConfigError(
            "mesh: is for the parts of one run; a sweep lays its members over the devices by "
            "itself, and splits each one's batch where its own file has mesh: {data: N}"
        )
    if len(stopping_sections(config)) > 1:
        raise ConfigError("hooks: several are early_stopping; a member of a sweep has one")
    for key, section in config.hooks.items():
        if section.name != "early_stopping" and hook_decides(section.name):
            raise ConfigError(
                f"hooks.{key}: {section.name} changes what is learnt of one run by its own "
                "figures, and members of a sweep share a program; leave it out, or search over a "
                "schedule"
            )
    told = {"early_stopping", *DEFAULT_HOOKS}
    others = sorted({section.name for section in config.hooks.values()} - told)
    if others:
        logger.info("hooks.%s: tell of one run, and are left out", ", ".join(others))


def _refuse_unknown_monitors(group: Group, monitor: str) -> None:
    names = group.task.train_metrics()
    parts = ["train", *(["val"] if "validation" in group.datas[0].sets else [])]
    known = [f"{part}/{name}" for part in parts for name in names]
    wanted = {"monitor": monitor} | {
        f"hooks.{section.name}.monitor": section.monitor
        for section in stopping_sections(group.configs[0])
    }
    for key, name in wanted.items():
        if name not in known:
            raise ConfigError(
                f"{key}: no metric of a member is called {name!r}{did_you_mean(name, known)} "
                f"(there are {', '.join(sorted(known))})"
            )


def _refuse_unsplit(config: ExperimentConfig, data: int) -> None:
    devices = len(jax.devices())
    if devices % data:
        raise ConfigError(
            f"mesh.data {data}: expected a number that divides the devices, of which there are "
            f"{devices}"
        )
    sizes = {
        "data.batch_size / train.accumulate": config.data.batch_size // config.train.accumulate,
        "data.eval_batch_size": config.data.eval_batch_size or config.data.batch_size,
    }
    for key, size in sizes.items():
        if size % data:
            raise ConfigError(f"{key} {size}: expected a multiple of the sweep's mesh.data {data}")
