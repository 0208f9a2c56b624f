"""TrainState: everything that a step changes, as one immutable pytree."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxtrain.models import Model
from jaxtrain.step.precision import LossScale, Policy, policy


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainState:
    """What a step takes and gives. A pytree; `replace` makes a changed copy.

    Attributes:
        step: steps taken, int32 scalar. It counts steps whose update was not applied, too, so
            that it says which batch comes next.
        params: what is trained, the only part that the optimizer sees.
        frozen: what the model needs but is not trained (the base under an adapter).
        model_state: the model's other collections, such as `batch_stats`.
        opt_state: the optimizer's state.
        rng: a key that never changes; step i uses `fold_in(rng, i)`.
        loss_scale: a `LossScale` under float16, else None.
        ema: a moving average of `params`, or None.
    """

    step: jax.Array
    params: Any
    frozen: Any
    model_state: dict[str, Any]
    opt_state: Any
    rng: jax.Array
    loss_scale: LossScale | None = None
    ema: Any = None

    def replace(self, **changes: Any) -> TrainState:
        """A copy with other values in the named fields."""
        return dataclasses.replace(self, **changes)

    def variables(self, params: Any = None) -> dict[str, Any]:
        """What `model.apply` takes: params and frozen under those names, and the collections.

        Args:
            params: in the place of the state's own, as where a gradient is taken.
        """
        variables = {"params": self.params if params is None else params, **self.model_state}
        return variables | {"frozen": self.frozen} if self.frozen else variables


def create_train_state(
    model: Model,
    tx: optax.GradientTransformation,
    batch: Mapping[str, Any],
    *,
    rng: jax.Array,
    precision: str | Policy = "float32",
) -> TrainState:
    """Initialise model and optimizer in one compiled call.

    Args:
        model: its `init` gives `params`, may give `frozen`, and any further collections.
        tx: the optimizer.
        batch: a batch, for its shapes and dtypes alone.
        rng: a key made by `jax.random.key`; half of it initialises, half goes into the state.
        precision: a policy or its name; float16 adds a loss scale.
    """
    chosen = policy(precision)

    def create(rng: jax.Array, batch: Any) -> TrainState:
        init_rng, step_rng = jax.random.split(rng)
        variables = dict(model.init(init_rng, batch))
        params = variables.pop("params")
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=params,
            frozen=variables.pop("frozen", {}),
            model_state=variables,
            opt_state=tx.init(params),
            rng=step_rng,
            loss_scale=LossScale.create() if chosen.scales_loss else None,
        )

    return jax.jit(create)(rng, dict(batch))
