"""What models of sequences read: which steps are real, and tokens as vectors.

    real = real_steps(inputs, mask=mask, lengths=lengths, padding_token=0)     # [B, L], or None
    vectors = Embedding(vocabulary=30_000, width=128)(inputs, real)            # [B, L, D]

Axes: B batch, L steps of a sequence, D features.
"""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxtrain.errors import ConfigError, DataError


def real_steps(
    inputs: jax.Array,
    *,
    mask: jax.Array | None = None,
    lengths: jax.Array | None = None,
    padding_token: int | None = None,
) -> jax.Array | None:
    """Which steps count: those that nothing given here says are padding.

    Args:
        inputs: `[B, L]` whole numbers or `[B, L, D]` floats.
        mask: `[B, L]`, 0 on padding; one of rows alone, `[B]`, says nothing of steps.
        lengths: `[B]` whole numbers, how many steps of each row are real, from the first one on.
        padding_token: stands in the inputs where nothing is.

    Returns:
        `[B, L]` bools; None where all steps count.

    Raises:
        ConfigError: inputs of another form, or a padding token of floats.
        DataError: a mask or lengths that don't fit the inputs.
    """
    whole = jnp.issubdtype(inputs.dtype, jnp.integer)
    if inputs.ndim != (2 if whole else 3):
        raise ConfigError(
            "a model of sequences wants tokens [B, L], whole numbers, or features [B, L, D], "
            f"floats, but its inputs are {inputs.dtype} of shape {inputs.shape}"
        )
    said = []
    if mask is not None and mask.ndim > 1:
        if mask.shape != inputs.shape[:2]:
            raise DataError(
                f"the batch's 'mask' has shape {mask.shape}, but the inputs have "
                f"{inputs.shape[1]} steps in each of {inputs.shape[0]} rows"
            )
        said.append(mask > 0)
    if lengths is not None:
        if lengths.shape != inputs.shape[:1] or not jnp.issubdtype(lengths.dtype, jnp.integer):
            raise DataError(
                f"lengths: expected whole numbers of shape {inputs.shape[:1]}, found "
                f"{lengths.dtype} of shape {lengths.shape}"
            )
        # Not in their own dtype: a narrow one can't count to all steps.
        steps = jnp.arange(inputs.shape[1], dtype=jnp.int32)
        said.append(steps[None] < lengths.astype(jnp.int32)[:, None])
    if padding_token is not None:
        if not whole:
            raise ConfigError(
                "model.padding_token: is for tokens [B, L], but the inputs are features "
                f"{inputs.shape}; a batch's 'mask' [B, L] or lengths say which of them are padding"
            )
        said.append(inputs != padding_token)
    if not said:
        return None
    real = said[0]
    for other in said[1:]:
        real = real & other
    return real


class Embedding(nn.Module):
    """A vector for each token, normal of deviation 1 at the start; features stay what they are.

    A token that is none of the vocabulary is NaN, so that a step says `finite: False`. What stands
    on padding is of no account: tokens there become 0, features 0.

    Attributes:
        vocabulary: how many tokens there are; None for features.
        width: D, of tokens.
    """

    vocabulary: int | None
    width: int

    @nn.compact
    def __call__(self, inputs: jax.Array, real: jax.Array | None) -> jax.Array:
        """`[B, L]` or `[B, L, D]`, with `real` `[B, L]` or None, to `[B, L, D]`.

        Raises:
            ConfigError: tokens and no vocabulary, or the other way round.
        """
        if not jnp.issubdtype(inputs.dtype, jnp.integer):
            if self.vocabulary is not None:
                raise ConfigError(
                    "model.vocabulary: is for tokens [B, L] of whole numbers, but the inputs are "
                    f"{inputs.dtype} of shape {inputs.shape}; leave it out, or have the data stay "
                    "whole numbers (data.tokens)"
                )
            # Even where it is multiplied by 0, NaN on padding would reach the gradient.
            return inputs if real is None else jnp.where(real[..., None], inputs, 0)
        if self.vocabulary is None:
            raise ConfigError(
                f"model.vocabulary: the inputs are tokens, {inputs.dtype} of shape "
                f"{inputs.shape}; say how many different ones there are"
            )
        tokens = inputs if real is None else jnp.where(real, inputs, 0)
        # An index below 0 would count from the end.
        tokens = jnp.where(tokens < 0, self.vocabulary, tokens.astype(jnp.int32))
        embed = nn.Embed(
            self.vocabulary, self.width, embedding_init=nn.initializers.normal(1.0), name="tokens"
        )
        vectors: jax.Array = embed(tokens)
        return vectors


def keys_of(lengths: str | None) -> Sequence[str]:
    """The batch's entries that a model of sequences is called with."""
    return ["inputs"] if lengths is None else ["inputs", lengths]
