"""A kernel with an adapter, where a kernel alone stood, and a dense layer that takes either.

    outputs = dense(inputs, kernel)                           # inputs @ kernel
    outputs = dense(inputs, LowRank(kernel, a, b, scale))     # inputs @ (kernel + scale * a @ b)

The sum is never formed, and neither is a gradient of the kernel, which is held fixed: that is a
third of the work of a layer. All leaves of a `LowRank` have the same leading axes, so that a loop
over stacked layers slices it as it slices a kernel.

Axes: T tokens, I inputs, O outputs, R rank, K adapters on one kernel, B rows of the batch, C what
the adapters have together: R, or K * R.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from jaxtrain.errors import ConfigError
from jaxtrain.models.quantized import Quantized, plain, times

# A norm in TF32 would be another one.
_EXACT = jax.lax.Precision.HIGHEST
_ROUNDING = 2.0**-18


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LowRank:
    """A kernel and what is added to it.

    Attributes:
        kernel: `[I, O]`, or with more axes of either kind, of which `a` and `b` make one; in floats
            or in few bits.
        a: `[I, R]`; of several adapters `[K, I, R]`.
        b: `[R, O]`; `[K, R, O]`.
        scale: float32 scalar; `[K]`. 0 is no adapter.
        magnitude: `[O]`, `[K, O]`: the norm that each output's weights are given (DoRA, Liu et al.
            2024, arXiv:2402.09353); None leaves them the norm that they have.
        rows: `[B]` int32, which of the adapters each row has, -1 for none; None where there is one
            adapter. A number that is not below K makes its row NaN.
        key: a random key where something is dropped of the inputs of the low-rank branch.
        dropout: how much of them.
    """

    kernel: jax.Array | Quantized
    a: jax.Array
    b: jax.Array
    scale: jax.Array
    magnitude: jax.Array | None = None
    rows: jax.Array | None = None
    key: jax.Array | None = None
    dropout: float = field(default=0.0, metadata={"static": True})


def dense(inputs: jax.Array, kernel: jax.Array | Quantized | LowRank) -> jax.Array:
    """`inputs` `[T, I]` times a kernel `[I, O]`, with its adapter where it has one.

    The low-rank branch is computed in the dtype of the inputs. Where the adapter differs from row
    to row, tokens are those of the rows one after the other, as many of each.
    """
    if not isinstance(kernel, LowRank):
        return times(inputs, kernel)
    if kernel.kernel.ndim != 2:
        raise ConfigError(
            f"dense: expected a LowRank kernel [I, O], found one of shape {kernel.kernel.shape}; "
            "merge the adapter into it"
        )
    # Held fixed: what an adapter stands on is not trained.
    outputs = times(inputs, jax.lax.stop_gradient(kernel.kernel))
    low = dropped(inputs, kernel) @ joined_a(kernel).astype(inputs.dtype)
    return adapted(outputs, low, kernel)


def adapted(
    outputs: jax.Array, low: jax.Array, kernel: LowRank, bias: jax.Array | None = None
) -> jax.Array:
    """What a layer gives with its adapter, from what it gives without.

    Args:
        outputs: `[T, O]`, the kernel's own, with the bias.
        low: `[T, C]`, the inputs times `joined_a`.
        kernel: the adapter.
        bias: `[O]`, which no magnitude scales.
    """
    up = joined_b(kernel).astype(outputs.dtype)
    added = weighed(low, kernel).astype(outputs.dtype) @ up
    factor = norm_factor(kernel, len(outputs))
    if factor is None:
        return outputs + added
    # By a factor of exactly 1, as at the start, no bit of the outputs is another.
    plain = outputs if bias is None else outputs - bias.astype(outputs.dtype)
    more = (factor - 1) * plain.astype(jnp.float32) + factor * added.astype(jnp.float32)
    return (outputs.astype(jnp.float32) + more).astype(outputs.dtype)


def dropped(inputs: jax.Array, kernel: LowRank) -> jax.Array:
    """The inputs of the low-rank branch: with some of them dropped, where that is wanted."""
    if kernel.key is None or not kernel.dropout:
        return inputs
    kept = jax.random.bernoulli(kernel.key, 1 - kernel.dropout, inputs.shape)
    return jnp.where(kept, inputs / jnp.asarray(1 - kernel.dropout, inputs.dtype), 0)


def joined_a(kernel: LowRank) -> jax.Array:
    """`a` of all adapters side by side, `[I, C]`."""
    if kernel.rows is None:
        return kernel.a
    return jnp.moveaxis(kernel.a, 0, 1).reshape(kernel.a.shape[1], -1)


def joined_b(kernel: LowRank) -> jax.Array:
    """`b` of all adapters one below the other, `[C, O]`."""
    return kernel.b if kernel.rows is None else kernel.b.reshape(-1, kernel.b.shape[-1])


def weighed(low: jax.Array, kernel: LowRank) -> jax.Array:
    """`low` `[T, C]` times the scale; of several adapters, all but the token's own times 0."""
    if kernel.rows is None:
        return low * kernel.scale.astype(low.dtype)
    adapters, _, rank = kernel.a.shape
    of_token = tokens_of(kernel.rows, len(low))[:, None]
    numbers = jnp.repeat(jnp.arange(adapters, dtype=jnp.int32), rank)[None, :]
    scales = jnp.repeat(kernel.scale, rank)[None, :].astype(low.dtype)
    weights = jnp.where(numbers == of_token, scales, jnp.zeros((), low.dtype))
    return low * jnp.where(_is_known(of_token, adapters), weights, jnp.nan).astype(low.dtype)


