"""The loss of a language model: the mean negative log-likelihood of the tokens that count.

    loss = next_token(z_loss=1e-4)
    total, weight = loss({"nll": nll, "log_z": log_z}, batch)      # of a decoder: never [B, L, V]
    total, weight = loss(logits, batch)                            # of anybody's model

Axes: B rows, L tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import pydantic

from jaxtrain.batch import Batch, entry
from jaxtrain.errors import ConfigError, DataError
from jaxtrain.step.losses import LOSSES, LossFn, negative_log_likelihood
from jaxtrain.step.reading import array, integers, summed, weights_of, zeroed

NAME = "next_token"


@LOSSES.register(NAME)
def next_token(
    *, z_loss: Annotated[float, pydantic.Field(ge=0)] = 0.0, labels: str = "labels"
) -> LossFn:
    """The negative log-likelihood of the next token, in nats, over the tokens that count.

    Of the mask, which may be any number from 0, the total adds up `mask * (nll + z_loss *
    log_z**2)`, the weight `mask`: so accumulating over micro-batches with other numbers of tokens
    is exact. A label that is no token makes the loss NaN, so that a step says `finite: False`;
    where the mask is 0 nothing is looked at.

    The model puts out logits [B, L, V], alone or as "logits" of a dict; or it has seen the labels
    itself and puts out a dict of "nll" and "log_z" [B, L], as the decoder here does.

    Args:
        z_loss: a weight on the square of the logarithm of the softmax's sum, which keeps logits
            from drifting (PaLM, Chowdhery et al. 2022, arXiv 2204.02311: 1e-4).
        labels: the key of the labels [B, L] in the batch: at each place the token that comes next.

    Raises:
        ConfigError: (from the loss) other labels than those that the model has read itself.
        DataError: (from the loss) where outputs and labels do not fit, or are not there.
    """

    def loss(found: Any, batch: Batch) -> tuple[jax.Array, jax.Array]:
        if not isinstance(found, Mapping) or "nll" not in found:
            return of_logits(found, batch)
        if labels != "labels":
            raise ConfigError(
                f"loss.labels: {labels!r}, but the model puts out the 'nll' of batch['labels']; "
                "leave it out"
            )
        nll = jnp.asarray(found["nll"])
        if "labels" in batch and nll.shape != jnp.shape(batch["labels"]):
            raise DataError(
                f"{NAME}: the outputs' 'nll' {nll.shape} needs labels of that shape, found "
                f"{jnp.shape(batch['labels'])}"
            )
        weights = weights_of(batch, nll)
        each = nll
        if z_loss:
            log_z = entry(found, "log_z", reader=NAME, of="the model's outputs")
            each = each + z_loss * jnp.square(zeroed(jnp.asarray(log_z), weights))
        return summed(each, weights)

    def of_logits(found: Any, batch: Batch) -> tuple[jax.Array, jax.Array]:
        if isinstance(found, Mapping) and "logits" not in found:
            names = ", ".join(map(repr, found)) or "nothing"
            raise DataError(
                f"{NAME} reads logits [B, L, V], or 'nll' and 'log_z' [B, L] of a dict; the "
                f"model's outputs are a dict of {names}"
            )
        key = "logits" if isinstance(found, Mapping) else None
        logits = array(found, key, NAME).astype(jnp.float32)
        targets = integers(entry(batch, labels, reader=NAME), reader=NAME)
        if logits.shape[:-1] != targets.shape:
            raise DataError(
                f"{NAME}: logits {logits.shape} need labels {logits.shape[:-1]}, found labels "
                f"{targets.shape}"
            )
        weights = weights_of(batch, targets)
        logits = zeroed(logits, weights)
        each = negative_log_likelihood(logits, targets)
        if z_loss:
            each = each + z_loss * jnp.square(jax.nn.logsumexp(logits, axis=-1))
        return summed(each, weights)

    return loss
