"""Members: a program of one run becomes one of many, along a first axis of everything it keeps.

    members = Members(64, "together")
    step = members.each(step, (0, 0, None))      # what is None they have in common

"together" is `jax.vmap`: a product of all members at once, which an accelerator needs to be busy,
and whose sums may be taken in another order than a lone run's. "in_turn" is a loop over the
members, each of which takes all its steps of a dispatch before the next one. On a CPU the bits are
those of a lone run then. There "together" is 1.4 times as fast for an MLP of 26 thousand
parameters, and 0.7 times for one of 535 thousand, so that bits decide.

What all members would have alike, such as the base under their adapters, is held once:

    state = Member(params, frozen=InCommon(base))    # the step is given Member(params, InCommon(…))

Axes: M members.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding

Order = Literal["together", "in_turn"]

ORDERS: tuple[Order, ...] = ("together", "in_turn")


def choose_order(platform: str) -> Order:
    """The order where nobody asks for one; like the form of a run no stopwatch's choice.

    Args:
        platform: "cpu", "gpu" or "tpu".
    """
    return "in_turn" if platform == "cpu" else "together"


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class InCommon:
    """A part of a state that all members have in common; a step can't change it.

    Attributes:
        tree: its leaves, without an axis of members.
    """

    tree: Any


@dataclass(frozen=True)
class Members:
    """So many runs in one program.

    Args:
        count: M.
        order: in which they are computed.
    """

    count: int
    order: Order

    def each(
        self,
        function: Callable[..., Any],
        in_axes: Sequence[Any],
        *,
        spmd_axis_name: str | None = None,
        in_place: Sequence[int] = (),
    ) -> Callable[..., Any]:
        """`function` of each member; what it gives has a first axis [M].

        Args:
            function: of one member's arguments.
            in_axes: as those of `jax.vmap`; None where members have an argument in common.
            spmd_axis_name: likewise; the axis of a mesh that members lie over.
            in_place: the numbers of arguments with an axis 0 that come back first of what
                `function` gives, in that order: in turn, each member's is written over its own.
        """
        if self.order == "together":
            return jax.vmap(
                function, tuple(in_axes), axis_size=self.count, spmd_axis_name=spmd_axis_name
            )

        def in_turn(*arguments: Any) -> Any:
            axes = [
                _axes_of_leaves(axis, argument)
                for axis, argument in zip(in_axes, arguments, strict=True)
            ]

            def of_member(member: Any, held: Any) -> Any:
                now = list(arguments)
                for place, number in enumerate(in_place):
                    now[number] = held[place]
                mine = [_member_of(a, b, member) for a, b in zip(now, axes, strict=True)]
                return function(*mine)

            def write(member: Any, held: Any) -> Any:
                return jax.tree.map(
                    lambda whole, part: jax.lax.dynamic_update_index_in_dim(whole, part, member, 0),
                    held,
                    of_member(member, held),
                )

            # Not `lax.map`: it makes new arrays for all members with every dispatch, and to get
            # that memory took as long as many steps.
            held = tuple(arguments[number] for number in in_place)
            shapes = jax.eval_shape(lambda: of_member(0, held))
            more = shapes[len(held) :] if held else shapes
            empty = jax.tree.map(lambda x: jnp.empty((self.count, *x.shape), x.dtype), more)
            return jax.lax.fori_loop(0, self.count, write, (*held, *empty) if held else empty)

        return in_turn

    def refuse_other(self, state: Any) -> None:
        """See that every leaf has the axis, but for what is in common.

        Raises:
            ValueError: one has not.
        """
        found = jax.tree_util.tree_leaves_with_path(state)
        for (path, leaf), axis in zip(found, axes_of_state(state), strict=True):
            shape = np.shape(leaf)
            if axis is not None and shape[:1] != (self.count,):
                raise ValueError(
                    f"members: state{jax.tree_util.keystr(path)} has the shape {list(shape)}; "
                    f"expected a first axis of {self.count}, one for each member, or a part in "
                    "InCommon"
                )


def axes_of_state(state: Any) -> list[int | None]:
    """For each leaf of a state of many members where their axis is: 0, or None in `InCommon`."""
    parts = jax.tree.leaves(state, is_leaf=_is_common)
    found: list[int | None] = []
    for part in parts:
        found += [None] * len(jax.tree.leaves(part)) if _is_common(part) else [0]
    return found


def mesh_axis_of(state: Any) -> str | None:
    """The axis of a mesh that members lie over; None where they lie on one device."""
    for leaf, axis in zip(jax.tree.leaves(state), axes_of_state(state), strict=True):
        place = getattr(leaf, "sharding", None)
        if axis == 0 and isinstance(place, NamedSharding) and place.spec:
            found = place.spec[0]
            return found if isinstance(found, str) else None
    return None


def map_own(function: Callable[[Any], Any], state: Any) -> Any:
    """`function` of each leaf that the members have of their own; the others as they are."""

    def of_part(part: Any) -> Any:
        return part if _is_common(part) else function(part)

    return jax.tree.map(of_part, state, is_leaf=_is_common)


def state_of_one(state: Any) -> Any:
    """Shapes of one member's state, which has what is in common as well."""
    return map_own(lambda leaf: jax.ShapeDtypeStruct(np.shape(leaf)[1:], leaf.dtype), state)


def one_of(tree: Any, axes: Any) -> Any:
    """Shapes of one member's part of what a dispatch is given.

    Args:
        tree: of arrays or shapes.
        axes: as an entry of `in_axes`.
    """

    def without(leaf: Any, axis: int | None) -> Any:
        if axis is None:
            return leaf
        shape = (*np.shape(leaf)[:axis], *np.shape(leaf)[axis + 1 :])
        return jax.ShapeDtypeStruct(shape, leaf.dtype)

    leaves, treedef = jax.tree.flatten(tree)
    found = _axes_of_leaves(axes, tree)
    return jax.tree.unflatten(treedef, list(map(without, leaves, found)))


def _member_of(tree: Any, axes: Sequence[int | None], member: Any) -> Any:
    """One member's part of an argument."""
    leaves, treedef = jax.tree.flatten(tree)
    found = [
        leaf if axis is None else jax.lax.dynamic_index_in_dim(leaf, member, axis, keepdims=False)
        for leaf, axis in zip(leaves, axes, strict=True)
    ]
    return jax.tree.unflatten(treedef, found)


def _axes_of_leaves(axes: Any, tree: Any) -> list[int | None]:
    """For each leaf of a tree the axis that a prefix of it names."""
    found: list[int | None] = []

    def spread(axis: int | None, part: Any) -> None:
        found.extend([axis] * len(jax.tree.leaves(part)))

    jax.tree.map(spread, axes, tree, is_leaf=lambda axis: axis is None)
    return found


def _is_common(part: Any) -> bool:
    return isinstance(part, InCommon)
