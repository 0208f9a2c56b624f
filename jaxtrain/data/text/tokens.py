"""Tokens of documents, end to end in one array.

    tokens = gathered([Encoded(np.array([4, 5, 6])), Encoded(np.array([7]))], vocab_size=8)
    tokens.flat, tokens.offsets                              # [4, 5, 6, 7], [0, 3, 4]

In memory, or mapped from files. Axis letters: T tokens, D documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxtrain.data.fingerprint import fingerprint
from jaxtrain.errors import DataError

FLAT, OFFSETS, COUNTS = "flat", "offsets", "counts"


class Encoded(NamedTuple):
    """The tokens of a document, or of the next part of one.

    Args:
        tokens: `[T]` int32.
        counts: `[T]` bool, which of them are to be learnt; None for all.
        last: whether the document ends with it.
    """

    tokens: np.ndarray
    counts: np.ndarray | None = None
    last: bool = True


@dataclass(frozen=True, eq=False)
class Tokens:
    """All tokens of a set.

    Args:
        flat: `[T]` unsigned integers.
        offsets: `[D + 1]` int64, where each document begins; the last one is T.
        counts: `[T]` bool, which tokens are to be learnt; None for all.
        digest: says which they are.
        folder: where they are mapped from; None where they are in memory.
    """

    flat: np.ndarray
    offsets: np.ndarray
    counts: np.ndarray | None
    digest: str
    folder: Path | None = None

    def __len__(self) -> int:
        return len(self.flat)

    @property
    def documents(self) -> int:
        """D."""
        return len(self.offsets) - 1

    @classmethod
    def of(cls, arrays: dict[str, np.ndarray], folder: Path | None = None) -> Tokens:
        """With their digest, for which all of them are read."""
        return cls(
            arrays[FLAT], arrays[OFFSETS], arrays.get(COUNTS), fingerprint(arrays), folder=folder
        )

    @classmethod
    def mapped(cls, folder: Path, names: tuple[str, ...], digest: str) -> Tokens:
        """Those in the files of a folder, which have this digest: it is not computed."""
        arrays = mapped_arrays(folder, names)
        return cls(arrays[FLAT], arrays[OFFSETS], arrays.get(COUNTS), digest, folder=folder)

    def __reduce__(self) -> tuple[Any, ...]:
        # A map sent to another process would arrive as a copy of the whole file.
        if self.folder is None:
            return Tokens, (self.flat, self.offsets, self.counts, self.digest)
        return Tokens.mapped, (self.folder, array_names(self.counts is not None), self.digest)


def array_names(counted: bool) -> tuple[str, ...]:
    """Which arrays there are: with `counts`, or without."""
    return (FLAT, OFFSETS, COUNTS) if counted else (FLAT, OFFSETS)


def mapped_arrays(folder: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The arrays in the files of a folder, by name.

    Raises:
        OSError, ValueError: a file is missing or broken.
    """
    return {name: np.lib.format.open_memmap(array_path(folder, name), mode="r") for name in names}


def array_path(folder: Path, name: str) -> Path:
    """The file of an array."""
    return folder / f"{name}.npy"


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    """The smallest that holds every token."""
    return np.dtype(np.uint16 if vocab_size <= 2**16 else np.uint32)


def gathered(encoded: Iterable[Encoded], *, vocab_size: int) -> Tokens:
    """Tokens in memory.

    Raises:
        DataError: fewer than two tokens, or one that is none.
    """
    flat: list[np.ndarray] = []
    counts: list[np.ndarray] = []
    offsets = laid_end_to_end(encoded, flat.append, counts.append, vocab_size=vocab_size)
    arrays = {FLAT: np.concatenate(flat), OFFSETS: offsets}
    if counts:
        arrays[COUNTS] = np.concatenate(counts)
    return Tokens.of(arrays)


def laid_end_to_end(
    encoded: Iterable[Encoded],
    add: Callable[[np.ndarray], object],
    add_counts: Callable[[np.ndarray], object],
    *,
    vocab_size: int,
) -> np.ndarray:
    """Hand the tokens on, part by part, and say where the documents begin.

    Args:
        encoded: documents, or parts of them; either all have `counts` or none has.
        add: is given tokens, of the dtype that they are kept in.
        add_counts: is given which of them are to be learnt.
        vocab_size: all tokens are below it.

    Returns:
        `[D + 1]` int64.

    Raises:
        DataError: fewer than two tokens, or one that is none.
    """
    dtype, total, offsets = token_dtype(vocab_size), 0, [0]
    for tokens, counts, last in encoded:
        if len(tokens) and not 0 <= int(tokens.min()) <= int(tokens.max()) < vocab_size:
            raise DataError(
                f"document {len(offsets) - 1}: tokens from {tokens.min()} to {tokens.max()}; "
                f"expected 0 to {vocab_size - 1}"
            )
        total += len(tokens)
        if len(tokens):
            add(tokens.astype(dtype))
            if counts is not None:
                add_counts(counts.astype(bool))
        if last and total > offsets[-1]:  # an empty document is none
            offsets.append(total)
    if total > offsets[-1]:
        offsets.append(total)
    if total < 2:
        raise DataError(
            f"{total} tokens in all documents; a model learns from one token what the next one is, "
            "so expected at least two"
        )
    return np.array(offsets, np.int64)
