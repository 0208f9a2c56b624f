"""The directions in which a kernel does most, and adapters that leave them alone.

    held = directions(params, config, 0.5)          # the first half of each kernel's
    adapter = projected(adapter, held)              # u^T (a b) = 0 and (a b) v^T = 0

As in orthogonal subspace fine-tuning (OSF, Nayak et al. 2025, arXiv:2504.07097): what was learnt
before lies mostly along a kernel's largest singular values, and an update that has no part along
their singular vectors, of inputs and of outputs, changes none of them.

Axes: N layers of a stack, I inputs, O outputs, R rank, H directions that are held.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.errors import ConfigError
from jaxtrain.lora.adapter import Adapter
from jaxtrain.lora.config import LoRAConfig
from jaxtrain.lora.initial import laid_out
from jaxtrain.lora.targets import Target, find_targets, leaves_by_path
from jaxtrain.models.quantized import plain


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Directions:
    """Orthonormal directions that updates of a kernel are to have no part along.

    Attributes:
        u: of the inputs, by the path of the kernel: `[..., I, H]`; 0 in a layer without an adapter.
        v: of the outputs: `[..., H, O]`.
    """

    u: dict[str, jax.Array]
    v: dict[str, jax.Array]


def directions(params: Any, config: LoRAConfig, share: float) -> Directions:
    """The singular directions of each kernel's largest singular values, a share of all that it has.

    By number and not by what they hold, so that their shapes follow from the kernel's. May be
    traced.

    Args:
        params: arrays.
        config: of the adapter; kernels, and layers, that it leaves alone are not looked at.
        share: above 0 and below 1.

    Raises:
        ConfigError: a share that is none, or that leaves an adapter nothing at some kernel; or a
            kernel that is not finite, where that can be seen.
    """
    if not 0 < share < 1:
        raise ConfigError(f"directions: expected a share above 0 and below 1, found {share}")
    leaves = leaves_by_path(params)
    u, v = {}, {}
    for target in find_targets(params, config):
        kernel = plain(leaves[target.path])
        of_inputs, of_outputs = _held(kernel, target, share)
        u[target.path] = laid_out(of_inputs, kernel, target, "a")
        v[target.path] = laid_out(of_outputs, kernel, target, "b")
    return Directions(u, v)


def projected(adapter: Adapter, held: Directions) -> Adapter:
    """The adapter without what it has along the directions: `a - u u^T a` and `b - b v^T v`.

    Products are float32; factors keep their dtype. May be traced and differentiated. To project
    twice is as to project once.

    Raises:
        ConfigError: the directions are not of the adapter's kernels.
    """
    if held.u.keys() != adapter.factors.keys():
        both = sorted(held.u.keys() ^ adapter.factors.keys())
        raise ConfigError(
            f"projected: the directions are of other kernels than the adapter; {', '.join(both)}: "
            "only on one side; make them with the adapter's own config"
        )

    def without(path: str) -> dict[str, jax.Array]:
        own, u, v = adapter.factors[path], held.u[path], held.v[path]
        a, b = (own[key].astype(jnp.float32) for key in "ab")
        u, v = u.astype(jnp.float32), v.astype(jnp.float32)
        a = a - _product(u, _product(u.mT, a))
        b = b - _product(_product(b, v.mT), v)
        return own | {"a": a.astype(own["a"].dtype), "b": b.astype(own["b"].dtype)}

    factors = {path: without(path) for path in adapter.factors}
    return dataclasses.replace(adapter, factors=factors)


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


@jax.jit
def _decomposed(kernel: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    u, values, v = jnp.linalg.svd(kernel.astype(jnp.float32), full_matrices=False)
    return u, values, v


def _held(kernel: jax.Array, target: Target, share: float) -> tuple[jax.Array, jax.Array]:
    """`[..., I, H]` and `[..., H, O]`, one layer after the other: a decomposition is large."""
    inputs, outputs = target.sizes(kernel.shape)
    stack = kernel.reshape(len(target.names), inputs, outputs)
    count = _count(min(inputs, outputs), share, target.names[0])
    us, vs = [], []
    for layer, (name, rank) in enumerate(zip(target.names, target.ranks, strict=True)):
        if not rank:
            us.append(jnp.zeros((inputs, count)))
            vs.append(jnp.zeros((count, outputs)))
            continue
        u, values, v = _decomposed(stack[layer])
        if not isinstance(values, jax.core.Tracer) and not np.isfinite(np.asarray(values)).all():
            raise ConfigError(f"directions: the kernel of {name} is not finite")
        # A direction along which the kernel does nothing is not one to be held.
        used = values[:count] > 0
        us.append(jnp.where(used, u[:, :count], 0))
        vs.append(jnp.where(used[:, None], v[:count], 0))
    u, v = jnp.stack(us), jnp.stack(vs)
    return (u, v) if target.stacked else (u[0], v[0])


def _count(directions: int, share: float, name: str) -> int:
    """How many are held of all that a kernel has.

    >>> _count(8, 0.5, "q"), _count(3, 0.1, "q")
    (4, 1)
    """
    count = max(1, int(share * directions))
    if count >= directions:
        raise ConfigError(
            f"directions: a share of {share} of the {directions} of {name} leaves its adapter "
            "nothing; take a smaller one, or exclude the module"
        )
    return count
