"""Prompts and responses as data: what stands in the prompt is read, the response is learnt.

splits = instruction_records(0.1, seed=0, path="alpaca.jsonl", prompt="{instruction}\\n",
                             response="{output}", tokenizer="tokenizer.model")
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxtrain.data.sources import SOURCES
from jaxtrain.data.splits import Splits
from jaxtrain.data.text.documents import Piece, RecordDocuments
from jaxtrain.data.text.preparing import (
    Fraction,
    Length,
    Prepared,
    SplitSeed,
    TextOptions,
    record_sets,
)
from jaxtrain.data.text.records import Record
from jaxtrain.data.text.template import Template


@SOURCES.register("instructions")
def instruction_records(
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
    prompt: str = "{prompt}",
    response: str = "{response}",
    columns: tuple[str, ...] = (),
    length: Length = 512,
    tokenizer: str = "bytes",
    bos: bool | str = False,
    eos: bool | str = True,
    cache: str | None = None,
) -> Splits:
    """Records of a prompt and a response, in `.jsonl`, `.csv` and `.tsv` files.

    They are packed into rows of `length` tokens; a record is cut only where it is longer than that.

    Args:
        validation_fraction: the share of the training records to hold out for validation; of no
            account where there is a file for it.
        seed: draws the validation records.
        fitted: what the reader of a trained model says of itself; the training file may be gone.
        path: the training file, relative to `root`, or several by `*`; plain or with `.gz`.
        root: the directory of the files; relative to the working directory.
        validation: the validation file, likewise.
        test: the test file, likewise.
        test_fraction: the share that makes the test set, where there is no file for it.
        split_seed: draws the test records; not `seed`, so that runs with other seeds are measured
            on the same records.
        prompt: what is read: text with the names of fields in braces.
        response: what is learnt, likewise.
        columns: the names of a table's columns, where it has no header.
        length: L, the tokens of a row.
        tokenizer: "bytes"; "characters", those of the training records; or a file below `root`: a
            `tokenizer.json`, a SentencePiece `.model`, a `.bin` of llama2.c.
        bos: whether a token begins each record: true for the tokenizer's own, or how it is
            written, such as "<s>".
        eos: whether a token ends each response, likewise; it is learnt, too.
        cache: a directory where tokens are kept; null: `.jaxtrain-tokens` below `root`.

    Raises:
        DataNotFoundError: a file is missing.
        ConfigError: a field that the records don't have, an option that does not fit, or the
            library of a tokenizer is missing.
        DataError: a file or the tokenizer is broken; names the place.
    """
    asked = Template(prompt, option="data.prompt")
    said = Template(response, option="data.response")

    def render(record: Record) -> Piece:
        return Piece(said.fill(record.cell), prompt=asked.fill(record.cell))

    sets = record_sets(
        lambda files: RecordDocuments(
            files, render, words=f"instructions {[prompt, response]}", columns=columns
        ),
        path=path,
        root=root,
        validation=validation,
        test=test,
        fitted=fitted,
        validation_fraction=validation_fraction,
        seed=seed,
        test_fraction=test_fraction,
        split_seed=split_seed,
    )
    options = TextOptions(
        root=root, length=length, tokenizer=tokenizer, bos=bos, eos=eos, cache=cache
    )
    prepared = Prepared(sets, options, fitted=fitted, layout="whole")
    name = Path(path).name.split(".")[0]
    return Splits(
        train=prepared.rows("train", name=name),
        validation=prepared.rows("validation", name=name),
        test=prepared.rows("test", name=name),
        reader=prepared.reader,
    )
