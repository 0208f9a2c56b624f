"""Bytes of UTF-8 as tokens: any text, no file.

tokenizer = ByteTokenizer()
tokenizer.encode("né")                                   # [110, 195, 169]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxtrain.data.text.tokenizer import known_ids, whole_text

_BYTES = 256


class ByteTokenizer:
    """Tokens 0 to 255 are bytes, 256 begins a text, 257 ends it."""

    vocab_size = _BYTES + 2
    bos: int | None = _BYTES
    eos: int | None = _BYTES + 1
    pad: int | None = None

    def encode(self, text: str) -> list[int]:
        """The bytes.

        >>> ByteTokenizer().decode(ByteTokenizer().encode("né"))
        'né'
        """
        return list(whole_text(text))

    def encode_all(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The bytes of each text."""
        return [np.frombuffer(whole_text(text), np.uint8).astype(np.int32) for text in texts]

    def decode(self, tokens: Iterable[int]) -> str:
        """The text; bytes that are none show as U+FFFD."""
        ids = known_ids(tokens, self.vocab_size)
        return bytes(token for token in ids if token < _BYTES).decode(errors="replace")

    def token_id(self, token: str) -> int | None:
        """`<bos>` and `<eos>` have names."""
        return {"<bos>": self.bos, "<eos>": self.eos}.get(token)

    def digest(self) -> str:
        """There is but one."""
        return "bytes"

    def state(self) -> Mapping[str, Any]:
        """Its kind."""
        return {"kind": "bytes"}
