"""Text as data: a model learns to say the next token.

    splits = text_files(0.1, seed=0, path="data/shakespeare/input.txt", tokenizer="characters")
    splits.train.arrays["inputs"].shape                      # (3486, 256)

Axis letters: L places of a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxtrain.data.sources import SOURCES
from jaxtrain.data.splits import Splits
from jaxtrain.data.text.dividing import divide
from jaxtrain.data.text.documents import TextDocuments
from jaxtrain.data.text.preparing import (
    Fraction,
    Length,
    Prepared,
    SplitSeed,
    TextOptions,
    find_files,
    find_sets,
)
from jaxtrain.errors import ConfigError


@SOURCES.register("text")
def text_files(
    validation_fraction: float,
    seed: int,
    fitted: Mapping[str, Any] | None = None,
    *,
    path: str | None = None,
    root: str = ".",
    validation: str | None = None,
    test: str | None = None,
    test_fraction: Fraction = 0.1,
    split_seed: SplitSeed = 0,
    length: Length = 256,
    tokenizer: str = "bytes",
    bos: bool | str = False,
    eos: bool | str = False,
    separator: str | None = None,
    field: str = "text",
    columns: tuple[str, ...] = (),
    cache: str | None = None,
) -> Splits:
    """Documents in plain files, or in the records of `.jsonl`, `.csv` and `.tsv` files.

    They are packed into rows of `length` tokens that are full: a document that does not fit goes on
    in the next row. A text that is one document is cut into training, validation and test, in that
    order; several documents are drawn.

    Args:
        validation_fraction: the share of the training documents, or of the one text, to hold out
            for validation; of no account where there is a file for it.
        seed: draws the validation documents.
        fitted: what the reader of a trained model says of itself; the training text may be gone.
        path: the training text, relative to `root`: a file, or several by `*`; plain or with `.gz`.
            null: a text that every Python has, the names of characters.
        root: the directory of the files; relative to the working directory.
        validation: the validation text, likewise.
        test: the test text, likewise.
        test_fraction: the share that makes the test set, where there is no file for it.
        split_seed: draws the test documents; not `seed`, so that runs with other seeds are measured
            on the same documents.
        length: L, the tokens of a row.
        tokenizer: "bytes"; "characters", those of the training text; or a file below `root`: a
            `tokenizer.json`, a SentencePiece `.model`, a `.bin` of llama2.c.
        bos: whether a token begins each document: true for the tokenizer's own, or how it is
            written, such as "<s>".
        eos: whether a token ends each document, likewise.
        separator: what stands between two documents of a plain file; null: each file is one.
        field: the text's name in a record.
        columns: the names of a table's columns, where it has no header.
        cache: a directory where tokens are kept; null: `.jaxtrain-tokens` below `root`.

    Raises:
        DataNotFoundError: a file is missing.
        ConfigError: an option that does not fit the files, or the library of a tokenizer is
            missing.
        DataError: a file or the tokenizer is broken; names the place.
    """
    if separator == "":
        raise ConfigError("data.separator: expected some characters, found none; leave it out")
    if path is None and (separator is not None or columns):
        raise ConfigError("data.path: give the text that data.separator or data.columns is about")
    files: Mapping[str, tuple[Path | None, ...]]
    if path is None:
        named = {"validation": validation, "test": test}
        own = {p: find_files(root, n, option=p) for p, n in named.items() if n is not None}
        files = {"train": (None,), **own}
    else:
        files = find_sets(path, root=root, validation=validation, test=test, fitted=fitted)
    documents = {
        part: TextDocuments(paths, separator=separator, field=field, columns=columns)
        for part, paths in files.items()
    }
    if "train" in documents:
        documents = divide(
            documents.pop("train"),
            documents,
            validation_fraction=validation_fraction,
            seed=seed,
            test_fraction=test_fraction,
            split_seed=split_seed,
        )
    options = TextOptions(
        root=root, length=length, tokenizer=tokenizer, bos=bos, eos=eos, cache=cache
    )
    prepared = Prepared(documents, options, fitted=fitted, layout="stream")
    name = "unicode_names" if path is None else Path(path).name.split(".")[0]
    return Splits(
        train=prepared.rows("train", name=name),
        validation=prepared.rows("validation", name=name),
        test=prepared.rows("test", name=name),
        reader=prepared.reader,
    )
