"""Documents: what is tokenised, one after the other, never all at once.

    documents = TextDocuments((Path("input.txt"),))
    [piece.text for piece in documents.pieces()]
    documents.selected(np.array([True, False, True]))
    documents.stretch(0, 1_000_000)

Axis letters: D documents.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from jaxtrain.data.text.reading import file_digest, text_parts
from jaxtrain.data.text.records import Record, holds_records, records
from jaxtrain.data.text.unicode_names import unicode_names

PORTION = 2**21
"""Characters; a longer document is tokenised in parts of that size, each from a line's beginning
where there is one. At their borders a merge may be another than in one piece."""


class Piece(NamedTuple):
    """A document, or the next part of one that is long.

    Args:
        text: what is to be learnt.
        prompt: what stands before it, and is not.
        last: whether the document ends with it.
    """

    text: str
    prompt: str = ""
    last: bool = True


class Documents(Protocol):
    """Documents in their order."""

    @property
    def prompted(self) -> bool:
        """Whether they have prompts."""
        ...

    def pieces(self) -> Iterator[Piece]:
        """All of them, piece by piece; a new reading each time."""
        ...

    def digest(self) -> str:
        """Says which they are."""
        ...

    def count(self) -> int:
        """D, counted by reading."""
        ...

    def selected(self, chosen: np.ndarray) -> Documents:
        """Those for which `chosen` `[D]` is true."""
        ...


@dataclass(frozen=True, eq=False)
class TextDocuments:
    """Documents of plain files and of files of records.

    Args:
        files: in their order; None stands for the text that every Python has.
        separator: what stands between two documents of a plain file; None: each file is one.
        field: the text's name in a record.
        columns: the names of a table's columns, where it has no header.
        chosen: `[D]`, which documents count; None for all.
        characters: the first character, and the one behind the last, of one plain document.
    """

    files: tuple[Path | None, ...]
    separator: str | None = None
    field: str = "text"
    columns: tuple[str, ...] = ()
    chosen: np.ndarray | None = None
    characters: tuple[int, int] | None = None

    prompted = False

    def pieces(self) -> Iterator[Piece]:
        """All that count."""
        yield from only(self.chosen, self._all())

    def digest(self) -> str:
        """Of the files' bytes, and of what is read of them."""
        found = [None if file is None else file_digest(file) for file in self.files]
        return digest_of(
            found, self.separator, self.field, self.columns, self.characters, chosen=self.chosen
        )

    def count(self) -> int:
        """D, of all there are."""
        return sum(piece.last for piece in self._all())

    def length(self) -> int:
        """How many characters the plain files have."""
        return sum(len(part) for file in self.files for part in _parts(file))

    def selected(self, chosen: np.ndarray) -> TextDocuments:
        """Those for which `chosen` `[D]` is true."""
        return replace(self, chosen=chosen)

    def stretch(self, start: int, stop: int) -> TextDocuments:
        """The characters from `start` to below `stop` of a text that is one document."""
        return replace(self, characters=(start, stop))

    def _all(self) -> Iterator[Piece]:
        for file in self.files:
            if file is not None and holds_records(file):
                for record in records(file, self.columns):
                    yield Piece(record.cell(self.field))
            else:
                parts = _parts(file)
                if self.characters is not None:
                    parts = stretched(parts, *self.characters)
                yield from cut(parts, self.separator)


@dataclass(frozen=True, eq=False)
class RecordDocuments:
    """Documents that are made of records: a prompt, and what is to be said to it.

    Args:
        files: of records, in their order.
        render: what a record becomes.
        words: says in words what `render` does.
        columns: the names of a table's columns, where it has no header.
        chosen: `[D]`, which documents count; None for all.
    """

    files: tuple[Path, ...]
    render: Callable[[Record], Piece]
    words: str
    columns: tuple[str, ...] = ()
    chosen: np.ndarray | None = None

    prompted = True

    def records(self) -> Iterator[Record]:
        """The records that count."""
        every = (record for file in self.files for record in records(file, self.columns))
        for number, record in enumerate(every):
            if self.chosen is None or self.chosen[number]:
                yield record

    def pieces(self) -> Iterator[Piece]:
        """All that count."""
        return (self.render(record) for record in self.records())

    def digest(self) -> str:
        """Of the files' bytes, and of what is made of them."""
        found = [file_digest(file) for file in self.files]
        return digest_of(found, self.words, self.columns, chosen=self.chosen)

    def count(self) -> int:
        """D, of all there are."""
        return sum(1 for file in self.files for _ in records(file, self.columns))

    def selected(self, chosen: np.ndarray) -> RecordDocuments:
        """Those for which `chosen` `[D]` is true."""
        return replace(self, chosen=chosen)


def digest_of(*what: Any, chosen: np.ndarray | None) -> str:
    """The sha256 (hex) of values that JSON knows, and of what was chosen."""
    digest = hashlib.sha256(json.dumps(what).encode())
    if chosen is not None:
        digest.update(np.packbits(chosen).tobytes() + str(len(chosen)).encode())
    return digest.hexdigest()


def only(chosen: np.ndarray | None, pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The pieces of the documents that were chosen."""
    number = 0
    for piece in pieces:
        if chosen is None or chosen[number]:
            yield piece
        number += piece.last


def cut(parts: Iterable[str], separator: str | None) -> Iterator[Piece]:
    """The documents of a text that comes in parts, a separator between each two.

    Where documents begin does not depend on where the parts end. There is a document behind the
    last separator only if there is something.
    """
    rest, begun = "", False
    for part in parts:
        rest += part
        if separator is not None and separator in rest:
            *whole, rest = rest.split(separator)
            for text in whole:
                yield Piece(text)
            begun = False
        # A separator can't begin in what is cut off, or it would have been found.
        while len(rest) >= PORTION + len(separator or ""):
            place = rest.rfind("\n", 0, PORTION) + 1 or PORTION
            yield Piece(rest[:place], last=False)
            rest, begun = rest[place:], True
    if rest or begun:
        yield Piece(rest)


def _parts(file: Path | None) -> Iterator[str]:
    return iter([unicode_names()]) if file is None else text_parts(file)


def stretched(parts: Iterable[str], start: int, stop: int) -> Iterator[str]:
    """The characters from `start` to below `stop` of a text that comes in parts."""
    done = 0
    for part in parts:
        yield part[max(0, start - done) : max(0, stop - done)]
        done += len(part)
        if done >= stop:
            return
