"""Virtual shards: the tree in which a batch is summed, fixed whatever the number of devices.

    shards = VirtualShards(8, mesh)                       # of 1, 2, 4 or 8 devices: the same bits
    found = shards.gradient(minimised)(state, batch, key)

A batch of B rows is V shards of B / V. Each device goes through its own one after the other, each
with random keys of its own, and adds what they give in a binary tree; the devices go on with the
same tree, each pair of neighbours, then of pairs. Every shard is computed behind a wall
(`jaxtrain.step.wall`), so that how many there are beside it does not change its bits.

What is summed is gradients, totals and weights, so that masks are exact over shards of unequal
weight. A pass sees no row of another shard: batch norm normalises by each shard's own rows ("ghost
batch norm", Hoffer et al. 2017, arXiv:1705.08741), mixup finds partners within it.

Axes: B rows, V shards, D devices, A micro-batches of a shard.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from jaxtrain.batch import Batch
from jaxtrain.errors import ConfigError
from jaxtrain.parallel import replicated
from jaxtrain.parallel.mesh import DATA
from jaxtrain.step.cut import Cut
from jaxtrain.step.forward import Pass
from jaxtrain.step.gradient import Differentiate, Given, of_sums, summed, totalled
from jaxtrain.step.objective import Objective, mean
from jaxtrain.step.train_state import TrainState
from jaxtrain.step.wall import room, wall, walled


@dataclass(frozen=True)
class VirtualShards:
    """How batches are summed.

    Args:
        count: V, a power of two.
        mesh: as `jaxtrain.parallel.make_mesh` makes it, of one axis of more than one device,
            `data`; None for one device.

    Raises:
        ConfigError: the devices do not divide the shards, or lie over other axes.
    """

    count: int
    mesh: Mesh | None = None

    def __post_init__(self) -> None:
        count = self.count
        if count < 2 or count & (count - 1):
            raise ConfigError(
                f"virtual_shards: expected a power of two, 2 or more, found {count}; they are "
                "added in pairs"
            )
        if self.mesh is None:
            return
        sizes = dict(self.mesh.shape)
        others = {name: size for name, size in sizes.items() if name != DATA and size > 1}
        if DATA not in sizes or others:
            raise ConfigError(
                "virtual_shards: a product that is computed in pieces is rounded otherwise on "
                f"every number of them; expected all devices over the axis {DATA!r}, found "
                f"{sizes}; leave out virtual_shards, or {' and '.join(others) or 'the mesh'}"
            )
        if count % self.devices:
            raise ConfigError(
                f"virtual_shards: expected as many for each device of {self.devices}, found "
                f"{count}; take a number of devices that divides it"
            )

    @property
    def devices(self) -> int:
        """D: over how many devices the shards lie."""
        return 1 if self.mesh is None else self.mesh.shape[DATA]

    def gradient(self, objective: Objective, micro_batches: int = 1) -> Differentiate:
        """The gradient of a whole batch; what it gives is whole on each device.

        Random keys are per micro-batch, `fold_in(key, i)` with i counted through the whole batch.
        Collections such as batch statistics go from one micro-batch of a shard to the next, and the
        state's new ones are the mean over the shards; what is not a float (a counter) is that of
        the first shard. What has no batch axis in the outputs comes out once a micro-batch,
        [V * A, ...].

        Args:
            objective: what is minimised.
            micro_batches: A, that a shard is split into.

        Raises:
            ConfigError: `micro_batches` is less than 1.
            DataError: (when traced) the rows of a batch don't split into so many.
        """
        if micro_batches < 1:
            raise ConfigError(f"accumulate: expected at least 1, found {micro_batches}")
        differentiate = summed(objective)

        def of_shard(state: TrainState, cut: Cut, key: jax.Array, first: jax.Array) -> Any:
            sums, given = differentiate(state, cut, key, first)
            return (sums, _wide(given.changes)), (given.outputs, given.sown)

        def whole(state: TrainState, batch: Batch, key: jax.Array) -> Any:
            cut = self._cut(batch, micro_batches)
            (sums, changes), (outputs, sown) = self._over(of_shard, state, cut, key, micro_batches)
            given = Given(self._mean(changes), outputs, sown)
            return of_sums(sums, given, objective, state, batch, key, cut)

        return whole

    def value(self, objective: Objective, micro_batches: int = 1) -> Callable[..., jax.Array]:
        """`value(params, state, batch, key)`: the mean loss of the same shards and keys."""
        totals = totalled(objective)

        def of_shard(state: TrainState, cut: Cut, key: jax.Array, first: jax.Array) -> Any:
            return totals(state.params, state, cut, key, first), ()

        def whole(params: Any, state: TrainState, batch: Batch, key: jax.Array) -> jax.Array:
            cut, moved = self._cut(batch, micro_batches), state.replace(params=params)
            sums, _ = self._over(of_shard, moved, cut, key, micro_batches)
            return mean(*sums)

        return whole

    def judged(self, objective: Objective) -> Objective:
        """The objective of a whole batch, for an evaluation: what it gives is whole on each device.

        Random keys are per shard. What has no batch axis in the outputs comes out once a shard.
        """

        def of_shard(state: TrainState, cut: Cut, key: jax.Array, first: jax.Array) -> Any:
            batch = cut.part({number: leaf[0] for number, leaf in cut.rows.items()})
            total, weight, seen = objective(
                state.params, state, batch, jax.random.fold_in(key, first)
            )
            return (total, weight), jax.tree.map(lambda x: x[None], (seen.outputs, seen.sown))

        def whole(params: Any, state: TrainState, batch: Batch, key: jax.Array) -> Any:
            cut, judged = self._cut(batch, 1), state.replace(params=params)
            (total, weight), given = self._over(of_shard, judged, cut, key, 1)
            _, _, uncut = jax.eval_shape(objective, params, state, batch, key)
            outputs, sown = jax.tree.map(cut.joined, given, (uncut.outputs, uncut.sown))
            return total, weight, Pass(outputs, {}, sown)

        return whole

    def whole(self, tree: Any) -> Any:
        """The tree, whole on each device."""
        if self.devices == 1:
            return tree
        assert self.mesh is not None
        return jax.lax.with_sharding_constraint(tree, replicated(self.mesh))

    def _cut(self, batch: Batch, micro_batches: int) -> Cut:
        asked = f"virtual_shards={self.count}"
        if micro_batches > 1:
            asked += f" of accumulate={micro_batches} micro-batches"
        return Cut.of(batch, self.count * micro_batches, asked=asked)

    def _over(
        self,
        of_shard: Callable[..., Any],
        state: TrainState,
        cut: Cut,
        key: jax.Array,
        micro_batches: int,
    ) -> Any:
        """What all shards give: the sum of the first, [V * A, ...] of the second."""

        def on_device(state: TrainState, key: jax.Array, rows: Any, whole: Any) -> Any:
            shards = self.count // self.devices
            begin = jax.lax.axis_index(DATA) * shards if self.devices > 1 else 0

            def shard(index: jax.Array, rows: Any) -> Any:
                own = Cut(micro_batches, cut.size, rows, whole, cut.treedef)
                return of_shard(state, own, key, (begin + index) * micro_batches)

            by_shard = jax.tree.map(lambda leaf: _split(leaf, micro_batches), rows)
            sums, given = _in_a_tree(shard, by_shard, shards, wall(state.step))
            given = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), given)
            if self.devices == 1:
                return sums, given
            return _tree_of_devices(sums, self.devices), jax.tree.map(
                partial(jax.lax.all_gather, axis_name=DATA, tiled=True), given
            )

        if self.devices == 1:
            return on_device(state, key, cut.rows, cut.whole)
        assert self.mesh is not None
        return jax.shard_map(
            on_device,
            mesh=self.mesh,
            in_specs=(PartitionSpec(), PartitionSpec(), PartitionSpec(DATA), PartitionSpec()),
            out_specs=PartitionSpec(),
            check_vma=False,  # that a sum of all devices is the same on each is not seen by types
        )(state, key, cut.rows, cut.whole)

    def _mean(self, tree: Any) -> Any:
        """Of what was summed; to divide by a power of two rounds nothing."""
        return jax.tree.map(lambda leaf: leaf / self.count if _adds_up(leaf) else leaf, tree)


def _in_a_tree(
    function: Callable[[jax.Array, Any], tuple[Any, Any]], rows: Any, count: int, length: jax.Array
) -> tuple[Any, Any]:
    """`function(i, rows[i])` of each, the first of what it gives added in a binary tree.

    A binary counter: behind i shards, level h holds the sum of 2**h of them where bit h of i is
    set. So log2 of the count are kept, and one that is on its way.

    Args:
        function: computed behind a wall.
        rows: leaves [count, ...].
        count: a power of two.
        length: of a wall.
    """
    top = max(count.bit_length() - 1, 1)
    shapes = jax.eval_shape(function, 0, jax.tree.map(lambda leaf: leaf[0], rows))
    place = room(shapes)
    levels, given = (_many(tree, size) for tree, size in zip(shapes, (top, count), strict=True))

    def add(index: jax.Array, carry: Any) -> Any:
        levels, given, place = carry
        own = jax.tree.map(lambda leaf: _at(leaf, index), rows)
        sums, more = walled(length, lambda _: function(index, own), place)
        given = jax.tree.map(lambda leaf, new: _put(leaf, new, index), given, more)

        def carries(found: Any) -> jax.Array:
            height, _ = found
            return (index >> height) & 1 == 1

        def carried(found: Any) -> Any:
            height, sums = found
            below = jax.tree.map(lambda leaf: _at(leaf, height), levels)
            return height + 1, jax.tree.map(_plus, below, sums)

        height, sums = jax.lax.while_loop(carries, carried, (jnp.int32(0), sums))
        # What reaches the top is the sum of all, and goes out by itself.
        height = jnp.minimum(height, top - 1)
        levels = jax.tree.map(lambda leaf, new: _put(leaf, new, height), levels, sums)
        return levels, given, (sums, more)

    _, given, (sums, _) = jax.lax.fori_loop(0, length * count, add, (levels, given, place))
    return sums, given


def _tree_of_devices(sums: Any, devices: int) -> Any:
    """The tree over the sums of the devices, the same on each of them.

    Each adds what its partner has: a sum does not depend on the order of two.
    """
    own = jax.lax.axis_index(DATA)
    distance = 1
    while distance < devices:
        partners = [(device, device ^ distance) for device in range(devices)]
        comes_first = own & distance == 0

        def join(
            leaf: jax.Array, partners: Any = partners, comes_first: jax.Array = comes_first
        ) -> jax.Array:
            other = jax.lax.ppermute(leaf, DATA, partners)
            return leaf + other if _adds_up(leaf) else jnp.where(comes_first, leaf, other)

        sums = jax.tree.map(join, sums)
        distance *= 2
    return sums


def _many(shapes: Any, count: int) -> Any:
    """Room for so many trees of these shapes, [count, ...]."""
    return jax.tree.map(lambda leaf: jnp.zeros((count, *leaf.shape), leaf.dtype), shapes)


def _plus(first: jax.Array, second: jax.Array) -> jax.Array:
    return first + second if _adds_up(first) else first


def _adds_up(leaf: jax.Array) -> bool:
    return bool(jnp.issubdtype(leaf.dtype, jnp.inexact))


def _wide(tree: Any) -> Any:
    """Floats in float32 at least."""

    def widen(leaf: jax.Array) -> jax.Array:
        wide = _adds_up(leaf) and jnp.promote_types(leaf.dtype, jnp.float32)
        return leaf.astype(wide) if wide else leaf

    return jax.tree.map(widen, tree)


def _split(leaf: jax.Array, parts: int) -> jax.Array:
    return leaf.reshape(-1, parts, *leaf.shape[1:])


def _at(leaf: jax.Array, index: jax.Array) -> jax.Array:
    return jax.lax.dynamic_index_in_dim(leaf, index, keepdims=False)


def _put(leaf: jax.Array, new: jax.Array, index: jax.Array) -> jax.Array:
    return jax.lax.dynamic_update_index_in_dim(leaf, new, index, 0)
