"""Next-token losses of a language model, tile by tile: the logits of all tokens never exist.

    nll, log_z, correct = token_losses(hidden, head, labels)
    nll, log_z, correct = token_losses(hidden, embedding, labels, transposed=True)   # tied weights

With a vocabulary of 256,000 the float32 logits of 8,192 tokens are 8 GB, their gradient as much
again. Here a tile of tokens is taken at a time, and the backward pass makes the tile's logits anew
from `log_z`: one more product with the head in exchange for all that memory.

Axes: T tokens, D width, V vocabulary, S tokens of a tile, N tiles.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxtrain.errors import DataError
from jaxtrain.parallel.mesh import ROWS, row_parts
from jaxtrain.parallel.using import mesh_in_use
from jaxtrain.sharding import is_sharded, parts_of, spec_of

TILE = 1024
"""Tokens of a tile. From 512 to 2,048 they took a CPU equally long; below, the head's gradient is
read and written too often for what is computed, which a GPU would feel sooner."""


class TokenLosses(NamedTuple):
    """What a language model says of each token that it was to predict, float32 each.

    Attributes:
        nll: the negative log-likelihood of the label, in nats; NaN where it is no token.
        log_z: the logarithm of the sum of all exponentiated logits.
        correct: 1 where the likeliest token is the label. Has no gradient.
    """

    nll: jax.Array
    log_z: jax.Array
    correct: jax.Array


def token_losses(
    hidden: jax.Array,
    head: jax.Array,
    labels: jax.Array,
    *,
    transposed: bool = False,
    tile: int = TILE,
) -> TokenLosses:
    """The losses of tokens [...], of which no more than `tile` have their logits in memory.

    `logits = hidden @ head`, summed in float32 whatever the dtypes (float64 where there is some).
    A token whose `nll` and `log_z` count nowhere, which get no cotangent, gives no gradient at all,
    whatever stands in it. The gradient of the head is summed in float32, and rounded once.

    Tokens that are laid out over a mesh stay where they are: a tile takes some of each device's.

    Args:
        hidden: [..., D] floats.
        head: [D, V] floats.
        labels: [...] integers.
        transposed: `head` is [V, D], as the embedding of a model with tied weights is.
        tile: how many tokens; on each device that holds a part of them, where their type says that
            they lie over a mesh, or a layout is in use (else, on Auto axes, of all together).

    Raises:
        DataError: shapes or dtypes do not fit.
    """
    labels = jnp.asarray(labels)
    width = head.shape[-1 if transposed else 0] if head.ndim == 2 else None
    if hidden.shape != (*labels.shape, width):
        raise DataError(
            f"token_losses: expected hidden [..., D], head [{'V, D' if transposed else 'D, V'}] "
            f"and labels [...], found hidden {hidden.shape}, head {head.shape}, labels "
            f"{labels.shape}"
        )
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise DataError(f"token_losses: expected integer labels, found {labels.dtype}")
    if tile < 1:
        raise DataError(f"token_losses: tile: expected at least 1, found {tile}")
    if labels.dtype.itemsize < 4:
        labels = labels.astype(jnp.int32)  # wide enough for any vocabulary
    dtype = jnp.promote_types(hidden.dtype, head.dtype)
    shape = labels.shape
    found = _token_losses(
        hidden.astype(dtype).reshape(-1, width),
        head.astype(dtype),
        labels.reshape(-1),
        transposed,
        tile,
        mesh_in_use(),
    )
    return TokenLosses(*(each.reshape(shape) for each in found))


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4, 5))
def _token_losses(
    hidden: jax.Array,
    head: jax.Array,
    labels: jax.Array,
    transposed: bool,
    tile: int,
    mesh: Mesh | None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Of tokens [T]; on Auto axes, their rows lie over `mesh`."""
    tiles = Tiles.of(labels, tile, mesh)

    def one(_: None, rows: tuple[jax.Array, jax.Array]) -> Any:
        return None, _losses(rows[0], head, rows[1], transposed)

    _, found = tiles.scan(one, None, (hidden, labels))
    return found


def _fwd(
    hidden: jax.Array,
    head: jax.Array,
    labels: jax.Array,
    transposed: bool,
    tile: int,
    mesh: Mesh | None,
) -> tuple[Any, Any]:
    found = _token_losses(hidden, head, labels, transposed, tile, mesh)
    return found, (hidden, head, labels, found[1])


