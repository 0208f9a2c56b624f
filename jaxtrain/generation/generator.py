"""Generator: text goes on where prompts end, token by token.

    tokens = generate(params, config, [[1, 403], [1]], max_new_tokens=64, stop=[2])

    generator = Generator(params, config)               # for more than one call
    for news in generator.stream([[1, 403]], max_new_tokens=64, temperature=0.8, rng=key):
        print(tokenizer.decode(news[0]), end="")

Rows know nothing of each other: not of other prompts, their lengths, or what is filled in. In
programs of one shape their bits are the same whatever stands beside them. Where another number of
rows or a longer prompt makes another shape, XLA sums in another order, and logits differ by some
1e-6 of their size: which token is chosen differs only where two are as good as equal.

Axes: B rows.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.errors import ConfigError, DataError, NonFiniteError
from jaxtrain.generation.buckets import bucket, padded
from jaxtrain.generation.decoding import CHUNK, Draw, first_tokens, next_tokens, with_room
from jaxtrain.generation.forward import by_layer
from jaxtrain.generation.sampling import Sampling
from jaxtrain.generation.token_ids import token_ids
from jaxtrain.models.decoder import DecoderConfig

_FIRST_ROOM = 256
"""Slots for new tokens to begin with, doubled as they fill: attention reads all that are there."""

_STOP_TOKENS = 8
"""Filled up to a multiple of this, so that another set of stop tokens is no other program."""


def generate(
    params: Mapping[str, Any],
    config: DecoderConfig,
    prompts: Iterable[Any],
    *,
    max_new_tokens: int,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    stop: Iterable[int] = (),
    rng: jax.Array | None = None,
) -> list[np.ndarray]:
    """What follows each prompt; `Generator.generate` says what the options are.

    The layers' parameters are copied for it; a `Generator` does so once for many calls.
    """
    return Generator(params, config).generate(
        prompts,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        stop=stop,
        rng=rng,
    )


class _Request(NamedTuple):
    prompts: list[np.ndarray]
    max_new_tokens: int
    sampling: Sampling
    stop: frozenset[int]
    keys: jax.Array
    chunk: int


class Generator:
    """A decoder that writes.

    Args:
        params: as `initial_params` lays them out. The layers are copied; the given ones may go.
        config: its sizes.
        tokens: only those below it are written: a model may have more than its tokenizer; by
            default all of them.

    Raises:
        ConfigError: the model has not so many tokens.
    """

    def __init__(
        self, params: Mapping[str, Any], config: DecoderConfig, *, tokens: int | None = None
    ) -> None:
        self.config = config
        self._tokens = config.vocab_size if tokens is None else operator.index(tokens)
        if not 1 <= self._tokens <= config.vocab_size:
            raise ConfigError(f"tokens: expected 1 to {config.vocab_size}, found {tokens}")
        self._weights = by_layer(params)

    def generate(
        self,
        prompts: Iterable[Any],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        top_k: int | None = None,
        top_p: float | None = None,
        stop: Iterable[int] = (),
        rng: jax.Array | None = None,
    ) -> list[np.ndarray]:
        """What follows each prompt, when it is there.

        Args:
            prompts: B rows of tokens, of any lengths.
            max_new_tokens: at most so many follow.
            temperature: see `Sampling`; 0 takes the likeliest token.
            top_k: likewise.
            top_p: likewise.
            stop: tokens that end a row; they are not part of it.
            rng: a random key, where anything is drawn. Row i draws from its i-th descendant.

        Returns:
            B rows of new tokens. One that is shorter than `max_new_tokens` met a stop token.

        Raises:
            DataError: a prompt is empty, or has what is no token.
            ConfigError: an option is out of range, or prompt and new tokens are more than
                `config.max_length`.
            NonFiniteError: the logits are NaN or Inf.
        """
        news = self.stream(
            prompts,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            stop=stop,
            rng=rng,
            chunk=CHUNK,
        )
        return [np.concatenate(parts) for parts in zip(*news, strict=True)]

    def stream(
        self,
        prompts: Iterable[Any],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        top_k: int | None = None,
        top_p: float | None = None,
        stop: Iterable[int] = (),
        rng: jax.Array | None = None,
        chunk: int = 8,
    ) -> Iterator[list[np.ndarray]]:
        """What follows each prompt, as it comes.

        Wrong arguments are told at once, not when the first token is asked for.

        Args:
            prompts: as for `generate`, and so are the other options.
            max_new_tokens: likewise.
            temperature: likewise.
            top_k: likewise.
            top_p: likewise.
            stop: likewise.
            rng: likewise.
            chunk: how many tokens come at a time, up to 64, the first one alone.

        Returns:
            An iterator over lists of B arrays of new tokens, empty for a row that has ended.
        """
        sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p)
        rows = self._checked(prompts, max_new_tokens)
        if not 1 <= operator.index(chunk) <= CHUNK:
            raise ConfigError(f"chunk: expected 1 to {CHUNK}, found {chunk}")
        if rng is None and sampling.form() != "greedy":
            raise ConfigError("rng: a temperature draws tokens, from a key: jax.random.key(0)")
        keys = _keys(jax.random.key(0) if rng is None else rng, jnp.arange(len(rows)))
        ends = self._stop(stop)
        return self._stream(_Request(rows, max_new_tokens, sampling, ends, keys, chunk))

    def _checked(self, prompts: Iterable[Any], max_new_tokens: int) -> list[np.ndarray]:
        rows = [
            token_ids(prompt, vocab_size=self.config.vocab_size, what=f"prompt {number}")
            for number, prompt in enumerate(prompts)
        ]
        if not rows:
            raise DataError("prompts: expected at least one, found none")
        if operator.index(max_new_tokens) < 1:
            raise ConfigError(f"max_new_tokens: expected at least 1, found {max_new_tokens}")
        for number, row in enumerate(rows):
            if len(row) + max_new_tokens > self.config.max_length:
                raise ConfigError(
                    f"prompt {number}: its {len(row)} tokens and max_new_tokens={max_new_tokens} "
                    f"are more than the model is meant for, max_length={self.config.max_length}"
                )
        return rows

    def _stop(self, stop: Iterable[int]) -> frozenset[int]:
        ends = [operator.index(token) for token in stop]
        for token in ends:
            if not 0 <= token < self.config.vocab_size:
                raise ConfigError(
                    f"stop: expected tokens from 0 to {self.config.vocab_size - 1}, found {token}"
                )
        return frozenset(ends)

    def _stream(self, request: _Request) -> Iterator[list[np.ndarray]]:
        config, form = self.config, request.sampling.form()
        longest = max(len(row) for row in request.prompts)
        prompts, lengths = padded(request.prompts, width=min(bucket(longest), config.max_length))
        room = min(bucket(request.max_new_tokens), _FIRST_ROOM)
        draw = Draw(request.sampling.knobs(), request.keys, _filled(request.stop))
        state = first_tokens(
            self._weights,
            prompts,
            lengths,
            draw,
            config=config,
            form=form,
            size=prompts.shape[1] + room,
            tokens=self._tokens,
        )
        alive = np.ones(len(lengths), bool)
        news = np.asarray(state.token)[:, None]
        written = 0
        while True:
            _refuse_nonfinite(np.asarray(state.finite))
            yield _taken(news, request.stop, alive)
            written += news.shape[1]
            wanted = min(request.chunk, request.max_new_tokens - written)
            if not wanted or not alive.any():
                return
            if written - 1 + wanted > room:  # the last token stands in no slot yet
                room *= 2
                state = with_room(state, size=prompts.shape[1] + room)
            state, found, number = next_tokens(
                self._weights,
                state,
                draw,
                np.int32(wanted),
                config=config,
                form=form,
                tokens=self._tokens,
            )
            news = np.asarray(found)[:, : int(number)]


_keys = jax.jit(jax.vmap(jax.random.fold_in, in_axes=(None, 0)))


def _filled(stop: frozenset[int]) -> np.ndarray:
    """`[K]`, K a multiple of 8; -1 is no token."""
    filled = np.full(-(-max(len(stop), 1) // _STOP_TOKENS) * _STOP_TOKENS, -1, np.int32)
    filled[: len(stop)] = sorted(stop)
    return filled


def _taken(news: np.ndarray, stop: frozenset[int], alive: np.ndarray) -> list[np.ndarray]:
    """Of each row what stands before a stop token; `alive` `[B]` loses those that met one."""
    taken = []
    ends = np.isin(news, list(stop))
    for number, row in enumerate(news):
        length = len(row) if alive[number] else 0
        if ends[number, :length].any():
            length = int(ends[number].argmax())
            alive[number] = False
        taken.append(row[:length])
    return taken


def _refuse_nonfinite(finite: np.ndarray) -> None:
    if not finite.all():
        raise NonFiniteError(
            f"prompt {int((~finite).argmax())}: what the model says of the next token is NaN or "
            "Inf; its parameters are, or they overflow in their dtype"
        )
