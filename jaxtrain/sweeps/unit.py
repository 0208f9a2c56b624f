"""A unit: members of a group that are trained together, from rung to rung.

    unit = Unit(directory / "units" / "000-00-0", group, places=(0, 1, 2), members=(4, 5, 6))
    reached = unit.train(rung=0, epochs=3, alive=(0, 1, 2), guard=guard)
    reached.best                                     # by member of those that stand there

Each rung has checkpoints of its own, and when it is reached a `result.json`: a sweep that was
killed trains no rung twice, and goes on within the one that it was in, to the byte.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from jaxtrain.checkpoint import CheckpointStore
from jaxtrain.engine import Engine
from jaxtrain.engine.device.members import Order, map_own
from jaxtrain.errors import CheckpointError, Preempted
from jaxtrain.files import make_directory, replacing
from jaxtrain.hooks import resume
from jaxtrain.hooks.monitor import Monitor
from jaxtrain.sweeps.beginning import shapes_of
from jaxtrain.sweeps.groups import Group
from jaxtrain.sweeps.member import Member
from jaxtrain.sweeps.population import Population

logger = logging.getLogger(__name__)

Guard = Callable[[Engine], AbstractContextManager[Any]]


class Unit:
    """See the module.

    Args:
        path: of its directory.
        group: whose members they are.
        places: which, by their places in the group.
        members: their numbers in the sweep.
        monitor: which figure says which epoch was the best.
        order: as the engine's; None leaves it to the rule.
        data: over how many devices each member's batch is split.
    """

    def __init__(
        self,
        path: Path,
        group: Group,
        *,
        places: Sequence[int],
        members: Sequence[int],
        monitor: Monitor,
        order: Order | None = None,
        data: int = 1,
    ) -> None:
        self.data = data
        self.path, self.group, self.monitor, self.order = path, group, monitor, order
        self.places, self.members = tuple(places), tuple(members)
        self.asynchronous = group.configs[0].checkpoint.asynchronous

    def result(self, rung: int) -> dict[str, Any] | None:
        """What stands in a rung's result.json; None where it was not reached yet."""
        path = self._of(rung) / "result.json"
        return json.loads(path.read_text()) if path.exists() else None

    def train(self, rung: int, epochs: int, alive: Sequence[int], guard: Guard) -> dict[str, Any]:
        """Train the members that go on up to a rung, or read what is there of it.

        Args:
            rung: which, from 0.
            epochs: behind how many it is.
            alive: who goes on, by their numbers in the sweep.
            guard: a context to run in, given the engine.

        Returns:
            The rung's result: `members`, and for each of them what `Following.state()` has.

        Raises:
            Preempted: stopped by a signal; everything is saved.
        """
        members = [member for member in self.members if member in set(alive)]
        found = self.result(rung)
        if found is not None and found["members"] == members and found["epochs"] == epochs:
            return found
        make_directory(self._of(rung))
        store = self._store(rung)
        population = self._standing(rung, members, store)
        trainer = population.trainer
        with guard(trainer):
            trainer.run(population.loader, max_epochs=epochs)
        store.wait()
        if trainer.state.stopped == "interrupt":
            raise Preempted(
                f"stopped after iteration {trainer.state.iteration} of {_named(members)}, saved in "
                f"{self.path}; run it again to go on"
            )
        said = {
            "members": members,
            "epochs": epochs,
            "epoch": trainer.state.epoch,
            "iterations": trainer.state.iteration,
            "order": trainer.order,
            **population.following.state(),
        }
        with replacing(self._of(rung) / "result.json") as temporary:
            temporary.write_text(json.dumps(said))
        return said

    def _standing(self, rung: int, members: Sequence[int], store: CheckpointStore) -> Population:
        """The population of a rung where it stands: in it, at the one before, or at its start."""
        saved = store.latest()
        if saved is not None:
            population = self._population(members, store, shapes=True)
            resume(population.trainer, saved, store)
            return population
        if rung == 0:
            return self._population(members, store, shapes=False)
        before = self.result(rung - 1)
        whole_store = self._store(rung - 1)
        saved = whole_store.latest()
        if before is None or saved is None:
            raise CheckpointError(f"{self._of(rung - 1)}: the rung was reached, and holds nothing")
        whole = self._population(before["members"], whole_store, shapes=True)
        resume(whole.trainer, saved, whole_store)
        return whole.only([before["members"].index(member) for member in members], store)

    def _population(
        self, members: Sequence[int], store: CheckpointStore, *, shapes: bool
    ) -> Population:
        places = [self.places[self.members.index(member)] for member in members]
        return Population(
            self.group,
            places,
            numbers=members,
            store=store,
            monitor=self.monitor,
            state=shapes_of(self.group, len(places)) if shapes else None,
            order=self.order,
            data=self.data,
        )

    def loaded(self, rung: int, member: int) -> Member:
        """One member as a rung left it.

        Raises:
            CheckpointError: it is not there, or can't be read.
        """
        result, store = self.result(rung), self._store(rung)
        saved = store.latest()
        if result is None or saved is None:
            raise CheckpointError(f"{self._of(rung)}: holds no member {member}")
        shapes = shapes_of(self.group, len(result["members"]))
        members, _ = store.load(saved, shapes, part="train_state")
        place = result["members"].index(member)
        found: Member = map_own(lambda leaf: leaf[place], members)
        return found

    def _of(self, rung: int) -> Path:
        return self.path / f"rung-{rung}"

    def _store(self, rung: int) -> CheckpointStore:
        return CheckpointStore(
            self._of(rung) / "checkpoints",
            keep=1,
            monitor=self.monitor.name,
            mode=self.monitor.direction,
            asynchronous=self.asynchronous,
        )


def _named(members: Sequence[int]) -> str:
    """
    >>> _named([3]), _named([0, 1, 2, 5])
    ('member 3', '4 members (0 to 5)')
    """
    if len(members) == 1:
        return f"member {members[0]}"
    return f"{len(members)} members ({members[0]} to {members[-1]})"