def _bwd(
    transposed: bool, tile: int, mesh: Mesh | None, kept: Any, cotangents: Any
) -> tuple[Any, Any, None]:
    hidden, head, labels, log_z = kept
    of_nll, of_log_z, _ = cotangents
    tiles, devices = Tiles.of(labels, tile, mesh), _parts(labels, mesh)

    def one(total: jax.Array, rows: Any) -> tuple[jax.Array, jax.Array]:
        counting, of_logits = _of_logits(head, transposed, *rows)
        of_hidden = _product(of_logits, head, (1, 0 if transposed else 1), like=counting)
        pair = (of_logits, counting) if transposed else (counting, of_logits)
        return total + _over_tokens(*pair, devices, head, mesh), of_hidden.astype(hidden.dtype)

    start = jnp.zeros_like(head, dtype=_wide(head))
    if devices > 1:
        # Each device has a sum of its own until the end: to add them up at each tile would send the
        # gradient of the head around N times.
        start = _on_each(start, labels, devices, mesh)
    of_head, of_hidden = tiles.scan(one, start, (hidden, labels, log_z, of_nll, of_log_z))
    of_head = of_head.sum(axis=0) if devices > 1 else of_head
    return of_hidden, of_head.astype(head.dtype), None


_token_losses.defvjp(_fwd, _bwd)