def norm_factor(kernel: LowRank, tokens: int) -> jax.Array | None:
    """What the outputs are multiplied by, float32 `[1, O]` or `[T, O]`: the magnitude over the norm
    of the weights, which is held fixed in the gradient as in the paper (section 4.3).

    1 where there is no adapter; None where norms stay as they are.
    """
    if kernel.magnitude is None:
        return None
    factor = column_factor(kernel.magnitude, kernel.kernel, kernel.a, kernel.b, kernel.scale)
    if kernel.rows is None:
        return factor[None, :]
    of_token = tokens_of(kernel.rows, tokens)
    chosen = jnp.take(factor, jnp.clip(of_token, 0, len(factor) - 1), axis=0)
    chosen = jnp.where(of_token[:, None] == -1, 1.0, chosen)
    return jnp.where(_is_known(of_token[:, None], len(factor)), chosen, jnp.nan)


def column_factor(
    magnitude: jax.Array,
    kernel: jax.Array | Quantized,
    a: jax.Array,
    b: jax.Array,
    scale: jax.Array,
) -> jax.Array:
    """`magnitude` over the norms of the columns, float32; 1 where the scale is 0.

    Shapes and arguments are those of `column_norms`. In the gradient the norms are held fixed.
    """
    norms = column_norms(*jax.lax.stop_gradient((kernel, a, b)), scale)
    # In the dtype of the magnitude, since that is what it was made of, so that both begin equal.
    norms = norms.astype(magnitude.dtype).astype(jnp.float32)
    more = magnitude.astype(jnp.float32) - norms
    # XLA sums in another order from one program to the next. What is no more than that is nothing,
    # so that a fresh adapter changes no bit; the gradient does not know of it.
    more = more - jax.lax.stop_gradient(jnp.where(jnp.abs(more) <= _ROUNDING * norms, more, 0))
    return jnp.where((scale != 0)[..., None], 1 + more / norms, 1.0)


def column_norms(
    kernel: jax.Array | Quantized, a: jax.Array, b: jax.Array, scale: jax.Array
) -> jax.Array:
    """The 2-norm of each column of `kernel + scale * a @ b`, float32, without forming that.

    Of column j it is, squared, |w|^2 + 2 s (w^T a) b + s^2 b^T (a^T a) b, with b its column of b.

    Args:
        kernel: `[..., I, O]`, or with more axes than that, of which I and O are the products.
        a: `[..., I, R]`, or `[K, I, R]` beside one kernel.
        b: `[..., R, O]`, or `[K, R, O]`.
        scale: `[...]`, or `[K]`.

    Returns:
        `[..., O]`, or `[K, O]`.
    """
    inputs, outputs = a.shape[-2], b.shape[-1]
    lead = () if kernel.size == inputs * outputs else a.shape[:-2]
    flat = plain(kernel).reshape(*lead, inputs, outputs)
    wide = flat.astype(jnp.float32)
    squares = jnp.sum(wide * wide, axis=-2)
    across = jnp.einsum(
        "...ir,...io->...ro",
        a.astype(kernel.dtype),
        flat,
        precision=_EXACT,
        preferred_element_type=jnp.float32,
    )
    a, b, s = a.astype(jnp.float32), b.astype(jnp.float32), scale.astype(jnp.float32)[..., None]
    own = jnp.einsum("...ir,...iq->...rq", a, a, precision=_EXACT)
    twice = jnp.einsum("...rq,...qo->...ro", own, b, precision=_EXACT)
    found = squares + 2 * s * jnp.sum(across * b, axis=-2) + s * s * jnp.sum(twice * b, axis=-2)
    return jnp.sqrt(jnp.maximum(found, jnp.finfo(jnp.float32).tiny))


def tokens_of(rows: jax.Array, tokens: int) -> jax.Array:
    """What stands for each row `[B]`, for each of its tokens `[T]`."""
    if tokens % len(rows):
        raise ConfigError(
            f"rows: expected the adapter of each row of the batch; {tokens} tokens are not so many "
            f"rows of equal length as rows has entries, {len(rows)}"
        )
    return jnp.repeat(rows, tokens // len(rows))


def _is_known(number: jax.Array, adapters: int) -> jax.Array:
    return (number >= -1) & (number < adapters)
