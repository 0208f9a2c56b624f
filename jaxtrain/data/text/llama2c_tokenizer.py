"""Tokenizers of llama2.c, in files called `tokenizer.bin` or `tok512.bin`.

    tokenizer = Llama2cTokenizer(Path("stories260k/tok512.bin"))
    tokenizer.encode("Once upon a time")                     # [403, 407, 261, 378]

Format, little endian: int32, the bytes of the longest piece; then float32 score, int32 length and
that many bytes for each piece. Tokens: 0 unknown, 1 begins, 2 ends, 3 to 258 are bytes, then
pieces. Source: https://github.com/karpathy/llama2.c (tokenizer.py, run.c).
"""

from __future__ import annotations

import heapq
import math
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxtrain.data.text.tokenizer import known_ids, whole_text
from jaxtrain.data.text.tokenizer_file import TokenizerFile

_FIRST_BYTE = 3
_PIECE = struct.Struct("<fi")
_BYTE = re.compile(rb"<0x([0-9A-F]{2})>")
_CONTROL = 3  # unknown, bos, eos
_MOST = 2**20  # pieces


class Llama2cTokenizer:
    """The tokenizer in a file of llama2.c.

    Args:
        path: the file.

    Attributes:
        file: what it was read from.

    Raises:
        DataNotFoundError: there is none.
        DataError: it is none.
    """

    bos: int | None = 1
    eos: int | None = 2
    pad: int | None = None

    def __init__(self, path: Path) -> None:
        self.file = TokenizerFile.read(path)
        self._pieces, self._scores = _read(self.file)
        self.vocab_size = len(self._pieces)
        # Of two of the same bytes the first counts.
        self._ids = {piece: n for n, piece in reversed(list(enumerate(self._pieces)))}

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, a space put before it as in training.

        Characters, and where there is none the bytes of one, are merged two by two, the pair of the
        highest score first and of equal ones the leftmost, until no pair is a piece.
        """
        whole_text(text)
        if not text:
            return []
        tokens: list[int] = []
        for letter in " " + text:
            data = letter.encode()
            found = self._ids.get(data)
            tokens += [_FIRST_BYTE + byte for byte in data] if found is None else [found]
        return self._merged(tokens)

    def _merged(self, tokens: list[int]) -> list[int]:
        """In n log n: a chain of places, and a heap of the pairs that could be merged."""
        count = len(tokens)
        before, behind = list(range(-1, count - 1)), [*range(1, count), -1]
        waiting: list[tuple[float, int, int, int, int]] = []

        def look(left: int, right: int) -> None:
            if left >= 0 and right >= 0:
                merged = self._ids.get(self._pieces[tokens[left]] + self._pieces[tokens[right]])
                if merged is not None:
                    pair = (tokens[left], tokens[right])
                    heapq.heappush(waiting, (-self._scores[merged], left, *pair, merged))

        for place in range(count - 1):
            look(place, place + 1)
        while waiting:
            _, left, first, second, merged = heapq.heappop(waiting)
            right = behind[left]
            # One of the two has been merged with another since.
            if tokens[left] != first or right < 0 or tokens[right] != second:
                continue
            tokens[left], tokens[right] = merged, -1
            behind[left] = behind[right]
            if behind[left] >= 0:
                before[behind[left]] = left
            look(before[left], left)
            look(left, behind[left])
        return [token for token in tokens if token >= 0]

    def encode_all(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The tokens of each text."""
        return [np.array(self.encode(text), np.int32) for text in texts]

    def decode(self, tokens: Iterable[int]) -> str:
        """The text, without the space before it; bytes that are none show as U+FFFD."""
        data = b""
        for token in known_ids(tokens, self.vocab_size):
            piece = b"" if token < _CONTROL else self._pieces[token]
            byte = _BYTE.fullmatch(piece)
            data += bytes([int(byte[1], 16)]) if byte else piece
        return data.removeprefix(b" ").decode(errors="replace")

    def token_id(self, token: str) -> int | None:
        """The number of a piece, as the file writes it."""
        return self._ids.get(token.encode(errors="surrogatepass"))

    def digest(self) -> str:
        """Which file."""
        return f"llama2c:{self.file.digest}"

    def state(self) -> Mapping[str, Any]:
        """Which file."""
        return self.file.state()


def _read(file: TokenizerFile) -> tuple[list[bytes], list[float]]:
    data, place = file.data, 4
    longest = int.from_bytes(data[:4], "little", signed=True)
    if len(data) < 4 or not 0 < longest <= len(data):
        raise file.broken(f"expected the length of its longest piece first, found {longest}")
    pieces: list[bytes] = []
    scores: list[float] = []
    while place < len(data):
        if place + _PIECE.size > len(data):
            raise file.broken(f"truncated in piece {len(pieces)}")
        score, length = _PIECE.unpack_from(data, place)
        place += _PIECE.size
        if not 0 <= length <= longest or place + length > len(data):
            raise file.broken(
                f"piece {len(pieces)} has {length} bytes; the longest has {longest}, and "
                f"{len(data) - place} are left"
            )
        if not math.isfinite(score):
            raise file.broken(f"piece {len(pieces)} has the score {score}")
        pieces.append(data[place : place + length])
        scores.append(score)
        place += length
        if len(pieces) > _MOST:
            break
    if not _FIRST_BYTE + 256 <= len(pieces) <= _MOST:
        raise file.broken(f"{len(pieces)} pieces; expected {_FIRST_BYTE + 256} to {_MOST:,}")
    return pieces, scores
