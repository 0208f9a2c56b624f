"""A member of a population: a run among others, which can end before they do.

    step = member_step(task.train_step, numbers)
    members, output = jax.vmap(step)(members, batches)

Its random key, its order of data and its numbers are its own. One whose step is not finite stays as
it was from then on, and disturbs nobody: nothing of one member goes into another's arithmetic.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxtrain.batch import batch_size, has_rows
from jaxtrain.engine.device.members import InCommon
from jaxtrain.parallel.mesh import DATA
from jaxtrain.step import TrainState
from jaxtrain.varied import Numbers

# What no step changes goes around the branch: through it, it would be copied with every step.
_UNCHANGED = ("frozen", "rng")


class Member(flax.struct.PyTreeNode):
    """Where a member stands.

    Attributes:
        state: its TrainState, but for what is frozen.
        best: as it was at the end of its best epoch; before there is one, as it began.
        frozen: of both; `InCommon` where all members have the same.
        numbers: what the step's `Varied` numbers are for it, slot by slot.
        trains: whether it still does; bool.
        failed_at: the step that was not finite, counted from 1; 0 where all were. int32.
    """

    state: TrainState
    best: TrainState
    frozen: Any
    numbers: tuple[Any, ...]
    trains: Any
    failed_at: Any

    @classmethod
    def beginning(
        cls, state: TrainState, numbers: tuple[Any, ...], *, trains: Any, failed_at: Any
    ) -> Member:
        """One that has taken no step, or the shapes of it."""
        bare = state.replace(frozen=None)
        return cls(bare, bare, state.frozen, numbers, trains, failed_at)

    def whole(self, state: TrainState) -> TrainState:
        """`state` or `best` as a run has it: with what is frozen."""
        frozen = self.frozen.tree if isinstance(self.frozen, InCommon) else self.frozen
        return state.replace(frozen=frozen)


Step = Callable[[TrainState, Mapping[str, Any]], tuple[TrainState, dict[str, Any]]]


def member_step(
    step: Step, numbers: Numbers, mesh: Mesh | None = None
) -> Callable[..., tuple[Member, dict[str, Any]]]:
    """The training step of one member, of the step of a run.

    Args:
        step: as `make_train_step` makes it: its output says `finite`.
        numbers: those that it takes to the device.
        mesh: has an axis "data" that the rows of a batch are to lie over; None for no such thing.
    """

    def run(member: Member, batch: Mapping[str, Any]) -> tuple[Member, dict[str, Any]]:
        batch = _split(batch, mesh)
        state = member.whole(member.state)
        kept = {field.name: getattr(state, field.name) for field in dataclasses.fields(state)}
        changing = {name: value for name, value in kept.items() if name not in _UNCHANGED}

        def train(changing: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
            with numbers.reading(member.numbers):
                new, said = step(state.replace(**changing), batch)
            return {name: getattr(new, name) for name in changing}, said

        def rest(changing: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
            said = jax.eval_shape(train, changing)[1]
            nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), said)
            return changing, nothing | {"finite": jnp.ones((), bool)}

        new, said = jax.lax.cond(member.trains, train, rest, changing)
        finite = said["finite"]
        member = member.replace(
            state=state.replace(**new, frozen=None),
            trains=member.trains & finite,
            failed_at=jnp.where(finite, member.failed_at, new["step"].astype(jnp.int32)),
        )
        return member, said

    return run


def member_eval_step(
    step: Step, numbers: Numbers, mesh: Mesh | None = None
) -> Callable[..., tuple[Member, dict[str, Any]]]:
    """The evaluating step of one member, of that of a run; see `member_step`."""

    def run(member: Member, batch: Mapping[str, Any]) -> tuple[Member, dict[str, Any]]:
        batch = _split(batch, mesh)
        with numbers.reading(member.numbers):
            _, said = step(member.whole(member.state), batch)
        return member, said

    return run


def _split(batch: Mapping[str, Any], mesh: Mesh | None) -> Mapping[str, Any]:
    """The batch with its rows over the mesh's axis "data"."""
    if mesh is None:
        return batch
    size, rows = batch_size(batch), NamedSharding(mesh, PartitionSpec(DATA))
    return {
        name: jax.lax.with_sharding_constraint(leaf, rows) if has_rows(leaf, size) else leaf
        for name, leaf in batch.items()
    }


def of_best(member: Member) -> Member:
    """The member as it was at its best epoch."""
    return member.replace(state=member.best)


@jax.jit
def with_verdict(members: Member, better: jax.Array, trains: jax.Array) -> Member:
    """All members behind an epoch.

    Args:
        members: every leaf `[M, ...]`.
        better: bool `[M]`, whose best epoch it was.
        trains: bool `[M]`, who goes on.
    """

    def choose(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    best = jax.tree.map(choose, members.state, members.best)
    return members.replace(best=best, trains=members.trains & trains)
