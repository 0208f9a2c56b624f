"""How far predictions have gone from those of the phase before.

    outputs, updated, kl = apply_with_kl(model, variables, reference, batch, rngs=rngs)

Axes: B batch, L length, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxtrain.batch import Batch
from jaxtrain.errors import ConfigError
from jaxtrain.models import Model
from jaxtrain.models.model import Rngs, Variables
from jaxtrain.step.reading import summed, weights_of, zeroed


def apply_with_kl(
    model: Model, variables: Variables, reference: Variables, batch: Batch, *, rngs: Rngs | None
) -> tuple[Any, dict[str, Any], jax.Array]:
    """A pass in training, and the mean Kullback-Leibler divergence of what is predicted from what
    `reference` predicts, `sum(p * (log p - log q))` with p the reference's, held fixed.

    The reference is evaluated: it drops nothing, and has the statistics that it has. The mean is
    over what counts by the masks of the batch.

    Args:
        model: with `apply_with_kl`, or with logits `[B, ..., K]` for outputs, alone or as "logits"
            of a dict.
        variables: what is trained.
        reference: what it is not to leave.
        batch: the batch.
        rngs: keys of the pass.

    Returns:
        outputs and changed collections as `model.apply` gives them, and a float32 scalar.

    Raises:
        ConfigError: outputs that are no logits.
    """
    if model.apply_with_kl is not None:
        outputs, updated, each = model.apply_with_kl(
            variables, reference, batch, train=True, rngs=rngs
        )
    else:
        outputs, updated = model.apply(variables, batch, train=True, rngs=rngs)
        before, _ = model.apply(reference, batch, train=False)
        each = _divergence(_logits(outputs), jax.lax.stop_gradient(_logits(before)), batch)
    total, weight = summed(each, weights_of(batch, each))
    return outputs, updated, total / jnp.maximum(weight, 1e-30)


def _divergence(now: jax.Array, before: jax.Array, batch: Batch) -> jax.Array:
    """`[B, ...]` of logits `[B, ..., K]`."""
    weights = weights_of(batch, now[..., 0])
    now, before = (zeroed(x, weights) for x in (now, before))
    log_q, log_p = jax.nn.log_softmax(now, axis=-1), jax.nn.log_softmax(before, axis=-1)
    return jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis=-1)


def _logits(outputs: Any) -> jax.Array:
    if isinstance(outputs, Mapping) and "logits" in outputs:
        outputs = outputs["logits"]
    if isinstance(outputs, (Mapping, tuple, list)):
        kind = ", ".join(map(repr, outputs)) if isinstance(outputs, Mapping) else "several arrays"
        raise ConfigError(
            f"previous_kl: the model puts out {kind}; expected logits [B, ..., K], alone or as "
            "'logits', or a Model with apply_with_kl"
        )
    logits = jnp.asarray(outputs)
    if logits.ndim < 2 or logits.shape[-1] < 2:
        raise ConfigError(
            f"previous_kl: expected logits [B, ..., K] of two classes at least, found outputs "
            f"{logits.shape}: what predicts a number has no distribution to stay near to"
        )
    return logits.astype(jnp.float32)
