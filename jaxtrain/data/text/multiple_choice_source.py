"""Questions with several answers as data.

    splits = multiple_choice_records(
        0.1, seed=0, root="data/mmlu_medical", path="dev/*.csv", test="test/*.csv",
        columns=("question", "A", "B", "C", "D", "answer"),
        prompt="{question}\\nA. {A}\\nB. {B}\\nC. {C}\\nD. {D}\\nAnswer:",
        choices=("A", "B", "C", "D"), choice=" {letter}", answer_is="letter")
    next(splits.test.questions())                # Question(prompt="...", choices=(" A", ...), ...)

A model learns the right choice behind the prompt; it is judged by which choice it takes to be the
likeliest, for which `questions` has them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

from jaxtrain.data.sources import SOURCES
from jaxtrain.data.splits import Splits
from jaxtrain.data.text.documents import RecordDocuments
from jaxtrain.data.text.preparing import (
    Fraction,
    Length,
    Prepared,
    SplitSeed,
    TextOptions,
    record_sets,
)
from jaxtrain.data.text.question import AnswerIs, Question, QuestionForm
from jaxtrain.data.text.template import Template
from jaxtrain.data.text.token_rows import TokenRows


@dataclass(frozen=True, eq=False)
class QuestionRows(TokenRows):
    """Packed rows of prompts and right choices, and the questions that they are made of.

    Args:
        documents: the records.
        form: how they are read.
    """

    _: KW_ONLY
    documents: RecordDocuments
    form: QuestionForm

    def questions(self) -> Iterator[Question]:
        """The questions in their order, read anew each time.

        Raises:
            DataError: a record is none any more.
        """
        return map(self.form.question, self.documents.records())


@SOURCES.register("multiple_choice")
def multiple_choice_records(
    validation_fraction: float,
    seed: int,
    fitted: Mapping[str, Any] | None = None,
    *,
    path: str,
    choices: tuple[str, ...],
    answer_is: AnswerIs,
    root: str = ".",
    validation: str | None = None,
    test: str | None = None,
    test_fraction: Fraction = 0.1,
    split_seed: SplitSeed = 0,
    prompt: str = "{question}\n",
    choice: str = "{choice}",
    answer: str = "answer",
    columns: tuple[str, ...] = (),
    length: Length = 512,
    tokenizer: str = "bytes",
    bos: bool | str = False,
    eos: bool | str = False,
    cache: str | None = None,
) -> Splits:
    """Records of a question, its choices and the right one, in `.jsonl`, `.csv` and `.tsv` files.

    The right choice behind the prompt is learnt. They are packed into rows of `length` tokens; a
    record is cut only where it is longer than that.

    Args:
        validation_fraction: the share of the training questions to hold out for validation; of no
            account where there is a file for it.
        seed: draws the validation questions.
        fitted: what the reader of a trained model says of itself; the training file may be gone.
        path: the training file, relative to `root`, or several by `*`; plain or with `.gz`.
        choices: the fields that hold a choice each; or the one field that holds all, as a list or
            a line each.
        answer_is: how `answer` says it: "letter" (A is the first), "number_from_0",
            "number_from_1", or "text", that of the choice itself.
        root: the directory of the files; relative to the working directory.
        validation: the validation file, likewise.
        test: the test file, likewise.
        test_fraction: the share that makes the test set, where there is no file for it.
        split_seed: draws the test questions; not `seed`, so that runs with other seeds are measured
            on the same questions.
        prompt: what is asked: text with the names of fields in braces.
        choice: what is said, text with {choice}, {letter} or {number} in it.
        answer: the field that says which choice is right.
        columns: the names of a table's columns, where it has no header.
        length: L, the tokens of a row.
        tokenizer: "bytes"; "characters", those of the training records; or a file below `root`: a
            `tokenizer.json`, a SentencePiece `.model`, a `.bin` of llama2.c.
        bos: whether a token begins each record: true for the tokenizer's own, or how it is
            written, such as "<s>".
        eos: whether a token ends each choice, likewise; it is learnt, too.
        cache: a directory where tokens are kept; null: `.jaxtrain-tokens` below `root`.

    Raises:
        DataNotFoundError: a file is missing.
        ConfigError: a field that the records don't have, an option that does not fit, or the
            library of a tokenizer is missing.
        DataError: a file or the tokenizer is broken, or an answer is none of the choices; names
            the place.
    """
    form = QuestionForm(
        Template(prompt, option="data.prompt"),
        choices,
        Template(choice, option="data.choice"),
        answer,
        answer_is,
    )
    sets = record_sets(
        lambda files: RecordDocuments(files, form.piece, words=form.words(), columns=columns),
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

    def rows(part: str) -> QuestionRows | None:
        if part not in sets:
            return None
        return QuestionRows(
            prepared.packings[part],
            vocab_size=prepared.reader.tokenizer.vocab_size,
            name=Path(path).name.split(".")[0],
            documents=sets[part],
            form=form,
        )

    return Splits(
        train=rows("train"),
        validation=rows("validation"),
        test=rows("test"),
        reader=prepared.reader,
    )
