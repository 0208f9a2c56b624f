"""Texts with a class each as data: what a recurrent network or an encoder classifies.

    splits = labelled_text(0.1, seed=0, path="data/nsmc/nsmc_sample.tsv", field="document")
    splits.train.inputs.shape                                # (14580, 128) tokens, padded
    splits.train.vocabulary                                  # 259: what the model is to know

Axis letters: B texts, L places of a row.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxtrain.data.dataset import Dataset
from jaxtrain.data.sources import SOURCES
from jaxtrain.data.splits import Splits
from jaxtrain.data.stratified import TEST_STREAM, VALIDATION_STREAM, split_by_class
from jaxtrain.data.text.character_tokenizer import CharacterTokenizer
from jaxtrain.data.text.labelled_text_reader import (
    LabelledTextReader,
    has_label,
    padded,
)
from jaxtrain.data.text.preparing import Fraction, Length, SplitSeed, find_record_sets
from jaxtrain.data.text.records import Record, records
from jaxtrain.data.text.text_reader import tokenizer_of
from jaxtrain.data.text.tokenizer import Tokenizer
from jaxtrain.data.text.tokenizers import CHARACTERS, read_tokenizer
from jaxtrain.errors import ConfigError, DataError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class LabelledTexts(Dataset):
    """Rows of tokens `[B, L]` with a class each; behind the end of a text stands `PADDING`.

    Args:
        vocabulary: every token, that of padding too, is below it.
    """

    vocabulary: int = 1


@SOURCES.register("labelled_text")
def labelled_text(
    validation_fraction: float,
    seed: int,
    fitted: Mapping[str, Any] | None = None,
    *,
    path: str,
    root: str = ".",
    validation: str | None = None,
    test: str | None = None,
    test_fraction: Fraction = 0.1,
    split_seed: SplitSeed = 0,
    field: str = "text",
    label: str = "label",
    classes: tuple[str, ...] = (),
    columns: tuple[str, ...] = (),
    length: Length = 128,
    tokenizer: str = "bytes",
) -> Splits:
    """Records of a text and its class, in `.jsonl`, `.csv` and `.tsv` files.

    A text's tokens stand at the beginning of a row of `length`, behind them 0; one that is longer
    is cut, and the log says how many were. A model reads them with `padding_token: 0`, and with a
    `vocabulary` of one more than the tokenizer's at least.

    Args:
        validation_fraction: the share of each class of the training texts to hold out for
            validation; of no account where there is a file for it.
        seed: draws the validation texts.
        fitted: what the reader of a trained model says of itself; the training file may be gone.
        path: the training file, relative to `root`, or several by `*`; plain or with `.gz`.
        root: the directory of the files; relative to the working directory.
        validation: the validation file, likewise.
        test: the test file, likewise.
        test_fraction: the share of each class that makes the test set, where there is no file for
            it.
        split_seed: draws the test texts; not `seed`, so that runs with other seeds are measured on
            the same texts.
        field: the text's name in a record.
        label: the label's, which is text or a whole number.
        classes: the labels in the order of their numbers; by default those of the training file,
            sorted, whole numbers by their size.
        columns: the names of a table's columns, where it has no header.
        length: L, the tokens of a row.
        tokenizer: "bytes"; "characters", those of the training texts; or a file below `root`: a
            `tokenizer.json`, a SentencePiece `.model`, a `.bin` of llama2.c.

    Raises:
        DataNotFoundError: a file is missing.
        ConfigError: a field that the records don't have, or the library of a tokenizer is missing.
        DataError: a file or the tokenizer is broken, or a label is missing or none of the classes;
            names the place.
    """
    files = find_record_sets(path, root=root, validation=validation, test=test, fitted=fitted)
    read = {
        part: [record for one in paths for record in records(one, columns)]
        for part, paths in files.items()
    }
    for part, found in read.items():
        _refuse_unlabelled(found, label, files[part])
    if fitted is not None:
        classes = tuple(fitted.get("classes", ()))
    elif not classes:
        classes = _sorted({record.cell(label) for record in read["train"]})
        _tell_of_likeness(classes)
    numbers = {
        part: _numbers([(r.place, r.cell(label)) for r in found], classes)
        for part, found in read.items()
    }
    sets = {part: (found, numbers[part]) for part, found in read.items()}
    if "train" in sets:
        for part, share, drawn_by, stream in (
            ("test", test_fraction, split_seed, TEST_STREAM),
            ("validation", validation_fraction, seed, VALIDATION_STREAM),
        ):
            if part in sets or not share:
                continue
            whole, known = sets["train"]
            kept, held_out = split_by_class(known, share, drawn_by, stream=stream)
            sets[part] = [whole[row] for row in held_out], known[held_out]
            sets["train"] = [whole[row] for row in kept], known[kept]
    texts = {part: [r.cell(field) for r in found] for part, (found, _) in sets.items()}
    made = _tokenizer(tokenizer, root, fitted, texts.get("train", ()))

    def rows(part: str) -> LabelledTexts | None:
        if part not in sets:
            return None
        return LabelledTexts(
            padded(made, texts[part], length=length, what=part),
            sets[part][1],
            name=Path(path).name.split(".")[0],
            num_outputs=len(classes),
            label_names=classes,
            vocabulary=made.vocab_size + 1,
        )

    return Splits(
        train=rows("train"),
        validation=rows("validation"),
        test=rows("test"),
        reader=LabelledTextReader(
            made, classes, field=field, label=label, columns=columns, length=length
        ),
    )


def _tokenizer(
    name: str, root: str, fitted: Mapping[str, Any] | None, texts: Sequence[str]
) -> Tokenizer:
    if fitted is not None:
        return tokenizer_of(fitted, name, root=root)
    if name == CHARACTERS:
        return CharacterTokenizer.fit(texts)
    return read_tokenizer(name, root=root)


def _refuse_unlabelled(found: Sequence[Record], label: str, files: Sequence[Path]) -> None:
    if not found:
        raise DataError(f"{files[0]}: expected at least one text, found none")
    for record in found:
        if label in record.values and not has_label(record, label):
            raise DataError(f"{record.place}: {label!r}: expected a label, found none")


def _tell_of_likeness(classes: tuple[str, ...]) -> None:
    """Classes that a person would write the same way are seldom meant to be two."""
    alike: dict[str, list[str]] = {}
    for name in classes:
        alike.setdefault(" ".join(name.split()).casefold(), []).append(name)
    for names in alike.values():
        if len(names) > 1:
            logger.warning(
                "the classes %s differ by blanks or case alone, and count as %d; mend the labels, "
                "if they are one",
                ", ".join(map(repr, names)),
                len(names),
            )


def _sorted(labels: set[str]) -> tuple[str, ...]:
    """Whole numbers by their size, anything else by the alphabet."""
    try:
        return tuple(sorted(labels, key=lambda one: (int(one), one)))
    except ValueError:
        return tuple(sorted(labels))


def _numbers(labels: Sequence[tuple[str, str]], classes: tuple[str, ...]) -> np.ndarray:
    """`[B]` int32."""
    places = {name: place for place, name in enumerate(classes)}
    if len(places) < max(len(classes), 1):
        raise ConfigError(f"data.classes: expected each class once, found {', '.join(classes)}")
    for place, label in labels:
        if label not in places:
            raise DataError(
                f"{place}: expected one of the {len(classes)} classes ({', '.join(classes[:10])}"
                f"{', ...' if len(classes) > 10 else ''}), found {label!r}"
            )
    return np.array([places[label] for _, label in labels], np.int32)
