"""Parameters put together for their use, and taken apart again behind it.

    with using(layout):                              # while a step is traced
        ...
            params = gathered(params)                # in a model: whole over `fsdp` from here on

What lies in pieces over `fsdp` is put together where it is used, once in a pass forward and once
in a pass back, and its gradient is added up into pieces again. Left to itself, XLA may take the
rows of a batch apart along the features instead, and move activations in the place of parameters.

A model that goes through a stack of layers calls `gathered` on each layer's slice, so that no more
than a layer is whole at a time; for any other one, whoever makes the step calls it on all.
Where no layout is in use, or it has one part of `fsdp`, `gathered` gives back what it is given.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import partial
from typing import Any

import jax
from jax.ad_checkpoint import checkpoint_name
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxtrain.parallel.layout import Layout, named
from jaxtrain.parallel.mesh import FSDP

_NAME = "gathered"
_in_use: ContextVar[Layout | None] = ContextVar("layout in use", default=None)


@contextlib.contextmanager
def using(layout: Layout | None) -> Iterator[None]:
    """Let the models that are traced within know how their parameters lie."""
    token = _in_use.set(layout)
    try:
        yield
    finally:
        _in_use.reset(token)


def gathered(params: Any, *, path: str = "", stacked: int = 0) -> Any:
    """The parameters, whole over `fsdp`.

    Args:
        params: a tree.
        path: where it stands in the parameters that the layout's rules are about.
        stacked: how many first axes its leaves have lost: 1 for a layer out of a stack.
    """
    layout = _in_use.get()
    if layout is None or layout.mesh.shape[FSDP] == 1:
        return params

    def gather(place: Any, leaf: Any) -> Any:
        # In a kernel with an adapter beside it, the kernel lies as it does alone.
        place = place[:-1] if place[-1:] == (jax.tree_util.GetAttrKey("kernel"),) else place
        name = "/".join(filter(None, (path, named(place))))
        # Whether an axis of the stack divides decides nothing about the others.
        spec = layout.spec(name, (*(1,) * stacked, *leaf.shape))[stacked:]
        if FSDP not in spec:
            return leaf
        use = PartitionSpec(*(None if axis == FSDP else axis for axis in spec))
        own = NamedSharding(layout.mesh, PartitionSpec(*spec))
        return checkpoint_name(_gather(NamedSharding(layout.mesh, use), own, leaf), _NAME)

    return jax.tree_util.tree_map_with_path(gather, params)


def parts_in_use(axis: str) -> int:
    """How many parts an axis of the mesh has; 1 where no layout is in use."""
    layout = _in_use.get()
    return 1 if layout is None else int(layout.mesh.shape[axis])


def mesh_in_use() -> Mesh | None:
    """The mesh of the layout in use.

    Whoever needs it in a backward pass of its own asks in the forward pass: the former is traced
    when the layout may be in use no more.
    """
    layout = _in_use.get()
    return None if layout is None else layout.mesh


def again(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, whose gathered parameters are not kept for the backward pass, but gathered again.

    Kept, those of all layers would be whole at once.
    """
    if parts_in_use(FSDP) == 1:
        return function
    return jax.checkpoint(function, policy=_all_but_gathered)


def _all_but_gathered(primitive: Any, *values: Any, **options: Any) -> Any:
    # What the name is given to must not be kept either: that is `_gather`, which only moves.
    inside = options.get("call_jaxpr")
    if inside is not None:
        moves = {equation.primitive.name for equation in inside.eqns}
        return moves != {"sharding_constraint"}
    return not (primitive.name == "name" and options.get("name") == _NAME)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _gather(use: NamedSharding, own: NamedSharding, leaf: jax.Array) -> jax.Array:
    # Said of both ends: else what was cast to fewer bits is gathered first, and cast behind it.
    pieces = jax.lax.with_sharding_constraint(leaf, own)
    found: jax.Array = jax.lax.with_sharding_constraint(pieces, use)
    return found


def _forward(use: NamedSharding, own: NamedSharding, leaf: jax.Array) -> tuple[jax.Array, None]:
    return _gather(use, own, leaf), None


def _back(
    use: NamedSharding, own: NamedSharding, _: None, cotangent: jax.Array
) -> tuple[jax.Array]:
    return (jax.lax.with_sharding_constraint(cotangent, own),)


_gather.defvjp(_forward, _back)
