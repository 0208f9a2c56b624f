"""The second moment of a matrix as a row and a column.

optimizer: {name: adafactor, learning_rate: 1e-2}
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import optax
import pydantic

from jaxtrain.optim.injection import injected
from jaxtrain.optim.optimizers.ranges import WeightDecay
from jaxtrain.optim.registry import OPTIMIZERS


@OPTIMIZERS.register("adafactor")
def adafactor(
    learning_rate: optax.ScalarOrSchedule,
    *,
    decay_rate: Annotated[float, pydantic.Field(gt=0, le=1)] = 0.8,
    clipping: Annotated[float, pydantic.Field(gt=0)] | None = 1.0,
    scale_by_parameters: bool = True,
    cap_rate: bool = True,
    smallest_factored: Annotated[int, pydantic.Field(ge=2)] = 128,
    weight_decay: WeightDecay = 0.0,
) -> optax.GradientTransformationExtraArgs:
    """Adafactor (Shazeer and Stern 2018, arXiv:1804.04235, algorithms 4 and 5), without momentum.

    torch.optim.Adafactor is this with `smallest_factored: 2`, but for the smallest second moment:
    1e-30 is added to squares here, as in the paper; PyTorch bounds the quotient below by its `eps`
    squared, and the mean of a row factor by `eps`. Of arrays of more than two axes the two longest
    are factored, in PyTorch the last two.

    Args:
        learning_rate: a number, or a function of the number of updates done.
        decay_rate: the second moment of update t keeps `1 - t**-decay_rate` of itself.
        clipping: the largest root mean square of a step's direction; null clips nothing.
        scale_by_parameters: multiply the step in an array by the root mean square of that, at least
            1e-3.
        cap_rate: take no more than `1 / sqrt(t)` for the learning rate, as the paper and PyTorch
            do; optax does not.
        smallest_factored: arrays with two axes at least so long are factored, others keep a second
            moment each.
        weight_decay: each update also takes `learning_rate * weight_decay` of every parameter off
            it, as in PyTorch, the rate uncapped; in optax the rate has no part in it.
    """

    def build(rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
        parts = [
            optax.scale_by_factored_rms(
                decay_rate=decay_rate, min_dim_size_to_factor=smallest_factored
            )
        ]
        if clipping is not None:
            parts.append(optax.clip_by_block_rms(clipping))
        if scale_by_parameters:
            parts.append(optax.scale_by_param_block_rms(1e-3))
        parts.append(scale_by_capped(rate) if cap_rate else optax.scale_by_learning_rate(rate))
        if weight_decay:
            parts.append(optax.add_decayed_weights(-rate * weight_decay))
        return optax.chain(*parts)

    return injected(build, learning_rate)


class CappedState(NamedTuple):
    """Updates done."""

    done: jax.Array


def scale_by_capped(rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
    """A step down by `min(rate, 1 / sqrt(t))`."""

    def init(params: optax.Params) -> CappedState:
        return CappedState(jnp.zeros((), jnp.int32))

    def update(
        updates: optax.Updates, state: CappedState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, CappedState]:
        count = optax.safe_increment(state.done)
        capped = jnp.minimum(rate, jax.lax.rsqrt(count.astype(jnp.float32)))
        return jax.tree.map(lambda u: -capped.astype(u.dtype) * u, updates), CappedState(count)

    return optax.GradientTransformation(init, update)
