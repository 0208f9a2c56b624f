"""Sharpness-aware minimisation: the gradient where the loss is highest nearby.

    differentiate = sharpness_aware(gradient(minimised), 0.05)
    found = differentiate(state, batch, key)

After Foret et al. (2021), arXiv:2010.01412, and for the adaptive one Kwon et al. (2021),
arXiv:2102.11600. It takes two passes, each as long as a plain step's.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxtrain.batch import Batch
from jaxtrain.errors import ConfigError
from jaxtrain.step.gradient import Differentiate, Gradient
from jaxtrain.step.norm import global_norm
from jaxtrain.step.objective import positive
from jaxtrain.step.train_state import TrainState
from jaxtrain.step.wall import wall, walled


def sharpness_aware(
    differentiate: Differentiate, radius: float, *, adaptive: bool = False, walls: bool = False
) -> Differentiate:
    """The gradient at `params + radius * g / |g|`, `g` that at `params` (eq. 2 of the paper).

    Loss, outputs, sown values and batch statistics are those at `params`; both passes see the same
    batch with the same random keys.

    Args:
        differentiate: gives the gradient at the state's parameters.
        radius: how far away it looks, as a 2-norm over all parameters; 0.05 in the paper, 0.5 to 2
            where it is adaptive.
        adaptive: measure distances in units of each parameter's size: the offset is
            `radius * w² g / |w g|`.
        walls: compute the offset behind a wall (`jaxtrain.step.wall`), as virtual shards want it.

    Raises:
        ConfigError: the radius is not above 0.
    """
    if not radius > 0:
        raise ConfigError(f"sharpness_aware: expected a radius above 0, found {radius}")

    def twice(state: TrainState, batch: Batch, key: jax.Array) -> Gradient:
        here = differentiate(state, batch, key)

        # A factor on the gradient, such as a loss scale, has no part in its direction.
        def climbed(params: Any) -> Any:
            steepest = _times(here.grads, params) if adaptive else here.grads
            share = radius / positive(global_norm(steepest))
            if adaptive:
                steepest = _times(steepest, params)
            return jax.tree.map(lambda p, g: _moved(p, g, share), params, steepest)

        params = state.params
        higher = walled(wall(state.step), climbed, params) if walls else climbed(params)
        there = differentiate(state.replace(params=higher), batch, key)
        return here._replace(grads=there.grads, factor=there.factor)

    return twice


def _times(grads: Any, params: Any) -> Any:
    """`|w| g`, leaf by leaf, in float32 at least."""

    def times(grad: jax.Array, param: jax.Array) -> jax.Array:
        wide = jnp.promote_types(param.dtype, jnp.float32)
        return jnp.abs(param).astype(wide) * grad.astype(wide)

    return jax.tree.map(times, grads, params)


def _moved(param: jax.Array, grad: jax.Array, share: jax.Array) -> jax.Array:
    wide = jnp.promote_types(param.dtype, jnp.float32)
    offset = share.astype(wide) * grad.astype(wide)
    return (param.astype(wide) + offset).astype(param.dtype)
