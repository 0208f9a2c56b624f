"""How likely a model holds texts to be: of each token, of continuations, of all of it.

    nlls = token_nlls(model, variables, [[1, 403, 407], [1, 5]])          # [2], [1]
    log_likelihoods(model, variables, [([1, 403], [407]), ([1], [5, 6])])  # of [407], of [5, 6]
    text_likelihood(model, variables, rows).perplexity

Any `Model` will do whose outputs have `nll` where the batch has labels; the logits of all tokens
need never exist. Rows are put together by length, each bucket with batches of one shape, filled up
with rows that nobody looks at. So what a row is given depends on it and its length, and on nothing
that it is asked with.

Axes: B rows of a batch, L places of a bucket, T tokens of a row.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxtrain.errors import ConfigError, DataError, NonFiniteError
from jaxtrain.generation.buckets import bucket, padded
from jaxtrain.generation.token_ids import token_ids
from jaxtrain.models.model import Apply, Model, Variables

BATCH_TOKENS = 2048


class TextLikelihood(NamedTuple):
    """How likely texts are, all together.

    Attributes:
        nll: the sum of the negative log-likelihoods, in nats.
        tokens: of how many tokens.
    """

    nll: float
    tokens: int

    @property
    def perplexity(self) -> float:
        """`exp(nll / tokens)`."""
        mean = self.nll / self.tokens
        return math.exp(mean) if mean < 700 else math.inf


def text_likelihood(
    model: Model,
    variables: Variables,
    rows: Iterable[Any],
    *,
    max_length: int | None = None,
    batch_tokens: int = BATCH_TOKENS,
) -> TextLikelihood:
    """How likely rows of tokens are, each after its first token.

    Args:
        model: a language model.
        variables: its.
        rows: tokens, of any lengths.
        max_length: the longest row that the model is meant for; None where that is not known.
        batch_tokens: how many tokens are computed at a time.

    Raises:
        DataError: a row is empty, or no row has a second token.
        ConfigError: a row is longer than `max_length`.
        NonFiniteError: what the model says of a row is NaN or Inf.
    """
    found = token_nlls(model, variables, rows, max_length=max_length, batch_tokens=batch_tokens)
    tokens = sum(len(row) for row in found)
    if not tokens:
        raise DataError("rows: expected at least one of two tokens or more, found none")
    return TextLikelihood(math.fsum(row.sum(dtype=np.float64) for row in found), tokens)


def log_likelihoods(
    model: Model,
    variables: Variables,
    pairs: Iterable[tuple[Any, Any]],
    *,
    max_length: int | None = None,
    batch_tokens: int = BATCH_TOKENS,
) -> list[float]:
    """The logarithm of how likely each continuation is behind its prompt, in nats.

    Args:
        model: a language model.
        variables: its.
        pairs: the tokens of a prompt and of its continuation, neither of them empty.
        max_length: of both together; None where that is not known.
        batch_tokens: how many tokens are computed at a time.

    Raises:
        DataError: a prompt or a continuation is empty, or has what is no token.
        ConfigError: a pair is longer than `max_length`.
        NonFiniteError: what the model says of one is NaN or Inf.
    """
    prompts, rows = [], []
    for number, (prompt, continuation) in enumerate(pairs):
        before = token_ids(prompt, what=f"prompt {number}")
        behind = token_ids(continuation, what=f"continuation {number}")
        prompts.append(len(before))
        rows.append(np.concatenate([before, behind]))
    found = token_nlls(model, variables, rows, max_length=max_length, batch_tokens=batch_tokens)
    return [
        -float(row[length - 1 :].sum(dtype=np.float64))
        for length, row in zip(prompts, found, strict=True)
    ]


def token_nlls(
    model: Model,
    variables: Variables,
    rows: Iterable[Any],
    *,
    max_length: int | None = None,
    batch_tokens: int = BATCH_TOKENS,
) -> list[np.ndarray]:
    """The negative log-likelihood of each token but the first, after those before it, in nats.

    Args:
        model: a language model.
        variables: its.
        rows: tokens `[T]` each, of any lengths.
        max_length: the longest row that the model is meant for; None where that is not known.
        batch_tokens: how many tokens are computed at a time.

    Returns:
        `[T - 1]` float32 of each row.

    Raises:
        DataError: a row is empty or has what is no token, or the model has no `nll`.
        ConfigError: a row is longer than `max_length`.
        NonFiniteError: what the model says of a row is NaN or Inf.
    """
    checked = [token_ids(row, what=f"row {number}") for number, row in enumerate(rows)]
    for number, row in enumerate(checked):
        if max_length is not None and len(row) > max_length:
            raise ConfigError(
                f"row {number}: has {len(row)} tokens, more than the model is meant for, "
                f"max_length={max_length}; cut it"
            )
    found = [np.zeros(0, np.float32)] * len(checked)
    buckets: dict[int, list[int]] = {}
    for number, row in enumerate(checked):
        if len(row) > 1:
            buckets.setdefault(bucket(len(row) - 1), []).append(number)
    for width, numbers in buckets.items():
        size = max(1, batch_tokens // width)
        for first in range(0, len(numbers), size):
            chosen = numbers[first : first + size]
            nlls = _nlls(model, variables, [checked[number] for number in chosen], width, size)
            for number, nll in zip(chosen, nlls, strict=True):
                if not np.isfinite(nll).all():
                    raise NonFiniteError(
                        f"row {number}: the model's nll is {nll[~np.isfinite(nll)][0]} at token "
                        f"{int((~np.isfinite(nll)).argmax()) + 1}; its parameters are not finite, "
                        "or that is no token of its vocabulary"
                    )
                found[number] = nll
    return found


def _nlls(
    model: Model, variables: Variables, rows: Sequence[np.ndarray], width: int, size: int
) -> list[np.ndarray]:
    filling = [np.zeros(1, np.int32)] * (size - len(rows))
    inputs, _ = padded([*(row[:-1] for row in rows), *filling], width=width)
    labels, lengths = padded([*(row[1:] for row in rows), *filling], width=width)
    nll = np.asarray(_program(variables, inputs, labels, apply=model.apply))
    return [row[:length] for row, length in zip(nll, lengths[: len(rows)], strict=False)]


@functools.partial(jax.jit, static_argnames="apply")
def _program(
    variables: Variables, inputs: jax.Array, labels: jax.Array, *, apply: Apply
) -> jax.Array:
    outputs: Any
    outputs, _ = apply(variables, {"inputs": inputs, "labels": labels}, train=False, rngs={})
    if not hasattr(outputs, "keys") or "nll" not in outputs:
        said = f"found {', '.join(outputs)}" if hasattr(outputs, "keys") else "found an array"
        raise DataError(f"the model: expected outputs with 'nll' [B, L], {said}")
    nll: jax.Array = outputs["nll"]
    return nll.astype("float32")
