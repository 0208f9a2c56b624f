"""Several adapters as one: sums of factors, or of what they add to a kernel.

    both = combine([one, other], [0.7, 0.3], by="ties", density=0.5)

Formulas, and what each is applied to, are those of PEFT's `add_weighted_adapter`, module by module:

    linear           weighted sum of the a's, and of the b's, each by the root of its weight
    cat              side by side: exact, and of the sum of the ranks
    svd              the nearest of a given rank to the exact sum
    ties             the largest entries; of each the sign of the most, and the mean of those that
                     have it (Yadav et al. 2023, arXiv:2306.01708)
    dare_linear      a random share of the entries, as much larger (Yu et al. 2023,
                     arXiv:2311.03099), summed
    dare_ties        the same, put together as ties does
    magnitude_prune  the largest entries, summed

All but cat and svd work on the factors, and are also there on the sum: "ties_svd", ...

Axes: I inputs, O outputs, R rank, K adapters.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp

from jaxtrain.errors import ConfigError
from jaxtrain.lora.adapter import Adapter, Module, assemble
from jaxtrain.lora.config import LoRAConfig
from jaxtrain.lora.targets import Target

By = Literal[
    "linear",
    "cat",
    "svd",
    "ties",
    "dare_linear",
    "dare_ties",
    "magnitude_prune",
    "ties_svd",
    "dare_linear_svd",
    "dare_ties_svd",
    "magnitude_prune_svd",
]
MajoritySign = Literal["total", "frequency"]

_Reduce = Callable[[list[jax.Array], list[float], jax.Array], jax.Array]
"""`reduce(arrays, weights, key)`: K arrays of one shape to one."""


def combine(
    adapters: Sequence[Adapter],
    weights: Sequence[float],
    *,
    by: By = "linear",
    rank: int | None = None,
    density: float | None = None,
    majority_sign: MajoritySign = "total",
    rng: jax.Array | None = None,
) -> Adapter:
    """One adapter of several on the same base.

    A module that only some of them have is made of those. The result has a scale of 1, and says of
    each module which rank it has.

    Args:
        adapters: K of them; without DoRA, whose magnitudes don't add up.
        weights: of each; below 0 takes away.
        by: see above. One adapter alone is scaled, whatever is said here, as in PEFT.
        rank: of the result of "svd" and "..._svd"; by default the largest of a module's.
        density: the share of the entries that ties, dare and magnitude_prune keep, above 0; 1 is
            all of them.
        majority_sign: whose sign wins with ties: that of the "total", or the more frequent one.
        rng: a key, for dare.

    Raises:
        ConfigError: options that are missing, or adapters that don't go together.
    """
    _refuse_misfits(adapters, weights, by, rank, density, majority_sign, rng)
    by = "linear" if len(adapters) == 1 else by
    parts = _Parts.of(by, density, majority_sign)
    found: dict[str, list[tuple[Module, float]]] = {}
    for adapter, weight in zip(adapters, weights, strict=True):
        for module in adapter.modules():
            found.setdefault(module.name, []).append((module, float(weight)))
    key = jax.random.key(0) if rng is None else rng
    made: dict[str, dict[str, jax.Array]] = {}
    for name, having in found.items():
        own = jax.random.fold_in(key, zlib.crc32(name.encode()))
        if by == "cat":
            made[name] = _side_by_side(having)
        elif parts.of_sum:
            made[name] = _nearest(parts.reduce, having, rank, own)
        else:
            made[name] = _by_factor(name, parts.reduce, having, own)
    ranks = {name: factors["a"].shape[1] for name, factors in made.items()}
    targets = _targets(adapters, ranks)
    return assemble(_config(adapters, targets), targets, made)


class _Parts(NamedTuple):
    """How arrays become one, and whether they are sums or factors."""

    reduce: _Reduce
    of_sum: bool

    @classmethod
    def of(cls, by: By, density: float | None, majority_sign: MajoritySign) -> _Parts:
        share = 1.0 if density is None else density

        def reduce(arrays: list[jax.Array], weights: list[float], key: jax.Array) -> jax.Array:
            if by.startswith("dare"):
                keys = jax.random.split(key, len(arrays))
                arrays = [_random(x, share, k) for x, k in zip(arrays, keys, strict=True)]
            elif by.startswith(("ties", "magnitude")):
                arrays = [_largest(x, share) for x in arrays]
            stack = jnp.stack(arrays)
            weighted = stack * jnp.asarray(weights, stack.dtype)[:, None, None]
            if "ties" not in by:
                return weighted.sum(0)
            agreeing = _majority(stack, majority_sign)
            count = jnp.maximum(agreeing.sum(0), 1).astype(stack.dtype)
            return (weighted * agreeing).sum(0) / count

        return cls(reduce, by.endswith("svd"))


def _largest(x: jax.Array, share: float) -> jax.Array:
    """The largest share of the entries, by magnitude; the others 0."""
    count = int(share * x.size)
    _, at = jax.lax.top_k(jnp.abs(x).reshape(-1), count)
    return x * jnp.zeros(x.size, x.dtype).at[at].set(1).reshape(x.shape)


def _random(x: jax.Array, share: float, key: jax.Array) -> jax.Array:
    """A random share of the entries, over that share; the others 0."""
    if share >= 1:
        return x
    return x * jax.random.bernoulli(key, share, x.shape).astype(x.dtype) / share


def _majority(stack: jax.Array, by: MajoritySign) -> jax.Array:
    """Where an entry has the sign that wins; of a sum of 0 that is plus, and a 0 has none."""
    signs = jnp.sign(stack)
    total = (stack if by == "total" else signs).sum(0)
    return signs == jnp.where(total >= 0, 1, -1).astype(stack.dtype)


def _side_by_side(having: list[tuple[Module, float]]) -> dict[str, jax.Array]:
    a = [module.a * (weight * module.scale) for module, weight in having]
    return {
        "a": jnp.concatenate(a, axis=1),
        "b": jnp.concatenate([module.b for module, _ in having], axis=0),
    }


def _by_factor(
    name: str, reduce: _Reduce, having: list[tuple[Module, float]], key: jax.Array
) -> dict[str, jax.Array]:
    """Each factor by itself; what is put before a sum goes half to either, its sign to a."""
    if len({module.rank for module, _ in having}) > 1:
        ranks = ", ".join(str(module.rank) for module, _ in having)
        raise ConfigError(
            f'{name}: factors of ranks {ranks} can\'t be added; take by="cat", or one of those '
            'that end in "svd"'
        )
    scales = [weight * module.scale for module, weight in having]
    roots = [math.sqrt(abs(scale)) for scale in scales]
    signed = [math.copysign(root, scale) for root, scale in zip(roots, scales, strict=True)]
    for_a, for_b = jax.random.split(key)
    return {
        "a": reduce([module.a for module, _ in having], signed, for_a),
        "b": reduce([module.b for module, _ in having], roots, for_b),
    }


def _nearest(
    reduce: _Reduce, having: list[tuple[Module, float]], rank: int | None, key: jax.Array
) -> dict[str, jax.Array]:
    """The factors of the nearest matrix of a rank; singular values go to b."""
    with jax.default_matmul_precision("highest"):
        updates = [module.scale * (module.a @ module.b) for module, _ in having]
    total = reduce(updates, [weight for _, weight in having], key)
    u, values, v = jnp.linalg.svd(total, full_matrices=False)
    wanted = rank or max(module.rank for module, _ in having)
    if wanted > len(values):
        raise ConfigError(
            f"rank: {having[0][0].name} has {len(values)} singular values, found rank {wanted}"
        )
    return {"a": u[:, :wanted], "b": values[:wanted, None] * v[:wanted]}


def _targets(adapters: Sequence[Adapter], ranks: dict[str, int]) -> tuple[Target, ...]:
    """The kernels of all of them, with the ranks of the result."""
    first: dict[str, Target] = {}
    for number, adapter in enumerate(adapters):
        for target in adapter.targets:
            known = first.setdefault(target.path, target)
            if (known.names, known.in_axes) != (target.names, target.in_axes):
                raise ConfigError(
                    f"{target.path}: adapter {number} takes it for other layers, or other inputs, "
                    "than one before it"
                )
    made = []
    for target in first.values():
        own = tuple(ranks.get(name, 0) for name in target.names)
        made.append(
            Target(
                path=target.path,
                names=target.names,
                ranks=own,
                alphas=tuple(float(rank) for rank in own),
                stacked=target.stacked,
                in_axes=target.in_axes,
                embedding=target.embedding,
            )
        )
    return tuple(made)


def _config(adapters: Sequence[Adapter], targets: tuple[Target, ...]) -> LoRAConfig:
    """A config from which just these targets follow."""
    first = adapters[0].config
    ranks = {
        name: rank
        for target in targets
        for name, rank in zip(target.names, target.ranks, strict=True)
        if rank
    }
    rank = max(ranks.values())
    others = {re.escape(name): own for name, own in ranks.items() if own != rank}
    return LoRAConfig(
        rank=rank,
        alpha=rank,
        targets="|".join(map(re.escape, ranks)),
        rank_pattern=others,
        alpha_pattern=others,
        in_axes=tuple(dict(pair for a in adapters for pair in a.config.pairs("in_axes")).items()),
        stacks=first.stacks,
    )


def _refuse_misfits(
    adapters: Sequence[Adapter],
    weights: Sequence[float],
    by: str,
    rank: int | None,
    density: float | None,
    majority_sign: str,
    rng: jax.Array | None,
) -> None:
    if not adapters or len(adapters) != len(weights):
        raise ConfigError(
            f"combine: expected a weight for each adapter, found {len(adapters)} adapters and "
            f"{len(weights)} weights"
        )
    if by not in get_args(By):
        raise ConfigError(f"by: expected one of {', '.join(get_args(By))}, found {by!r}")
    if majority_sign not in get_args(MajoritySign):
        raise ConfigError(
            f"majority_sign: expected one of {', '.join(get_args(MajoritySign))}, found "
            f"{majority_sign!r}"
        )
    prunes = by.startswith(("ties", "dare", "magnitude"))
    if prunes and (density is None or not 0 < density <= 1):
        raise ConfigError(
            f"density: {by} keeps a share of the entries, above 0 and up to 1, found {density}"
        )
    if not prunes and density is not None:
        raise ConfigError(f"density: {by} keeps all entries; found {density}")
    if rank is not None and not by.endswith("svd"):
        raise ConfigError(f"rank: {by} has the rank that it comes to; found {rank}")
    if rank is not None and rank < 1:
        raise ConfigError(f"rank: expected at least 1, found {rank}")
    if by.startswith("dare") and density is not None and density < 1 and rng is None:
        raise ConfigError(f"rng: {by} draws what it keeps; give a key")
    for number, adapter in enumerate(adapters):
        if adapter.config.dora:
            raise ConfigError(
                f"combine: adapter {number} is a DoRA, whose magnitudes don't add up; merge it"
            )
    if len({adapter.config.stacks for adapter in adapters}) > 1:
        raise ConfigError("combine: the adapters take other subtrees for stacks than each other")
