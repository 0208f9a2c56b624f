"""LanguageModel: a decoder and the tokenizer that it was trained with, from wherever they lie.

    model = LanguageModel.of_run(Trained.load("runs/char_lm/seed0-1a2b3c4d"))
    model = LanguageModel.of_files("Llama-3.2-1B")                  # Hugging Face
    model = LanguageModel.of_files("stories260K.bin", tokenizer="tok512.bin")
    for text in model.write("Once upon a time", max_new_tokens=64):
        print(text, end="", flush=True)

This is where generation is wired to runs, files and tokenizers.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jax

from jaxtrain.errors import ConfigError
from jaxtrain.files.paths import typed_path
from jaxtrain.generation import Generator, TextStream
from jaxtrain.models import decoder_files
from jaxtrain.models.decoder import DecoderConfig
from jaxtrain.run.bounds import read_bounds, stop_tokens, tokenizer_file
from jaxtrain.run.trained import Trained
from jaxtrain.run.trained_decoder import decoder_of

DEFAULT_NEW_TOKENS = 256

_UNKNOWN = ("<unknown>", "<unk>", "[UNK]")


class Speaks(Protocol):
    """What is needed of a tokenizer: `jaxtrain.data.text.Tokenizer` has all of it, and more."""

    @property
    def vocab_size(self) -> int:
        """Every token is below it."""
        ...

    @property
    def bos(self) -> int | None:
        """The token that begins a text, if there is one."""
        ...

    @property
    def eos(self) -> int | None:
        """The token that ends a text, if there is one."""
        ...

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, and no others."""
        ...

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens; those that stand for none are left out."""
        ...

    def token_id(self, token: str) -> int | None:
        """The number of the token that is written so; None where there is none."""
        ...


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A decoder with its tokenizer.

    Args:
        params: as `initial_params` lays them out.
        config: the decoder's sizes.
        tokenizer: makes tokens of text.
        bos: the token that begins each text; None for none.
        stop: tokens that end a text.
    """

    params: Mapping[str, Any]
    config: DecoderConfig
    tokenizer: Speaks
    bos: int | None
    stop: tuple[int, ...]

    @classmethod
    def of_run(cls, trained: Trained) -> LanguageModel:
        """The model of a checkpoint; texts begin and end as those did that it was trained on.

        It computes in the dtype of its parameters, whatever the run's precision was.

        Raises:
            ConfigError: the run's model is no decoder, or its data are no text.
            DataError: the tokenizer's file is another now.
        """
        config, reader = decoder_of(trained)
        if reader is None:
            raise ConfigError(
                f"{trained.path}: its data are {trained.config.data.name!r}, which has no "
                "tokenizer; expected a run over text"
            )
        stop = () if reader.eos is None else (reader.eos,)
        params = trained.merged()
        return cls(params, config, reader.tokenizer, reader.bos, stop)

    @classmethod
    def of_files(
        cls,
        path: str | os.PathLike[str],
        *,
        tokenizer: str | os.PathLike[str] | None = None,
        dtype: str | None = None,
    ) -> LanguageModel:
        """The model in files of others; texts begin with the tokenizer's bos, where it has one.

        Those that `export` wrote of a run begin and end as the run's.

        Args:
            path: a directory of Hugging Face, or a `.bin` of llama2.c.
            tokenizer: its file; by default the directory's `tokenizer.json`, or else
                `tokenizer.model`.
            dtype: of the parameters; by default that of the files.

        Raises:
            ConfigError: it is not there, or a model of another kind, or no tokenizer is found.
            DataError: a file is broken.
        """
        from jaxtrain.data.text import read_tokenizer

        path = typed_path(os.fspath(path), what="model")
        decoder_files.read_config(path)  # where there is no model, nobody misses a tokenizer
        found = (
            tokenizer_file(path)
            if tokenizer is None
            else typed_path(os.fspath(tokenizer), what="tokenizer")
        )
        speaks = read_tokenizer(found.name, root=str(found.parent))
        config, params = decoder_files.load(path, dtype=dtype)
        if (said := read_bounds(path)) is not None:
            return cls(params, config, speaks, *said)
        stop = {*stop_tokens(path), *([] if speaks.eos is None else [speaks.eos])}
        # A tokenizer may know more tokens than the model has.
        ends = tuple(sorted(token for token in stop if token < config.vocab_size))
        return cls(params, config, speaks, speaks.bos, ends)

    def prompt(self, text: str) -> list[int]:
        """The tokens of a text that is to go on.

        Raises:
            ConfigError: it has none, and there is no token that begins a text; or it has characters
                that the tokenizer has no token for.
        """
        begin = [] if self.bos is None else [self.bos]
        tokens = begin + (self.tokenizer.encode(text) if text else [])
        unknown = {self.tokenizer.token_id(name) for name in _UNKNOWN}
        if unknown.intersection(tokens):
            encode = self.tokenizer.encode
            strange = [one for one in dict.fromkeys(text) if unknown.intersection(encode(one))]
            raise ConfigError(
                f"prompt: the tokenizer has no token for {strange or text!r:.80}; the model "
                "has not learnt to read that"
            )
        if not tokens:
            raise ConfigError(
                "prompt: is empty, and no token begins a text here; begin it with a word"
            )
        return tokens

    def write(
        self,
        prompt: str,
        *,
        max_new_tokens: int | None = None,
        temperature: float = 0.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
        chunk: int = 8,
    ) -> Iterator[str]:
        """What follows a prompt, piece by piece, without the prompt.

        What is wrong is told at once, not when the first piece is asked for.

        Args:
            prompt: a text.
            max_new_tokens: at most so many; by default 256, or what there is room for.
            temperature: see `Sampling`; 0 takes the likeliest token.
            top_k: likewise.
            top_p: likewise.
            seed: of what is drawn.
            chunk: how many tokens come at a time.

        Raises:
            ConfigError: an option is out of range, or there is no room behind the prompt.
            NonFiniteError: the logits are NaN or Inf.
        """
        tokens = self.prompt(prompt)
        room = self.config.max_length - len(tokens)
        # What the tokenizer has no text for is never written.
        most = min(self.tokenizer.vocab_size, self.config.vocab_size)
        news = Generator(self.params, self.config, tokens=most).stream(
            [tokens],
            max_new_tokens=max(1, min(DEFAULT_NEW_TOKENS, room))
            if max_new_tokens is None
            else max_new_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            stop=self.stop,
            rng=jax.random.key(seed),
            chunk=chunk,
        )
        return _texts(TextStream(self.tokenizer.decode, tokens), news)


def _texts(stream: TextStream, news: Iterator[list[Any]]) -> Iterator[str]:
    for tokens, *_ in news:
        if text := stream.added(tokens):
            yield text
    if text := stream.rest():
        yield text
