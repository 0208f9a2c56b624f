"""Baseline: what a model scores that has learnt nothing.

    Baseline.of_answers(answers, choices=4)        # the commonest answer, and chance
    Baseline(majority=0.31, random=0.25)

A score that is not above it is nothing to forget.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxtrain.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The scores of two models that look at nothing, from 0 to 1.

    Attributes:
        majority: of one that always says what is most often right.
        random: of one that guesses, each answer as likely as the others.
    """

    majority: float
    random: float

    def __post_init__(self) -> None:
        for name in ("majority", "random"):
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0 <= value <= 1:
                raise DataError(f"{name}: expected a number from 0 to 1, found {value!r}")
            object.__setattr__(self, name, float(value))

    @classmethod
    def of_answers(cls, answers: Iterable[Any], *, choices: int | Sequence[int]) -> Baseline:
        """Of questions, or of the tokens of a text.

        The majority is that of the answers given, so it is the best that any constant could do.

        Args:
            answers: what is right: a class, the place of a choice, a token.
            choices: how many answers there were to choose from; one number, or one a question.

        >>> Baseline.of_answers([0, 0, 1, 2], choices=4)
        Baseline(majority=0.5, random=0.25)
        """
        found = list(answers)
        if not found:
            raise DataError("answers: expected at least one, found none")
        counts = (
            np.broadcast_to(np.asarray(choices), (len(found),))
            if np.ndim(choices) == 0
            else (np.asarray(choices))
        )
        if counts.shape != (len(found),) or counts.dtype.kind not in "iu" or (counts < 1).any():
            raise DataError(
                f"choices: expected whole numbers above 0, one or one a question, found {choices!r}"
            )
        _, often = np.unique(np.asarray(found), return_counts=True)
        return cls(
            majority=int(often.max()) / len(found),
            random=math.fsum((1 / counts).tolist()) / len(found),
        )

    @property
    def best(self) -> float:
        """The better of the two."""
        return max(self.majority, self.random)

    def to_json(self) -> dict[str, float]:
        """As JSON values."""
        return {"majority": self.majority, "random": self.random}

    @classmethod
    def from_json(cls, record: Any) -> Baseline:
        """What `to_json` gave.

        Raises:
            DataError: it is something else.
        """
        if not isinstance(record, Mapping) or set(record) != {"majority", "random"}:
            raise DataError(f"a baseline: expected majority and random, found {record!r:.80}")
        return cls(**record)
