"""Question: something with several answers, one of which is right.

    form = QuestionForm(prompt=Template("{question}\\n", option="data.prompt"), ...)
    question = form.question(record)
    question.prompt, question.choices, question.answer       # "2 + 2 =\\n", (" 3", " 4"), 1

How likely a model takes each choice to be after the prompt says which one it chooses.

Axis letters: K choices.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import Literal

from jaxtrain.data.text.documents import Piece
from jaxtrain.data.text.records import Record
from jaxtrain.data.text.template import Template
from jaxtrain.errors import ConfigError, DataError

AnswerIs = Literal["letter", "number_from_0", "number_from_1", "text"]

_LETTERS = string.ascii_uppercase


@dataclass(frozen=True)
class Question:
    """A question.

    Args:
        prompt: what is asked.
        choices: K texts, each to stand right behind the prompt.
        answer: which one is right, from 0.
    """

    prompt: str
    choices: tuple[str, ...]
    answer: int


@dataclass(frozen=True)
class QuestionForm:
    """How a record is read as a question.

    Args:
        prompt: what is asked, with the names of fields.
        choices: the fields that hold a choice each; or the one that holds them all, as a list or
            a line each.
        choice: what stands behind the prompt, with the names `choice`, `letter` and `number`.
        answer: the field that says which one is right.
        answer_is: in which way.

    Raises:
        ConfigError: no fields, or another name in `choice`.
    """

    prompt: Template
    choices: tuple[str, ...]
    choice: Template
    answer: str
    answer_is: AnswerIs

    def __post_init__(self) -> None:
        if not self.choices:
            raise ConfigError("data.choices: expected the names of fields, found none")
        unknown = {*self.choice.names} - {"choice", "letter", "number"}
        if unknown:
            raise ConfigError(
                f"{self.choice.option}: {self.choice.text!r}: expected choice, letter or number in "
                f"braces, found {min(unknown)!r}"
            )

    def question(self, record: Record) -> Question:
        """The question that a record is.

        Raises:
            ConfigError: it lacks a field.
            DataError: it has fewer than two choices, or an answer that is none of them.
        """
        if len(self.choices) == 1:
            texts = record.cells(self.choices[0])
        else:
            texts = tuple(record.cell(name) for name in self.choices)
        if not 2 <= len(texts) <= len(_LETTERS):
            raise DataError(
                f"{record.place}: expected from 2 to {len(_LETTERS)} choices, found {len(texts)}"
            )
        choices = tuple(
            self.choice.fill(
                {"choice": text, "letter": _LETTERS[place], "number": str(place + 1)}.__getitem__
            )
            for place, text in enumerate(texts)
        )
        return Question(self.prompt.fill(record.cell), choices, self._right(record, texts))

    def piece(self, record: Record) -> Piece:
        """What is learnt of it: the right choice behind the prompt."""
        question = self.question(record)
        return Piece(question.choices[question.answer], prompt=question.prompt)

    def words(self) -> str:
        """All of it, for a digest."""
        told = [self.prompt.text, self.choices, self.choice.text, self.answer, self.answer_is]
        return f"questions {told}"

    def _right(self, record: Record, texts: tuple[str, ...]) -> int:
        said = record.cell(self.answer)
        if self.answer_is == "text":
            possible = texts
        else:
            said = said.strip()
            first = 0 if self.answer_is == "number_from_0" else 1
            letters = self.answer_is == "letter"
            possible = tuple(
                _LETTERS[place] if letters else str(place + first) for place in range(len(texts))
            )
        if possible.count(said) != 1:
            wanted = "the text of one choice" if self.answer_is == "text" else ", ".join(possible)
            raise DataError(
                f"{record.place}: {self.answer!r}: expected {wanted}, found {said!r:.80} "
                f"(data.answer_is is {self.answer_is})"
            )
        return possible.index(said)
