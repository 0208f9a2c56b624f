"""Predictions: what a trained model says of new rows, as a table of text.

    predictions = Predictions.of(trained, trained.read("new.csv"))
    predictions.save("predictions.csv")

    row,prediction,probability Adelie,probability Gentoo
    1,Adelie,0.987,0.013

Axis letters: B rows, K classes, D columns of a target.
"""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import numpy as np

from jaxtrain.data import NewRows
from jaxtrain.errors import JaxtrainError
from jaxtrain.files.atomic import replacing
from jaxtrain.run.trained import Trained

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Predictions:
    """Columns of equal length.

    Attributes:
        columns: by name, in order: what says which row is which, `prediction`, probabilities.
        figures: how good they are, where rows have a target: `{"rows": 341, "accuracy": 0.99}`.
    """

    columns: Mapping[str, Sequence[Any]]
    figures: Mapping[str, float]

    @classmethod
    def of(cls, trained: Trained, rows: NewRows) -> Predictions:
        """What `trained` says of `rows`.

        Raises:
            ConfigError: the rows are not what the model reads.
            NonFiniteError: a prediction is NaN or Inf.
        """
        said = trained.predict(rows.inputs)
        if trained.learnt.task == "classification":
            own = _classes(said, trained.learnt.label_names)
        elif said.shape[1] == 1:
            own = {"prediction": _numbers(said[:, 0])}
        else:
            own = {f"prediction {d}": _numbers(said[:, d]) for d in range(said.shape[1])}
        columns: dict[str, Sequence[Any]] = {}
        for name, column in rows.ids.items():
            # A column of the input that is called as one of ours gives way, and is kept.
            while name in own or name in columns:
                name = f"input {name}"
            columns[name] = column
        return cls({**columns, **own}, _figures(trained, rows))

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def summary(self) -> str:
        """How many rows, and how good where that is known, in a line."""
        line = f"{len(self):,} rows"
        if not self.figures:
            return line
        shown = ", ".join(
            f"{name} {value:.4g}"
            for name, value in self.figures.items()
            if name != "rows" and isinstance(value, int | float)
        )
        return f"{line}; on the {self.figures['rows']:,} of them that have a target: {shown}"

    def write(self, stream: TextIO) -> None:
        """As CSV."""
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(zip(*self.columns.values(), strict=True))

    def save(self, path: str | os.PathLike[str]) -> None:
        """As CSV in a file, whole or not at all."""
        with (
            replacing(path) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            self.write(file)


def _figures(trained: Trained, rows: NewRows) -> dict[str, float]:
    """How good they are. Nobody loses predictions because they can't be judged."""
    if rows.labels is None or (rows.known is not None and not rows.known.any()):
        return {}
    known = trained.dataset(rows)
    try:
        return {"rows": len(known), **trained.evaluate(known)}
    except JaxtrainError as error:
        logger.warning("how good they are can't be said: %s", error)
        return {}


def _numbers(values: np.ndarray) -> list[str]:
    """More digits than float32 has, since a unit may have an origin far off, but no noise."""
    return [f"{value:.10g}" for value in values.tolist()]


def _classes(probabilities: np.ndarray, names: Sequence[str]) -> dict[str, Sequence[Any]]:
    """The likeliest class of each row, and the probability of each class."""
    known = list(names) or [str(place) for place in range(probabilities.shape[1])]
    chosen = probabilities.argmax(axis=1)
    columns: dict[str, Sequence[Any]] = {"prediction": [known[place] for place in chosen]}
    for place, name in enumerate(known):
        # float32 as the shortest text that gives it back, not as the float64 that it becomes.
        columns[f"probability {name}"] = [str(p) for p in probabilities[:, place]]
    return columns
