"""Multiple choice by likelihood: of the choices, the model takes the one that it expects most.

    question = TokenQuestion([1, 403], choices=[[407], [5, 6]], answer=0)
    found = multiple_choice(model, variables, [question])
    found.raw.value, found.raw.interval()                  # the likeliest choice
    found.normalised.value                                 # the likeliest for its length
    found.figures()

A longer choice is less likely, being more to expect; so the log-likelihood over the choice's length
is judged as well. The length is in tokens, unless the question says another, as in characters for
`acc_norm` of lm-evaluation-harness. Of choices that are exactly
equally likely the first is taken; how often that happened is told.

Axes: K choices.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from jaxtrain.errors import DataError
from jaxtrain.generation.likelihood import BATCH_TOKENS, log_likelihoods
from jaxtrain.generation.proportion import Proportion
from jaxtrain.generation.token_ids import token_ids
from jaxtrain.models.model import Model, Variables


@dataclass(frozen=True, eq=False)
class TokenQuestion:
    """A question in tokens.

    Args:
        prompt: what is asked, not empty.
        choices: K continuations of it, at least two, none empty.
        answer: which of them is right, from 0.
        lengths: what the log-likelihood of each choice is divided by, above 0; by default how many
            tokens it has.
    """

    prompt: Any
    choices: Sequence[Any]
    answer: int
    lengths: Sequence[float] | None = None


class Answered(NamedTuple):
    """What a model said to a question.

    Attributes:
        log_likelihoods: of each choice, K of them.
        per_length: the same over their lengths.
        answer: which choice is right.
    """

    log_likelihoods: tuple[float, ...]
    per_length: tuple[float, ...]
    answer: int

    @property
    def raw(self) -> int:
        """The likeliest choice; of several the first."""
        return self.log_likelihoods.index(max(self.log_likelihoods))

    @property
    def normalised(self) -> int:
        """The likeliest choice by length; of several the first."""
        return self.per_length.index(max(self.per_length))


@dataclass(frozen=True)
class MultipleChoice:
    """What a model said to questions.

    Attributes:
        answered: question by question, in their order.
        cut: how many of them were too long for the model, and asked without their beginning.
    """

    answered: tuple[Answered, ...]
    cut: int = 0

    @property
    def raw(self) -> Proportion:
        """How often the likeliest choice is right."""
        return Proportion(sum(one.raw == one.answer for one in self.answered), len(self.answered))

    @property
    def normalised(self) -> Proportion:
        """How often the likeliest choice by length is right."""
        hits = sum(one.normalised == one.answer for one in self.answered)
        return Proportion(hits, len(self.answered))

    @property
    def raw_ties(self) -> int:
        """In how many questions several choices were the likeliest."""
        return sum(_tied(one.log_likelihoods) for one in self.answered)

    @property
    def normalised_ties(self) -> int:
        """The same by length."""
        return sum(_tied(one.per_length) for one in self.answered)

    def figures(self) -> dict[str, float]:
        """All of it as numbers by name, accuracies with the ends of their 95 % intervals."""
        figures: dict[str, float] = {"questions": len(self.answered), "questions_cut": self.cut}
        for name, share, ties in (
            ("accuracy", self.raw, self.raw_ties),
            ("normalised_accuracy", self.normalised, self.normalised_ties),
        ):
            low, high = share.interval()
            figures |= {name: share.value, f"{name}_low": low, f"{name}_high": high}
            figures[f"{name}_ties"] = ties
        return figures


def multiple_choice(
    model: Model,
    variables: Variables,
    questions: Iterable[TokenQuestion],
    *,
    max_length: int | None = None,
    too_long: Literal["error", "cut"] = "error",
    batch_tokens: int = BATCH_TOKENS,
) -> MultipleChoice:
    """What a model says to questions; each by itself, whatever it is asked with.

    Args:
        model: a language model; see `log_likelihoods`.
        variables: its.
        questions: with any numbers of choices.
        max_length: of a prompt and a choice together; None where that is not known.
        too_long: what becomes of a question that is longer: an error, or as much as is needed is
            cut from the beginning of its prompt, for all its choices the same; how many questions
            that were is told.
        batch_tokens: how many tokens are computed at a time.

    Raises:
        DataError: there is no question, or one is none; says which.
        ConfigError: one is longer than `max_length`; a choice is by itself.
        NonFiniteError: what the model says is NaN or Inf.
    """
    asked = [_checked(question, number) for number, question in enumerate(questions)]
    if not asked:
        raise DataError("questions: expected at least one, found none")
    cut = 0
    if max_length is not None and too_long == "cut":
        whole, asked = asked, [_cut(question, max_length) for question in asked]
        cut = sum(one is not other for one, other in zip(whole, asked, strict=True))
    pairs = [(question.prompt, choice) for question in asked for choice in question.choices]
    found = iter(
        log_likelihoods(model, variables, pairs, max_length=max_length, batch_tokens=batch_tokens)
    )
    answered = []
    for question in asked:
        raw = tuple(next(found) for _ in question.choices)
        lengths = question.lengths or [len(choice) for choice in question.choices]
        by_length = tuple(one / length for one, length in zip(raw, lengths, strict=True))
        answered.append(Answered(raw, by_length, question.answer))
    return MultipleChoice(tuple(answered), cut)


def _cut(question: TokenQuestion, most: int) -> TokenQuestion:
    """The question with as much of its prompt as fits, one token at least."""
    room = max(1, most - max(len(choice) for choice in question.choices))
    if len(question.prompt) <= room:
        return question
    return replace(question, prompt=question.prompt[-room:])


def _checked(question: TokenQuestion, number: int) -> TokenQuestion:
    where = f"question {number}"
    count = len(question.choices)
    if count < 2:
        raise DataError(f"{where}: expected at least two choices, found {count}")
    if not 0 <= question.answer < count:
        raise DataError(f"{where}: answer: expected 0 to {count - 1}, found {question.answer}")
    if question.lengths is not None:
        if len(question.lengths) != count:
            raise DataError(
                f"{where}: lengths: expected {count}, one a choice, found {len(question.lengths)}"
            )
        if not all(np.isfinite(length) and length > 0 for length in question.lengths):
            raise DataError(
                f"{where}: lengths: expected numbers above 0, found {list(question.lengths)}"
            )
    return TokenQuestion(
        token_ids(question.prompt, what=f"{where}: prompt"),
        [
            token_ids(choice, what=f"{where}: choice {place}")
            for place, choice in enumerate(question.choices)
        ],
        question.answer,
        question.lengths if question.lengths is None else list(question.lengths),
    )


def _tied(scores: tuple[float, ...]) -> bool:
    return scores.count(max(scores)) > 1
