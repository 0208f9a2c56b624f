"""Tokenizers of Google's library SentencePiece, in files called `tokenizer.model`.

    tokenizer = SentencePieceTokenizer(Path("mistral/tokenizer.model"))
    tokenizer.encode("Hello")                                # [22557]

It wants the extra `jaxtrain[text]`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxtrain.data.text.tokenizer import known_ids, whole_text
from jaxtrain.data.text.tokenizer_file import TokenizerFile, without_library


class SentencePieceTokenizer:
    """The tokenizer in a SentencePiece model.

    Args:
        path: the file.

    Attributes:
        file: what it was read from.

    Raises:
        DataNotFoundError: there is none.
        ConfigError: the library is missing.
        DataError: it is none.
    """

    def __init__(self, path: Path) -> None:
        self.file = TokenizerFile.read(path)
        try:
            import sentencepiece  # an extra
        except ImportError as error:
            raise without_library(path, "sentencepiece", error) from error
        self._made = sentencepiece.SentencePieceProcessor()
        with self._as_data_error():
            self._made.LoadFromSerializedProto(self.file.data)
            self._made.encode("a")  # an empty model shows itself only here
        self.vocab_size: int = self._made.get_piece_size()
        self.bos = _there(self._made.bos_id())
        self.eos = _there(self._made.eos_id())
        self.pad = _there(self._made.pad_id())

    def encode(self, text: str) -> list[int]:
        """The tokens of a text."""
        whole_text(text)
        with self._as_data_error():
            ids: list[int] = self._made.encode(text)
        return ids

    def encode_all(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The tokens of each text, on all cores."""
        for text in texts:
            whole_text(text)
        with self._as_data_error():
            return [np.array(ids, np.int32) for ids in self._made.encode(list(texts))]

    def decode(self, tokens: Iterable[int]) -> str:
        """The text; control tokens are left out."""
        ids = known_ids(tokens, self.vocab_size)
        with self._as_data_error():
            text: str = self._made.decode(ids)
        return text

    def token_id(self, token: str) -> int | None:
        """The number of a piece, as the model writes it."""
        with self._as_data_error():
            found: int = self._made.piece_to_id(token)
            return found if self._made.id_to_piece(found) == token else None

    def digest(self) -> str:
        """Which file."""
        return f"sentencepiece:{self.file.digest}"

    def state(self) -> Mapping[str, Any]:
        """Which file."""
        return self.file.state()

    @contextlib.contextmanager
    def _as_data_error(self) -> Iterator[None]:
        """A model may load that can't be used: pieces that are no text, for one."""
        try:
            yield
        except (RuntimeError, ValueError, IndexError, OSError) as error:
            raise self.file.broken(error) from None


def _there(token: int) -> int | None:
    return token if token >= 0 else None
