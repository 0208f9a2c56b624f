"""Tokens that a caller hands over, checked before anything is computed.

prompt = token_ids([1, 403, 407], vocab_size=512, what="prompt 0")
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxtrain.errors import DataError


def token_ids(tokens: Any, *, vocab_size: int | None = None, what: str) -> np.ndarray:
    """`tokens` as one row of int32, not empty.

    Args:
        tokens: whole numbers: a list, an array.
        vocab_size: what they are to be below; None where that is not known.
        what: how an error names them.

    Raises:
        DataError: they are something else, there is none, or one is no token.
    """
    try:
        found = np.asarray(tokens)
    except ValueError as error:  # rows of unequal lengths
        raise DataError(f"{what}: expected one row of tokens, found {error}") from None
    if found.ndim == 1 and not len(found):
        raise DataError(f"{what}: is empty; begin it with the tokenizer's bos, where it has one")
    if found.ndim != 1 or not np.issubdtype(found.dtype, np.integer):
        raise DataError(
            f"{what}: expected one row of whole numbers, found {found.dtype} {list(found.shape)}"
        )
    below = np.iinfo(np.int32).max if vocab_size is None else vocab_size
    wrong = (found < 0) | (found >= below)
    if wrong.any():
        place = int(wrong.argmax())
        raise DataError(
            f"{what}: expected tokens from 0 to {below - 1}, found {found[place]} at {place}; is "
            "it another model's tokenizer?"
        )
    return found.astype(np.int32)
