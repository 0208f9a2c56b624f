"""How the next token is chosen from its logits.

    Sampling()                                            # the likeliest one
    Sampling(temperature=0.8, top_k=40, top_p=0.95)
    tokens = choose(logits, sampling.knobs(), sampling.form(), keys)

Filters are those of transformers (`TemperatureLogitsWarper`, `TopKLogitsWarper`,
`TopPLogitsWarper` in generation/logits_process.py, read at 5.24), in its order: temperature, top-k,
top-p, the last on the probabilities of what top-k has left. Their numbers are data, so that another
temperature is no other program.

Axes: B rows, V vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.errors import ConfigError

Form = Literal["greedy", "plain", "filtered"]
"""What is compiled: only "filtered" sorts the vocabulary."""


class Knobs(NamedTuple):
    """The numbers of a `Sampling`, as a compiled program takes them.

    Attributes:
        temperature: float32.
        top_k: int32; at least V where nothing is cut.
        cut: float32, `1 - top_p`; below 0 where nothing is cut.
    """

    temperature: np.float32
    top_k: np.int32
    cut: np.float32


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the next token is chosen.

    Attributes:
        temperature: what logits are divided by; 0 takes the likeliest token, the first of several.
        top_k: only tokens at least as likely as the k-th; several that are equally likely as that
            one all stay.
        top_p: only the likeliest tokens whose probabilities add up to this or more, at least one
            (Holtzman et al. 2020, arXiv:1904.09751). Of equally likely ones the first stay, which
            transformers leaves to its sort.

    Raises:
        ConfigError: one of them is out of range, or a filter has nothing to filter.
    """

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        smallest = float(np.finfo(np.float32).tiny)
        if self.temperature != 0 and not smallest <= self.temperature < math.inf:
            raise ConfigError(
                f"temperature: expected 0 (the likeliest token) or more, found {self.temperature}"
            )
        if self.top_k is not None and (self.top_k < 1 or self.top_k != int(self.top_k)):
            raise ConfigError(f"top_k: expected a whole number from 1, found {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p: expected more than 0 and at most 1, found {self.top_p}")
        if self.temperature == 0 and (self.top_k is not None or self.top_p is not None):
            raise ConfigError(
                "top_k and top_p: temperature=0 takes the likeliest token and reads neither; set "
                "a temperature, or leave them out"
            )

    def form(self) -> Form:
        """What has to be compiled."""
        if self.temperature == 0:
            return "greedy"
        cuts = self.top_k is not None or (self.top_p is not None and self.top_p < 1)
        return "filtered" if cuts else "plain"

    def knobs(self) -> Knobs:
        """Its numbers."""
        largest = np.iinfo(np.int32).max
        return Knobs(
            np.float32(self.temperature),
            np.int32(largest if self.top_k is None else min(self.top_k, largest)),
            np.float32(-1.0 if self.top_p in (None, 1) else 1 - self.top_p),
        )


def choose(logits: jax.Array, knobs: Knobs, form: Form, keys: jax.Array) -> jax.Array:
    """The next token of each row, `[B]` int32.

    Args:
        logits: `[B, V]` float32.
        knobs: the numbers of a `Sampling`.
        form: its form.
        keys: `[B]`, a random key a row; not read where nothing is drawn.
    """
    if form == "greedy":
        return jnp.argmax(logits, axis=-1).astype(jnp.int32)
    # The largest becomes 0 first: divided by a tiny temperature it would be infinite.
    scores = (logits - jnp.max(logits, axis=-1, keepdims=True)) / knobs.temperature
    if form == "plain":
        return _drawn(scores, keys)
    tokens, scores = filtered(scores, knobs)
    ranks = _drawn(scores, keys)
    return jnp.take_along_axis(tokens, ranks[:, None], axis=-1)[:, 0]


def filtered(scores: jax.Array, knobs: Knobs) -> tuple[jax.Array, jax.Array]:
    """What top-k and top-p leave of scores that are divided by the temperature already.

    Args:
        scores: `[B, V]`.
        knobs: the numbers of a `Sampling`.

    Returns:
        Tokens `[B, V]`, the likeliest first, and their scores, -inf for what is left out.
    """
    vocabulary = scores.shape[-1]
    tokens = jnp.broadcast_to(jnp.arange(vocabulary, dtype=jnp.int32)[None, :], scores.shape)
    negated, tokens = jax.lax.sort((-scores, tokens), num_keys=1, is_stable=True)
    scores = -negated
    last = jnp.minimum(knobs.top_k, vocabulary) - 1
    least = jax.lax.dynamic_slice_in_dim(scores, last, 1, axis=-1)
    scores = jnp.where(scores < least, -jnp.inf, scores)
    # Summed from the unlikeliest up, as transformers does: a token is left out where it and all
    # that are less likely make no more than 1 - top_p.
    shares = jax.nn.softmax(scores, axis=-1)
    up_to_here = jnp.cumsum(shares[:, ::-1], axis=-1)[:, ::-1]
    out = (up_to_here <= knobs.cut) & (jnp.arange(vocabulary) > 0)[None, :]
    return tokens, jnp.where(out, -jnp.inf, scores)


def _drawn(scores: jax.Array, keys: jax.Array) -> jax.Array:
    """An index of each row, by the softmax of its scores and by its own key."""
    drawn = jax.vmap(lambda key, row: jax.random.categorical(key, row))(keys, scores)
    return drawn.astype(jnp.int32)
