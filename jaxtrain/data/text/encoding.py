"""Documents as tokens, some at a time.

for encoded in encode(tokenizer, documents.pieces(), bos=1, eos=None): ...

Axis letters: T tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from jaxtrain.data.text.documents import PORTION, Piece
from jaxtrain.data.text.tokenizer import Tokenizer
from jaxtrain.data.text.tokens import Encoded
from jaxtrain.errors import DataError

_TOGETHER = 4096  # pieces


def encode(
    tokenizer: Tokenizer,
    pieces: Iterable[Piece],
    *,
    bos: int | None,
    eos: int | None,
    prompted: bool = False,
) -> Iterator[Encoded]:
    """The tokens of documents.

    A prompt and what follows it are encoded as the one text that they are. As prompt counts what
    the prompt alone gives, up to the first token that is another in the whole: that one has letters
    of both.

    Args:
        tokenizer: makes them.
        pieces: the documents.
        bos: a token that begins each document.
        eos: a token that ends each document; it is learnt.
        prompted: whether the documents have prompts.

    Raises:
        DataError: one can't be encoded; says which.
    """
    number, begun = 0, False
    for together in _together(pieces):
        encoded = _encoded(tokenizer, [piece.prompt + piece.text for piece in together], number)
        prompts = iter(_encoded(tokenizer, [p.prompt for p in together if p.prompt], number))
        for piece, tokens in zip(together, encoded, strict=True):
            asked = _shared(next(prompts), tokens) if piece.prompt else 0
            number += piece.last
            # An empty document is none, with or without what begins and ends it.
            if not (piece.text or piece.prompt or begun):
                continue
            before = [] if begun or bos is None else [bos]
            after = [eos] if piece.last and eos is not None else []
            tokens = np.concatenate([before, tokens, after]).astype(np.int32)
            counts = None
            if prompted:
                counts = np.arange(len(tokens)) >= len(before) + asked
            yield Encoded(tokens, counts, last=piece.last)
            begun = not piece.last


def _together(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    waiting: list[Piece] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece.prompt) + len(piece.text)
        if size >= PORTION or len(waiting) == _TOGETHER:
            yield waiting
            waiting, size = [], 0
    if waiting:
        yield waiting


def _encoded(tokenizer: Tokenizer, texts: list[str], first: int) -> list[np.ndarray]:
    try:
        return tokenizer.encode_all(texts)
    except DataError as error:
        for number, text in enumerate(texts):
            try:
                tokenizer.encode(text)
            except DataError as its:
                raise DataError(f"about document {first + number}: {its}") from None
        raise error


def _shared(prompt: np.ndarray, whole: np.ndarray) -> int:
    """How many tokens both begin with."""
    length = min(len(prompt), len(whole))
    different = np.flatnonzero(prompt[:length] != whole[:length])
    return int(different[0]) if len(different) else length
