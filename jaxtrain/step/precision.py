"""Precision: which dtype parameters are kept in and which the model computes in.

    policy("bfloat16").to_compute(params)     # float leaves as bfloat16, the others untouched

Parameters and optimizer state stay in the dtype that the model made them in; losses and metrics are
float32 under every policy. float16 has so narrow an exponent that small gradients vanish, so its
loss is scaled up before the backward pass and the gradient down after it (Micikevicius et al. 2018,
arXiv 1710.03740).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxtrain.errors import UnknownNameError, did_you_mean


@dataclass(frozen=True)
class Policy:
    """What the model computes in, and whether the loss must be scaled for it."""

    compute_dtype: str
    scales_loss: bool = False

    def to_compute(self, tree: Any) -> Any:
        """Floating-point leaves in the compute dtype; keys, integers and booleans as they are."""
        return _cast(tree, jnp.dtype(self.compute_dtype))

    def to_output(self, tree: Any) -> Any:
        """Floating-point leaves as float32."""
        return _cast(tree, jnp.dtype("float32"))


POLICIES = {
    "float32": Policy("float32"),
    "bfloat16": Policy("bfloat16"),
    "float16": Policy("float16", scales_loss=True),
}


def policy(name: str | Policy) -> Policy:
    """The policy called `name`; a Policy is handed back.

    Raises:
        UnknownNameError: for any other name.
    """
    if isinstance(name, Policy):
        return name
    if name not in POLICIES:
        raise UnknownNameError(
            f"unknown precision {name!r}{did_you_mean(name, POLICIES)} "
            f"(known: {', '.join(POLICIES)})"
        )
    return POLICIES[name]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LossScale:
    """A loss scale that halves when a gradient overflows and doubles after a quiet while.

    Attributes:
        scale: the factor on the loss, float32 scalar, a power of two of at least 1.
        quiet: finite steps since it last changed, int32 scalar.
    """

    scale: jax.Array
    quiet: jax.Array

    GROWTH_INTERVAL = 2000
    LARGEST = 2.0**24

    @staticmethod
    def create(scale: float = 2.0**15) -> LossScale:
        """The scale to begin with."""
        return LossScale(jnp.asarray(scale, jnp.float32), jnp.zeros((), jnp.int32))

    def adjust(self, finite: jax.Array) -> LossScale:
        """The scale for the next step, given whether this step's gradient was finite."""
        grows = self.quiet + 1 >= self.GROWTH_INTERVAL
        after_good = jnp.where(grows, jnp.minimum(self.scale * 2, self.LARGEST), self.scale)
        after_bad = jnp.maximum(self.scale / 2, 1.0)
        return LossScale(
            jnp.where(finite, after_good, after_bad),
            jnp.where(finite & ~grows, self.quiet + 1, 0),
        )


def _cast(tree: Any, dtype: Any) -> Any:
    def cast(leaf: Any) -> Any:
        leaf = leaf if hasattr(leaf, "dtype") else jnp.asarray(leaf)
        return leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    return jax.tree.map(cast, tree)