def _losses(
    hidden: jax.Array, head: jax.Array, labels: jax.Array, transposed: bool
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """nll, log_z and correct of the tokens [S] of a tile."""
    logits = _logits(hidden, head, transposed)
    log_z = jax.nn.logsumexp(logits, axis=-1)
    is_token = (labels >= 0) & (labels < logits.shape[-1])
    # What a gather does with an index out of range, it does without a word.
    safe = jnp.where(is_token, labels, 0)[:, None]
    if is_sharded(logits):
        places = jnp.arange(logits.shape[-1], dtype=safe.dtype)[None]
        picked = jnp.where(places == safe, logits, 0).sum(axis=-1)
    else:
        picked = jnp.take_along_axis(logits, safe, axis=-1)[:, 0]
    best = jnp.argmax(logits, axis=-1).astype(safe.dtype)
    correct = is_token & ~jnp.isnan(log_z) & (best == safe[:, 0])
    nll = jnp.where(is_token, log_z - picked, jnp.nan)
    return nll, log_z, correct.astype(jnp.float32)


def _of_logits(
    head: jax.Array,
    transposed: bool,
    hidden: jax.Array,
    labels: jax.Array,
    log_z: jax.Array,
    of_nll: jax.Array,
    of_log_z: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """What the tokens [S] of a tile make of cotangents [S].

    Returns:
        Hidden states [S, D], 0 where a token does not count; the cotangent of the logits [S, V].
    """
    is_token = (labels >= 0) & (labels < head.shape[0 if transposed else 1])
    of_nll = jnp.where(is_token, of_nll, 0)  # the nll of any other is a constant NaN
    of_all = of_nll + of_log_z
    # Not a product alone: 0 times the NaN of a token that does not count is NaN.
    counts = (of_nll != 0) | (of_log_z != 0)
    hidden = jnp.where(counts[:, None], hidden, 0)
    logits = _logits(hidden, head, transposed)
    places = jnp.arange(logits.shape[-1], dtype=labels.dtype)[None]
    spread = jnp.where(counts[:, None], of_all[:, None] * jnp.exp(logits - log_z[:, None]), 0)
    of_logits = spread - jnp.where(places == labels[:, None], of_nll[:, None], 0)
    return hidden, of_logits.astype(head.dtype)


def _logits(hidden: jax.Array, head: jax.Array, transposed: bool) -> jax.Array:
    """[S, V], in float32 or wider."""
    return _product(hidden, head, (1, 1 if transposed else 0))


def _product(a: jax.Array, b: jax.Array, axes: tuple[int, int], like: Any = None) -> jax.Array:
    """The product over one axis of each, summed in float32 or wider; laid out as `like`."""
    over = (((axes[0],), (axes[1],)), ((), ()))
    layout = None
    if like is not None and (is_sharded(a) or is_sharded(b)):
        layout = jax.typeof(like).sharding
    return jax.lax.dot_general(a, b, over, preferred_element_type=_wide(a), out_sharding=layout)


def _over_tokens(
    a: jax.Array, b: jax.Array, devices: int, like: jax.Array, mesh: Mesh | None
) -> jax.Array:
    """The product over tokens; [devices, ...] where those of each device are summed apart."""
    if devices == 1:
        return _product(a, b, (0, 0), like=like)
    a, b = (x.reshape(devices, -1, x.shape[-1]) for x in (a, b))
    if not is_sharded(a):
        a, b = _by_rows(a, mesh), _by_rows(b, mesh)
    return jax.lax.dot_general(a, b, (((1,), (1,)), ((0,), (0,))), preferred_element_type=_wide(a))


def _on_each(array: jax.Array, tokens: jax.Array, devices: int, mesh: Mesh | None) -> jax.Array:
    """One of `array` for each device that holds a part of the tokens."""
    if not is_sharded(tokens):
        return _by_rows(jnp.broadcast_to(array, (devices, *array.shape)), mesh)
    spec = PartitionSpec(spec_of(tokens)[0], *(spec_of(array) or (None,) * array.ndim))
    layout = NamedSharding(jax.typeof(tokens).sharding.mesh, spec)
    return jax.lax.broadcast_in_dim(
        array, (devices, *array.shape), tuple(range(1, array.ndim + 1)), out_sharding=layout
    )


def _by_rows(array: jax.Array, mesh: Mesh | None) -> jax.Array:
    """The array, its first axis laid out as rows of a batch are; how the others lie, XLA knows."""
    assert mesh is not None
    spec = PartitionSpec(ROWS, *[PartitionSpec.UNCONSTRAINED] * (array.ndim - 1))
    found: jax.Array = jax.lax.with_sharding_constraint(array, NamedSharding(mesh, spec))
    return found


def _parts(tokens: jax.Array, mesh: Mesh | None) -> int:
    """Over how many devices tokens [T, ...] lie, one after the other."""
    if is_sharded(tokens) or mesh is None:
        return parts_of(tokens)
    return row_parts(mesh) if tokens.shape[0] % row_parts(mesh) == 0 else 1


def _wide(array: jax.Array) -> Any:
    return jnp.promote_types(array.dtype, jnp.float32)


class Tiles(NamedTuple):
    """How T tokens are cut: N tiles of S, and a last shorter one of what is left.

    Token i of N * S is in tile i modulo N. So each device that holds some of the tokens, one after
    the other, holds some of each tile, and none has to wait for another's.
    """

    number: int
    size: int
    rest: int

    @classmethod
    def of(cls, labels: jax.Array, tile: int, mesh: Mesh | None = None) -> Tiles:
        """For tokens [T], as they are laid out: by their type, or else by rows over `mesh`."""
        tokens, devices = labels.shape[0], _parts(labels, mesh)
        fewest = max(1, -(-tokens // (tile * devices)))
        most = 2 * fewest if devices == 1 else max(1, tokens)
        for number in range(fewest, most + 1):
            if tokens % (number * devices) == 0:
                return cls(number, tokens // number, 0)
        size = -(-tokens // fewest)
        return cls(tokens // size, size, tokens % size)

    def scan(self, body: Any, carry: Any, arrays: Any) -> tuple[Any, Any]:
        """`lax.scan` over the tiles of arrays [T, ...]; what comes out is [T, ...] again."""
        if self.number == 1 and not self.rest:
            return body(carry, arrays)
        whole = self.number * self.size
        cut = jax.tree.map(lambda x: self._cut(x[:whole] if self.rest else x), arrays)

        def at(carry: Any, place: jax.Array) -> Any:
            take = lambda x: jax.lax.dynamic_index_in_dim(x, place, 1, keepdims=False)  # noqa: E731
            return body(carry, jax.tree.map(take, cut))

        carry, found = jax.lax.scan(at, carry, jnp.arange(self.number))
        found = jax.tree.map(self._joined, found)
        if not self.rest:
            return carry, found
        carry, last = body(carry, jax.tree.map(lambda x: x[whole:], arrays))
        return carry, jax.tree.map(lambda a, b: jnp.concatenate([a, b]), found, last)

    def _cut(self, array: jax.Array) -> jax.Array:
        return array.reshape(self.size, self.number, *array.shape[1:])

    def _joined(self, array: jax.Array) -> jax.Array:
        return jnp.moveaxis(array, 0, 1).reshape(-1, *array.shape[2:])
