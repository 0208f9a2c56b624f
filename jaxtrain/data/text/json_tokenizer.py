"""Tokenizers of Hugging Face's library `tokenizers`, in files called `tokenizer.json`.

    tokenizer = JsonTokenizer(Path("gpt2/tokenizer.json"))
    tokenizer.encode("Hello")                                # [15496]

What the file says about cutting off, filling up and adding tokens at the ends is left aside, and so
is dropout of merges: a text has one encoding, and all of it. Special tokens that stand in a text
are read as such. It wants the extra `jaxtrain[text]`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxtrain.data.text.tokenizer import known_ids, whole_text
from jaxtrain.data.text.tokenizer_file import TokenizerFile, without_library
from jaxtrain.errors import DataError, JaxtrainError

# How the files in use write them; `tokenizer_config.json` beside the file says it better.
_USUAL = {
    "bos": ("<s>", "<bos>", "<|begin_of_text|>", "<|endoftext|>"),
    "eos": ("</s>", "<eos>", "<|end_of_text|>", "<|endoftext|>"),
    "pad": ("<pad>", "[PAD]"),
}
_BESIDE = "tokenizer_config.json"


class JsonTokenizer:
    """The tokenizer in a `tokenizer.json`.

    Args:
        path: the file. Where a `tokenizer_config.json` lies beside it, that says which tokens begin
            and end a text; else those of its special tokens do that are called as is usual.

    Attributes:
        file: what it was read from.
        beside: the `tokenizer_config.json`, where there is one.

    Raises:
        DataNotFoundError: there is none.
        ConfigError: the library is missing.
        DataError: it is none.
    """

    def __init__(self, path: Path) -> None:
        self.file = TokenizerFile.read(path)
        beside = path.with_name(_BESIDE)
        there = beside != path and beside.is_file()
        self.beside = TokenizerFile.read(beside) if there else None
        try:
            import tokenizers  # an extra, and slow to import
        except ImportError as error:
            raise without_library(path, "tokenizers", error) from error
        text = self.file.text()
        with self._as_data_error():
            self._made = tokenizers.Tokenizer.from_str(text)
            self._made.no_truncation()
            self._made.no_padding()
            if getattr(self._made.model, "dropout", None):
                self._made.model.dropout = None
            vocabulary = self._made.get_vocab(with_added_tokens=True)
            special = [t.content for t in self._made.get_added_tokens_decoder().values()]
        if not vocabulary:
            raise self.file.broken("its vocabulary is empty")
        # Not how many there are: the numbers of added tokens may leave gaps.
        self.vocab_size = max(vocabulary.values()) + 1
        named = self._named()
        ids = {
            role: next((vocabulary[t] for t in named.get(role, usual) if t in vocabulary), None)
            for role, usual in ((r, [t for t in u if t in special]) for r, u in _USUAL.items())
        }
        self.bos: int | None = ids["bos"]
        self.eos: int | None = ids["eos"]
        self.pad: int | None = ids["pad"]

    def encode(self, text: str) -> list[int]:
        """The tokens of a text.

        Raises:
            DataError: it has a character that the vocabulary has not, nor an unknown token.
        """
        whole_text(text)
        with self._as_data_error():
            ids: list[int] = self._made.encode(text, add_special_tokens=False).ids
        return ids

    def encode_all(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The tokens of each text, on all cores."""
        for text in texts:
            whole_text(text)
        with self._as_data_error():
            encoded = self._made.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(one.ids, np.int32) for one in encoded]

    def decode(self, tokens: Iterable[int]) -> str:
        """The text; special tokens are left out."""
        ids = known_ids(tokens, self.vocab_size)
        with self._as_data_error():
            text: str = self._made.decode(ids, skip_special_tokens=True)
        return text

    def token_id(self, token: str) -> int | None:
        """The number of a token, as the file writes it."""
        found: int | None = self._made.token_to_id(token)
        return found

    def digest(self) -> str:
        """Which file."""
        return f"json:{self.file.digest}"

    def state(self) -> Mapping[str, Any]:
        """Which file."""
        return self.file.state()

    def _named(self) -> dict[str, list[str]]:
        """The tokens that the file beside names, by role."""
        if self.beside is None:
            return {}
        try:
            record = json.loads(self.beside.text())
        except (ValueError, RecursionError) as error:
            raise self.beside.broken(error) from None
        if not isinstance(record, dict):
            raise self.beside.broken(f"expected an object, found a {type(record).__name__}")
        named: dict[str, list[str]] = {}
        for role in _USUAL:
            token = record.get(f"{role}_token")
            token = token.get("content") if isinstance(token, dict) else token
            if isinstance(token, str):
                named[role] = [token]
        return named

    @contextlib.contextmanager
    def _as_data_error(self) -> Iterator[None]:
        try:
            yield
        except JaxtrainError:
            raise
        except Exception as error:  # the library has no errors of its own
            raise self.file.broken(error) from None
        except BaseException as error:
            if type(error).__name__ != "PanicException":  # what Rust throws; it has no public name
                raise
            raise DataError(f"{self.file.path}: the library gave up: {error!s:.300}") from None
