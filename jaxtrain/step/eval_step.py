"""make_eval_step: a pure function from a TrainState and a batch to an output.

evaluate = make_eval_step(model, cross_entropy())
_, output = jt.jit(evaluate)(state, batch)
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxtrain.batch import Batch
from jaxtrain.errors import ConfigError
from jaxtrain.models import Model
from jaxtrain.step.forward import forward, streams
from jaxtrain.step.losses import LossFn
from jaxtrain.step.objective import total_and_weight
from jaxtrain.step.output import output
from jaxtrain.step.precision import Policy
from jaxtrain.step.train_state import TrainState, TrainStep
from jaxtrain.step.virtual_shards import VirtualShards
from jaxtrain.step.wall import apart

_EVALUATION = 0x7E57
"""What sets the keys of evaluation apart from those of the training step of the same number."""


def make_eval_step(
    model: Model,
    loss: LossFn,
    *,
    precision: str | Policy = "float32",
    rngs: bool = False,
    ema: bool = False,
    virtual_shards: int | None = None,
    mesh: Mesh | None = None,
) -> TrainStep:
    """Build the step of an evaluating engine: the state passes through untouched.

    Args:
        model: the model; it reads a batch as in training.
        loss: its total over the batch's weight is the loss. What it does not read need not be in
            the batch.
        precision: a policy or its name.
        rngs: give the model random keys, for sampling or dropout that stays on. They depend on
            `state.rng` and `state.step` alone: every batch of an evaluation gets the same ones,
            and so does the same evaluation done again.
        ema: evaluate the moving average in the place of the parameters. Without, these are those
            that the optimizer wants evaluated: of a schedule-free one its average.
        virtual_shards: go through each batch in so many parts, as `make_train_step` does: the
            figures have the same bits then, whatever the number of devices.
        mesh: for that; None for one device.

    Returns:
        `step(state, batch) -> (state, output)`, with the output of `jaxtrain.step.output`.
    """
    run = forward(model, precision)

    def judge(params: Any, state: TrainState, batch: Batch, key: jax.Array) -> Any:
        keys = streams(key) if rngs else {}
        seen = run(state.variables(params), batch, train=False, rngs=keys)
        return *total_and_weight(loss, seen, batch), seen

    shards = None if virtual_shards is None else VirtualShards(virtual_shards, mesh)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, Any]]:
        if ema and state.ema is None:
            raise ConfigError(
                "make_eval_step(ema=True): the state has no average; make it with "
                "create_train_state(..., ema=True) and train it with ema_decay"
            )
        params = (state if ema else state.replace(ema=None)).evaluated()
        key = jax.random.fold_in(jax.random.fold_in(state.rng, state.step), _EVALUATION)
        if shards is None:
            total, weight, seen = judge(params, state, batch, key)
            return state, output(total, weight, seen, batch)
        total, weight, seen = shards.judged(judge)(params, state, batch, key)
        given = shards.whole(batch)
        _, said = apart(
            state.step, lambda kept: (kept, output(total, weight, seen, given)), jnp.zeros(())
        )
        return state, said

    return step
