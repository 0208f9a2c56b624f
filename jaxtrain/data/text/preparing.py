"""From documents to the sets of a run: what all sources of text share.

files = find_files("data/stories", "*.txt", option="path")
prepared = Prepared({"train": documents}, options, fitted=None, layout="stream")
prepared.rows("train")
"""

from __future__ import annotations

import glob
import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pydantic

from jaxtrain.data.find_file import find_file
from jaxtrain.data.text.character_tokenizer import CharacterTokenizer
from jaxtrain.data.text.dividing import divide
from jaxtrain.data.text.documents import Documents, RecordDocuments, TextDocuments
from jaxtrain.data.text.encoding import encode
from jaxtrain.data.text.packing import Layout, Packing
from jaxtrain.data.text.records import RECORD_ENDINGS, holds_records
from jaxtrain.data.text.text_reader import TextReader, tokenizer_of
from jaxtrain.data.text.token_cache import cached
from jaxtrain.data.text.token_rows import TokenRows
from jaxtrain.data.text.tokenizer import Tokenizer, special_id
from jaxtrain.data.text.tokenizers import CHARACTERS, read_tokenizer
from jaxtrain.data.text.tokens import Tokens, gathered
from jaxtrain.errors import ConfigError, DataError, DataNotFoundError
from jaxtrain.files.paths import typed_path

logger = logging.getLogger(__name__)

CACHE = ".jaxtrain-tokens"
"""The directory of the cache below a root, where an option names no other."""

_VERSION = 1  # of what is kept: another one is not found under its name
_LOOKED_AT = 2**24  # tokens at a time
_GLOB = "*?["

Length = Annotated[int, pydantic.Field(ge=1, le=2**20)]
Fraction = Annotated[float, pydantic.Field(gt=0, lt=1)]
SplitSeed = Annotated[int, pydantic.Field(ge=0, lt=2**31)]


def find_files(root: str, pattern: str, *, option: str) -> tuple[Path, ...]:
    """The files that an option names: one, or with `*`, `?` and `[]` several, sorted.

    Args:
        root: their directory.
        pattern: a path below it, or an absolute one; where it is missing, the same with `.gz`.
        option: what messages call it.

    Raises:
        DataNotFoundError: there is none.
    """
    remedy = f"set data.root to the directory that holds it, or data.{option} to its name"
    try:
        return (find_file(root, pattern, remedy=remedy),)
    except DataNotFoundError:
        if not set(pattern) & set(_GLOB):
            raise
    base = typed_path(root, what="data.root") / typed_path(pattern, what=f"data.{option}")
    found = tuple(sorted(Path(name) for name in glob.glob(str(base)) if Path(name).is_file()))
    if not found:
        raise DataNotFoundError(f"data files not found: {base.absolute()}; {remedy}")
    return found


@dataclass(frozen=True)
class TextOptions:
    """The options that all sources of text have.

    Args:
        root: the directory of the files.
        length: the places of a row.
        tokenizer: "bytes", "characters", or a file.
        bos: whether a token begins each document, and which.
        eos: whether a token ends each document, and which.
        cache: where tokens are kept; None: below `root`.
    """

    _: KW_ONLY
    root: str
    length: int
    tokenizer: str
    bos: bool | str
    eos: bool | str
    cache: str | None


class Prepared:
    """Documents as packed rows.

    Args:
        documents: by set.
        options: the source's.
        fitted: what the reader of a trained model says of itself.
        layout: "stream" or "whole".

    Attributes:
        reader: the tokenizer, as the run keeps it.
        packings: the rows of each set.

    Raises:
        ConfigError: an option that does not fit, or the library of a tokenizer is missing.
        DataError: a document, or the tokenizer, is broken.
    """

    def __init__(
        self,
        documents: Mapping[str, Documents],
        options: TextOptions,
        *,
        fitted: Mapping[str, Any] | None,
        layout: Layout,
    ) -> None:
        tokenizer = _tokenizer(documents, options, fitted)
        self.reader = TextReader(
            tokenizer,
            bos=special_id(tokenizer, options.bos, option="bos"),
            eos=special_id(tokenizer, options.eos, option="eos"),
        )
        tokens = {
            name: _tokens(self.reader, one, options, what=name) for name, one in documents.items()
        }
        # All sets alike: a batch has the same arrays in training and evaluation.
        segmented = any(one.documents > 1 for one in tokens.values())
        self.packings = {
            name: Packing.of(one, length=options.length, layout=layout, segmented=segmented)
            for name, one in tokens.items()
        }

    def rows(self, part: str, *, name: str) -> TokenRows | None:
        """The rows of a set; None where it is none."""
        if part not in self.packings:
            return None
        return TokenRows(
            self.packings[part], vocab_size=self.reader.tokenizer.vocab_size, name=name
        )


