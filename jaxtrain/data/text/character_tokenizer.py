"""Characters as tokens, those of the training text.

    tokenizer = CharacterTokenizer.fit(["first ", "citizen"])
    tokenizer.encode("city")                                 # "y" was never seen: the unknown token

Axis letters: T tokens of a text, K characters.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from jaxtrain.data.text.tokenizer import known_ids, whole_text
from jaxtrain.errors import DataError

_SPECIAL = ("<unknown>", "<bos>", "<eos>")


class CharacterTokenizer:
    """Tokens 0 to K - 1 are characters in the order of their code points.

    K is any other character, K + 1 begins a text, K + 2 ends it.

    Args:
        characters: the K characters.

    Raises:
        DataError: none, one twice, or out of order.
    """

    pad: int | None = None

    def __init__(self, characters: str) -> None:
        if not characters:
            raise DataError("a vocabulary of characters: expected at least one, found none")
        if list(characters) != sorted(set(characters)):
            raise DataError("a vocabulary of characters: expected each once, in their order")
        whole_text(characters)
        self.characters = characters
        self.unknown = len(characters)
        self.bos: int | None = self.unknown + 1
        self.eos: int | None = self.unknown + 2
        self.vocab_size = self.unknown + len(_SPECIAL)

    @classmethod
    def fit(cls, texts: Iterable[str]) -> CharacterTokenizer:
        """Of all characters that the texts have.

        >>> CharacterTokenizer.fit(["abba", "c"]).encode("cab")
        [2, 0, 1]
        """
        found: set[str] = set()
        for text in texts:
            found.update(text)
        return cls("".join(sorted(found)))

    @cached_property
    def _table(self) -> np.ndarray:
        """The token of each code point; beyond the last character all are unknown."""
        codes = [ord(character) for character in self.characters]
        table = np.full(codes[-1] + 2, self.unknown, np.int32)
        table[codes] = np.arange(len(codes))
        return table

    def encode(self, text: str) -> list[int]:
        """A token a character."""
        ids: list[int] = self._encoded(text).tolist()
        return ids

    def encode_all(self, texts: Sequence[str]) -> list[np.ndarray]:
        """A token a character, of each text."""
        return [self._encoded(text) for text in texts]

    def _encoded(self, text: str) -> np.ndarray:
        whole_text(text)
        codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        return self._table[np.minimum(codes, len(self._table) - 1)]

    def decode(self, tokens: Iterable[int]) -> str:
        """The text; the unknown token shows as U+FFFD."""
        letters = [*self.characters, "\ufffd", "", ""]
        return "".join(letters[token] for token in known_ids(tokens, self.vocab_size))

    def token_id(self, token: str) -> int | None:
        """That of a character, or of `<unknown>`, `<bos>` and `<eos>`."""
        if token in _SPECIAL:
            return self.unknown + _SPECIAL.index(token)
        found = self.characters.find(token) if len(token) == 1 else -1
        return None if found < 0 else found

    def digest(self) -> str:
        """Which characters."""
        return f"characters:{hashlib.sha256(self.characters.encode()).hexdigest()}"

    def state(self) -> Mapping[str, Any]:
        """Its kind, and the characters."""
        return {"kind": "characters", "characters": self.characters}
