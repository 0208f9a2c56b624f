"""Tokenizer: text becomes numbers, and numbers text again.

    tokenizer = read_tokenizer("tokenizer.json", root="data/stories")
    tokenizer.encode("Once upon a time")                     # [403, 407, 261, 378]
    tokenizer.decode([403, 407, 261, 378])                   # "Once upon a time"

Five kinds are behind this Protocol, a file each: bytes, characters, and the files of three
libraries. None of them adds a token that the text does not have: who wants a beginning or an end
puts `bos` and `eos` there.

Axis letters: T tokens of a text, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from jaxtrain.errors import ConfigError, DataError


@runtime_checkable
class Tokenizer(Protocol):
    """Text as tokens. What it does is fixed when it is made."""

    @property
    def vocab_size(self) -> int:
        """V: every token is below it."""
        ...

    @property
    def bos(self) -> int | None:
        """The token that begins a text; None where there is none, or it is not known which."""
        ...

    @property
    def eos(self) -> int | None:
        """The token that ends a text, likewise."""
        ...

    @property
    def pad(self) -> int | None:
        """The token that fills up, likewise."""
        ...

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, and no others.

        Raises:
            DataError: it can't be encoded.
        """
        ...

    def encode_all(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The tokens of each text, `[T]` int32 each; faster than one by one."""
        ...

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens. Those that stand for no text (bos, eos, pad) are left out.

        Raises:
            DataError: one of them is no token.
        """
        ...

    def token_id(self, token: str) -> int | None:
        """The number of the token that is written so; None where there is none."""
        ...

    def digest(self) -> str:
        """Says which tokenizer it is: equal digests give equal tokens."""
        ...

    def state(self) -> Mapping[str, Any]:
        """What `restored` makes it of again, as JSON values."""
        ...


def special_id(tokenizer: Tokenizer, wanted: bool | str, *, option: str) -> int | None:
    """The token that an option `bos` or `eos` asks for.

    Args:
        tokenizer: whose.
        wanted: False for none, True for the tokenizer's own, or how it is written.
        option: "bos" or "eos".

    Raises:
        ConfigError: the tokenizer has none.
    """
    if wanted is False:
        return None
    found: int | None
    if wanted is True:
        found = tokenizer.bos if option == "bos" else tokenizer.eos
        if found is None:
            raise ConfigError(
                f"data.{option}: the tokenizer does not say which token that is; write it, as "
                f"data.{option}='<s>', or set data.{option}=false"
            )
        return found
    found = tokenizer.token_id(wanted)
    if found is None:
        raise ConfigError(f"data.{option}: the tokenizer has no token {wanted!r}")
    return found


def whole_text(text: str) -> bytes:
    """A text in UTF-8.

    Raises:
        DataError: it has half a character (a lone surrogate), which no text can have.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"not text: half a character, U+{ord(text[error.start]):04X}, at {error.start} of "
            f"{text[max(0, error.start - 20) : error.start + 20]!r}"
        ) from None


def known_ids(tokens: Iterable[int], vocab_size: int) -> list[int]:
    """The tokens as whole numbers.

    Raises:
        DataError: one of them is none of the vocabulary's.
    """
    ids = [int(token) for token in tokens]
    for token in ids:
        if not 0 <= token < vocab_size:
            raise DataError(f"token {token}: expected 0 to {vocab_size - 1}")
    return ids
