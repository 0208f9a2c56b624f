"""TaskScores: what a model said to the examples of one task, at one time.

    scores = TaskScores(score=[1, 0, 1], nll=[0.2, 1.9, 0.4])                  # questions
    scores = TaskScores(score=accuracy_of_rows, nll=nll_of_rows, weight=tokens_of_rows)
    scores.mean(), scores.mean_nll()
    save_row("phase1.npz", {"facts": scores}) and load_row("phase1.npz")

Example by example, since what is compared are the same examples before and after, and a mean does
not say which they were.

Axes: n examples.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxtrain.data.arrays import ArrayFile
from jaxtrain.errors import DataError
from jaxtrain.files.atomic import replacing

_FIELDS = ("score", "nll", "weight")
_BOUND = 1e100


@dataclass(frozen=True, eq=False)
class TaskScores:
    """Of one task at one time, per example; kept as float64 that nobody can change.

    Args:
        score: `[n]`, how right the model is, from 0 to 1: 1 or 0 of a question, the share of right
            tokens of a row.
        nll: `[n]`, the negative log-likelihood of what is right, in nats per unit of weight.
        weight: `[n]`, of how many units an example is made: the tokens of a row, 1 of a question.
            None is 1 for each. It is a count: intervals take it for one.

    Raises:
        DataError: no example, another number of values, NaN or Inf, a score outside of 0 to 1, a
            weight that is not above 0.
    """

    score: Any
    nll: Any
    weight: Any = None

    def __post_init__(self) -> None:
        if self.weight is None:
            object.__setattr__(self, "weight", np.ones(np.shape(self.score)))
        for name in _FIELDS:
            object.__setattr__(self, name, _numbers(name, getattr(self, name)))
        for name in ("nll", "weight"):
            if len(getattr(self, name)) != len(self.score):
                raise DataError(
                    f"{name}: expected {len(self.score)} values, one an example as in score, "
                    f"found {len(getattr(self, name))}"
                )
        _within("score", self.score, (self.score >= 0) & (self.score <= 1), "from 0 to 1")
        _within("weight", self.weight, self.weight > 0, "above 0")

    def __len__(self) -> int:
        return len(self.score)

    def __eq__(self, other: object) -> bool:
        """Whether all numbers are the same."""
        return isinstance(other, TaskScores) and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in _FIELDS
        )

    __hash__ = None  # type: ignore[assignment]

    def mean(self) -> float:
        """The score of a unit; whatever the order of the examples, the same bits.

        >>> TaskScores([1, 0], [0.1, 0.2], [3, 1]).mean()
        0.75
        """
        return weighted_mean(self.score, self.weight)

    def mean_nll(self) -> float:
        """The negative log-likelihood of a unit, in nats."""
        return weighted_mean(self.nll, self.weight)

    def refuse_others(self, other: TaskScores, *, what: str) -> None:
        """Refuse scores that are not of the same examples, as far as numbers and weights tell.

        Raises:
            DataError: says what they are of.
        """
        if len(self) != len(other):
            raise DataError(
                f"{what}: expected the same {len(self)} examples as before, found {len(other)}"
            )
        if not np.array_equal(self.weight, other.weight):
            at = int((self.weight != other.weight).argmax())
            raise DataError(
                f"{what}: expected the same examples as before, in the same order; the weight of "
                f"example {at} was {self.weight[at]:g} and is {other.weight[at]:g}"
            )

    def to_json(self) -> dict[str, list[float]]:
        """As JSON values, which hold every bit."""
        return {name: getattr(self, name).tolist() for name in _FIELDS}

    @classmethod
    def from_json(cls, record: Any) -> TaskScores:
        """What `to_json` gave.

        Raises:
            DataError: it is something else.
        """
        if not isinstance(record, Mapping) or set(record) != set(_FIELDS):
            raise DataError(
                f"scores of a task: expected {', '.join(_FIELDS)}, found {record!r:.80}"
            )
        for name in _FIELDS:
            if not isinstance(record[name], list):
                raise DataError(f"{name}: expected a list of numbers, found {record[name]!r:.80}")
        return cls(**record)


def weighted_mean(values: np.ndarray, weight: np.ndarray) -> float:
    """Exactly rounded sums, so that no order of the examples matters."""
    return math.fsum((values * weight).tolist()) / math.fsum(weight.tolist())


def save_row(path: str | os.PathLike[str], row: Mapping[str, TaskScores]) -> Path:
    """Write the scores of several tasks to an .npz file, whole or not at all; return its path.

    The same scores give the same bytes.
    """
    names = check_names("the tasks", row)
    arrays: dict[str, Any] = {
        str(number): np.stack([getattr(row[name], field) for field in _FIELDS])
        for number, name in enumerate(names)
    }
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, tasks=np.asarray(names, dtype=np.str_), **arrays)
    return Path(path)


def load_row(path: str | os.PathLike[str]) -> dict[str, TaskScores]:
    """What `save_row` wrote, in its order.

    Raises:
        DataError: the file is torn, or something else.
    """
    try:
        return _row(ArrayFile(Path(path)))
    except DataError as error:
        raise DataError(f"{path}: can't be read as scores of tasks: {error}") from None


def check_names(what: str, names: Iterable[str]) -> tuple[str, ...]:
    """Names of tasks, where they are names, and each there once.

    Raises:
        DataError: one is not; says which.
    """
    if isinstance(names, str):
        raise DataError(f"{what}: expected several names, found the text {names!r}")
    found = tuple(names)
    for name in found:
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise DataError(f"{what}: expected names that can be printed, found {name!r}")
        if found.count(name) > 1:
            raise DataError(f"{what}: {name!r} is there {found.count(name)} times")
    return found


def _row(file: ArrayFile) -> dict[str, TaskScores]:
    if file.faults:
        raise DataError("; ".join(file.faults.values()))
    if "tasks" not in file.heads:
        raise DataError(f"expected the names of tasks, found {', '.join(file.heads):.200}")
    names = check_names("tasks", [str(name) for name in np.atleast_1d(file.read("tasks"))])
    # A task more than the list names would be lost without a word.
    if file.heads.keys() != {"tasks", *(str(number) for number in range(len(names)))}:
        raise DataError(f"expected {len(names)} tasks, found {', '.join(file.heads):.200}")
    found = {name: file.read(str(number)) for number, name in enumerate(names)}
    for name, array in found.items():
        if array.shape[:1] != (len(_FIELDS),):
            raise DataError(f"{name}: expected {', '.join(_FIELDS)}, found {array.shape}")
    return {name: TaskScores(*array) for name, array in found.items()}


def _numbers(name: str, values: Any) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError:  # rows of several lengths
        array = np.asarray(None)
    if array.ndim != 1 or array.dtype.kind not in "biuf":
        raise DataError(
            f"{name}: expected numbers [n], one an example, found {array.dtype} of shape "
            f"{array.shape}"
        )
    if not len(array):
        raise DataError(f"{name}: expected at least one example, found none")
    array = array.astype(np.float64)
    # What a sum of products has room for; NaN is not below it.
    _within(name, array, np.abs(array) < _BOUND, "finite numbers")
    array.setflags(write=False)
    return array


def _within(name: str, values: np.ndarray, fits: np.ndarray, wanted: str) -> None:
    if not fits.all():
        at = int((~fits).argmax())
        raise DataError(f"{name}: expected {wanted}, found {values[at]} at example {at}")
