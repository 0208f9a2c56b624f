"""Causal attention a tile of queries at a time, forward and back.

    out = tiled_attention(q, k, v, segments)

Two things are saved against the plain form: the scores of keys behind a tile are never computed,
which is half of them, and no [L, L] array is kept from the forward to the backward pass, where the
scores are computed again from `q`, `k` and the logarithm of each query's sum (Dao 2023,
arXiv:2307.08691). On a CPU, where products of so short inner axes are cheap and every pass over
memory is dear, that is faster as well.

The rule for the gradient is ours, so there is no forward-mode derivative through it; the form "xla"
has one.

Axes: B batch, L length, H query heads, G key/value heads, R = H / G, E head size, M = B * G,
T queries of a tile, S keys that a tile sees.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import jax
import jax.numpy as jnp

from jaxtrain.parallel import parts_in_use
from jaxtrain.parallel.mesh import TENSOR

_Kept: TypeAlias = tuple[jax.Array, ...]

# Added to no score, only put in its place, so that it is finite in float32 as a difference, too.
_MASKED = -1e30


def tiled_attention(
    q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array | None = None
) -> jax.Array:
    """`softmax(q k^T / sqrt(E)) v` over the keys at or before each query, in its own document.

    Args:
        q: `[B, L, H, E]`.
        k: `[B, L, G, E]`.
        v: `[B, L, G, E]`.
        segments: `[B, L]` int32, the document of each token; None where a row is one document.

    Returns:
        `[B, L, H, E]` in the dtype of `v`.
    """
    batch, length, heads, size = q.shape
    groups = k.shape[2]
    if parts_in_use(TENSOR) > 1:
        # Groups of heads lie over one axis of the mesh and rows over another: made one axis of
        # both, they would have to be gathered.
        q5 = q.reshape(batch, length, groups, heads // groups, size)
        per_group = jax.vmap(_tiled, in_axes=(0, 0, 0, None))
        found = per_group(
            q5.transpose(2, 0, 3, 1, 4), k.transpose(2, 0, 1, 3), v.transpose(2, 0, 1, 3), segments
        )
        return found.transpose(1, 3, 0, 2, 4).reshape(batch, length, heads, size)
    # Heads first and once for all tiles: then a tile is a slice, and each product a plain one.
    queries = _heads_first(q, groups)
    keys, values = (_heads_first(x, groups).reshape(-1, length, size) for x in (k, v))
    out = _tiled(queries, keys, values, segments)
    out = out.reshape(batch, groups, heads // groups, length, size)
    return out.transpose(0, 3, 1, 2, 4).reshape(batch, length, heads, size)


def tile_size(length: int) -> int:
    """T: 64, or what makes at most 16 tiles of a text, in multiples of 64.

    Each tile is written out in the program, so their number is compile time. On a CPU 64 and 128
    were the fastest at L of 256 to 1024.

    >>> tile_size(256), tile_size(2048), tile_size(4096)
    (64, 128, 256)
    """
    return 64 * max(1, -(-length // (16 * 64)))


@jax.custom_vjp
def _tiled(q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array | None) -> jax.Array:
    """`q` `[M, R, L, E]`, `k` and `v` `[M, L, E]` to `[M, R, L, E]`."""
    out, _ = _forward(q, k, v, segments)
    return out


def _forward(
    q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array | None
) -> tuple[jax.Array, _Kept]:
    outs, log_sums = [], []
    for begin, end in _tiles(q.shape[2]):
        scores = _scores(q, k, segments, begin, end)
        largest = jnp.max(scores, axis=-1, keepdims=True)
        weights = jnp.exp(scores - largest)
        sums = jnp.sum(weights, axis=-1, keepdims=True)
        mixed = _product(_rows(weights.astype(v.dtype)), v[:, :end], (2, 1))
        # Dividing [T, E] instead of [T, S] saves a pass over the weights.
        outs.append((mixed.reshape(sums.shape[:3] + v.shape[2:]) / sums).astype(v.dtype))
        log_sums.append(largest + jnp.log(sums))
    out = jnp.concatenate(outs, axis=2)
    return out, (q, k, v, out, jnp.concatenate(log_sums, axis=2))


def _tiled_fwd(
    q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array | None
) -> tuple[jax.Array, tuple[_Kept, jax.Array | None]]:
    out, kept = _forward(q, k, v, segments)
    return out, (kept, segments)


def _tiled_bwd(
    residuals: tuple[_Kept, jax.Array | None], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, None]:
    (q, k, v, out, log_sums), segments = residuals
    # sum_s p_s dp_s, the softmax's own term, is the product of output and cotangent.
    own = jnp.sum(cotangent.astype(jnp.float32) * out.astype(jnp.float32), axis=-1, keepdims=True)
    of_q, of_k, of_v = [], jnp.zeros(k.shape, jnp.float32), jnp.zeros(v.shape, jnp.float32)
    # From the last tile, which sees all keys, so that the first sums are whole.
    for begin, end in reversed(list(_tiles(q.shape[2]))):
        scores = _scores(q, k, segments, begin, end)
        weights = jnp.exp(scores - log_sums[:, :, begin:end])
        given = _rows(cotangent[:, :, begin:end])
        of_v = of_v.at[:, :end].add(_product(_rows(weights.astype(v.dtype)), given, (1, 1)))
        of_weights = _product(given, v[:, :end], (2, 2)).reshape(weights.shape)
        of_scores = _rows((weights * (of_weights - own[:, :, begin:end])).astype(q.dtype))
        of_k = of_k.at[:, :end].add(_product(of_scores, _rows(q[:, :, begin:end]), (1, 1)))
        of_q.append(_product(of_scores, k[:, :end], (2, 1)).reshape(*weights.shape[:3], -1))
    scale = jnp.float32(q.shape[-1] ** -0.5)
    whole = jnp.concatenate(of_q[::-1], axis=2)
    return (
        (whole * scale).astype(q.dtype),
        (of_k * scale).astype(k.dtype),
        of_v.astype(v.dtype),
        None,
    )


_tiled.defvjp(_tiled_fwd, _tiled_bwd)


def _scores(
    q: jax.Array, k: jax.Array, segments: jax.Array | None, begin: int, end: int
) -> jax.Array:
    """Of a tile's queries with the keys up to its end: `[M, R, T, S]` float32, masked."""
    many, repeats, _, size = q.shape
    shape = (many, repeats, end - begin, end)
    scores = _product(_rows(q[:, :, begin:end]), k[:, :end], (2, 2)).reshape(shape)
    rows = begin + jax.lax.broadcasted_iota(jnp.int32, shape[2:], 0)
    seen = (rows >= jax.lax.broadcasted_iota(jnp.int32, shape[2:], 1))[None, None]
    if segments is not None:
        together = segments[:, begin:end, None] == segments[:, None, :end]
        # [B, T, S] for each of a row's G heads.
        together = jnp.repeat(together, many // segments.shape[0], axis=0)
        seen = seen & together[:, None]
    return jnp.where(seen, scores * jnp.float32(size**-0.5), jnp.float32(_MASKED))


def _tiles(length: int) -> Iterator[tuple[int, int]]:
    size = tile_size(length)
    for begin in range(0, length, size):
        yield begin, min(begin + size, length)


def _heads_first(x: jax.Array, groups: int) -> jax.Array:
    """`[B, L, H, E]` to `[M, R, L, E]`."""
    batch, length, heads, size = x.shape
    x = x.reshape(batch, length, groups, heads // groups, size).transpose(0, 2, 3, 1, 4)
    return x.reshape(batch * groups, heads // groups, length, size)


def _rows(x: jax.Array) -> jax.Array:
    """`[M, R, T, ...]` to `[M, R * T, ...]`."""
    return x.reshape(x.shape[0], x.shape[1] * x.shape[2], x.shape[3])


def _product(left: jax.Array, right: jax.Array, contracted: tuple[int, int]) -> jax.Array:
    """The product of each of M pairs over an axis of each, summed in float32."""
    axes = ((contracted[:1], contracted[1:]), ((0,), (0,)))
    return jax.lax.dot_general(left, right, axes, preferred_element_type=jnp.float32)