def _tokenizer(
    documents: Mapping[str, Documents], options: TextOptions, fitted: Mapping[str, Any] | None
) -> Tokenizer:
    if fitted is not None:
        return tokenizer_of(fitted, options.tokenizer, root=options.root)
    if options.tokenizer != CHARACTERS:
        return read_tokenizer(options.tokenizer, root=options.root)
    made = CharacterTokenizer.fit(
        text for piece in documents["train"].pieces() for text in (piece.prompt, piece.text)
    )
    logger.info("%d different characters in the training text", made.unknown)
    return made


def _tokens(reader: TextReader, documents: Documents, options: TextOptions, *, what: str) -> Tokens:
    tokenizer = reader.tokenizer

    def make() -> Any:
        return encode(
            tokenizer,
            documents.pieces(),
            bos=reader.bos,
            eos=reader.eos,
            prompted=documents.prompted,
        )

    try:
        if isinstance(documents, TextDocuments) and None in documents.files:
            made = gathered(make(), vocab_size=tokenizer.vocab_size)
        else:
            made = cached(
                _cache(options),
                _key(reader, documents),
                make,
                vocab_size=tokenizer.vocab_size,
                counted=documents.prompted,
                what=what,
            )
    except DataError as error:
        raise DataError(f"{what}: {error}") from None
    if isinstance(tokenizer, CharacterTokenizer):
        _tell_of_unknown(tokenizer, made, what)
    return made


def _cache(options: TextOptions) -> Path:
    if options.cache is not None:
        return typed_path(options.cache, what="data.cache")
    return typed_path(options.root, what="data.root") / CACHE


def _key(reader: TextReader, documents: Documents) -> str:
    made_of = [_VERSION, reader.tokenizer.digest(), reader.bos, reader.eos, documents.digest()]
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:32]


def _tell_of_unknown(tokenizer: CharacterTokenizer, tokens: Tokens, what: str) -> None:
    count = sum(
        int(np.count_nonzero(tokens.flat[first : first + _LOOKED_AT] == tokenizer.unknown))
        for first in range(0, len(tokens), _LOOKED_AT)
    )
    if count:
        logger.warning(
            "%s: %d of %d characters are none of the training text's, and all become one token",
            what,
            count,
            len(tokens),
        )


def record_sets(
    make: Callable[[tuple[Path, ...]], RecordDocuments],
    *,
    path: str,
    root: str,
    validation: str | None,
    test: str | None,
    fitted: object,
    **shares: Any,
) -> dict[str, RecordDocuments]:
    """The sets of a source of records.

    Args:
        make: makes documents of files.
        path: the option of that name.
        root: likewise.
        validation: likewise.
        test: likewise.
        fitted: what is not None where a model is trained, and the training files may be gone.
        shares: what `divide` is to know.

    Raises:
        DataNotFoundError: a file is missing.
        ConfigError: one is no file of records, or stands in two sets.
    """
    files = find_record_sets(path, root=root, validation=validation, test=test, fitted=fitted)
    sets = {part: make(paths) for part, paths in files.items()}
    if "train" not in sets:
        return sets
    return divide(sets.pop("train"), sets, **shares)


def find_record_sets(
    path: str, *, root: str, validation: str | None, test: str | None, fitted: object
) -> dict[str, tuple[Path, ...]]:
    """As `find_sets`, of files of records.

    Raises:
        ConfigError: besides, one is no file of records.
    """
    files = find_sets(path, root=root, validation=validation, test=test, fitted=fitted)
    for part, paths in files.items():
        for one in paths:
            if not holds_records(one):
                option = "path" if part == "train" else part
                raise ConfigError(
                    f"data.{option}: {one}: expected a file of records "
                    f"({', '.join(RECORD_ENDINGS)}), which its name is not"
                )
    return files


def find_sets(
    path: str, *, root: str, validation: str | None, test: str | None, fitted: object
) -> dict[str, tuple[Path, ...]]:
    """The files of each set that has its own.

    Args:
        path: the option of that name: the training files.
        root: the directory of the files.
        validation: the option of that name.
        test: the option of that name.
        fitted: what is not None where a model is trained, and the training files may be gone.

    Raises:
        DataNotFoundError: a file is missing.
        ConfigError: a file stands in two sets.
    """
    own = {
        part: find_files(root, name, option=part)
        for part, name in (("validation", validation), ("test", test))
        if name is not None
    }
    try:
        found = {"train": find_files(root, path, option="path"), **own}
    except DataNotFoundError:
        if fitted is None or not own:
            raise
        logger.info("%s is not there any more; what was fitted to it is", path)
        return own
    seen: dict[Path, str] = {}
    for part, paths in found.items():
        for one in paths:
            other = seen.setdefault(one.resolve(), part)
            if other != part:
                raise ConfigError(
                    f"data.{part}: {one} is in the {other} set, too; a model must not be judged "
                    "by what it has learnt"
                )
    return found
