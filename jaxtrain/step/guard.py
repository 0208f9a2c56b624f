"""The guard: an update that would carry NaN or Inf into the state is left out.

sound = jnp.isfinite(loss) & jnp.isfinite(norm) & all_finite(changes)
params, opt_state = guarded(sound, updated, (params, opt_state))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxtrain.errors import ConfigError


def guarded(sound: jax.Array, updated: Callable[[], Any], kept: Any) -> Any:
    """What `updated()` gives where `sound` (bool scalar), else `kept`, a tree of the same form.

    A branch costs a CPU nothing, while a select reads and writes every parameter and moment once
    more: a tenth of the step of an MLP. A GPU would have to ask the host which branch to take.
    """
    return jax.lax.platform_dependent(
        cpu=lambda: by_branch(sound, updated, kept), default=lambda: by_select(sound, updated, kept)
    )


def by_branch(sound: jax.Array, updated: Callable[[], Any], kept: Any) -> Any:
    """`guarded` as a branch."""
    return jax.lax.cond(sound, updated, lambda: kept)


def by_select(sound: jax.Array, updated: Callable[[], Any], kept: Any) -> Any:
    """`guarded` as a select."""
    return jax.tree.map(lambda new, old: jnp.where(sound, new, old), updated(), kept)


def all_finite(tree: Any) -> jax.Array:
    """Whether no leaf of floats has NaN or Inf; for batch statistics, which are small."""
    floats = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.inexact)]
    return jnp.stack([jnp.isfinite(x).all() for x in floats]).all() if floats else jnp.bool_(True)


def as_before(old: Any, new: Any) -> Any:
    """`new` in the dtypes of `old`: a state has one form, from its first step to its last.

    A module may write statistics in the dtype that it computes in, and an optimizer may promote.

    Raises:
        ConfigError: where a leaf has another shape than before, with its path.
    """

    def keep(path: Any, old: Any, new: Any) -> Any:
        if jnp.shape(old) != jnp.shape(new):
            raise ConfigError(
                f"a step can't change the shape of its state: {jax.tree_util.keystr(path)} was "
                f"{jnp.shape(old)} and became {jnp.shape(new)}"
            )
        if not hasattr(old, "dtype") or new.dtype == old.dtype:
            return new
        both = jnp.issubdtype(old.dtype, jnp.floating), jnp.issubdtype(new.dtype, jnp.floating)
        return new.astype(old.dtype) if all(both) else new

    return jax.tree_util.tree_map_with_path(keep, old, new)
