"""The column to predict: classes by name, or numbers on a scale.

    target = ClassTarget("species", ("Adelie", "Gentoo"))
    labels, known = target.labels(table, written)            # [B] int32, [B] bool

Axis letters: B rows, V different texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from jaxtrain.data.rows import Task
from jaxtrain.data.tables.column import floats_of, text_in
from jaxtrain.data.tables.format import TableFormat
from jaxtrain.data.tables.kinds import Kind
from jaxtrain.data.tables.table import Table
from jaxtrain.data.tables.text import Text
from jaxtrain.data.target_scale import TargetScale
from jaxtrain.errors import DataError

_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class ClassTarget:
    """Classes.

    Args:
        name: the column.
        classes: the values it may have, in the order of their numbers.
    """

    name: str
    classes: tuple[str, ...]
    task: ClassVar[Task] = "classification"

    @property
    def num_outputs(self) -> int:
        """K."""
        return len(self.classes) or 1

    def labels(
        self, table: Table, written: TableFormat, rows: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """`[B]` int32 and `[B]` bool: classes, and where there is one that training knows.

        Args:
            table: what was read.
            written: says what is missing, and what is stripped.
            rows: the rows in which only the classes may stand; None where others are not known.

        Raises:
            DataError: another value stands in one of them; names file, line and column.
        """
        text = table.texts[self.name]
        absent = text.among(written.missing)
        names = stripped(text, written.strip_target)
        places = {name: place for place, name in enumerate(self.classes)}
        chosen = np.array([places.get(name, -1) for name in names], np.int32)
        chosen[absent] = -1
        if rows is not None:
            row = text.first((chosen < 0) & ~absent, rows)
            if row is not None:
                raise DataError(
                    f"{table.place(row, self.name)}: expected one of the {len(self.classes)} "
                    f"classes ({', '.join(self.classes[:10])}"
                    f"{', ...' if len(self.classes) > 10 else ''}), "
                    f"found {names[int(text.codes[row])]!r}"
                )
        labels = chosen[text.codes]
        return np.maximum(labels, 0), labels >= 0

    def to_json(self) -> Mapping[str, Any]:
        """As JSON values."""
        return {"task": self.task, "name": self.name, "classes": list(self.classes)}


@dataclass(frozen=True)
class NumberTarget:
    """Numbers.

    Args:
        name: the column.
        scale: what they are divided by; None where they stay in the unit of the data.
        sign: what each number has beside it, such as "%".
    """

    name: str
    scale: TargetScale | None
    sign: str = ""
    classes: tuple[str, ...] = ()
    num_outputs: ClassVar[int] = 1
    task: ClassVar[Task] = "regression"

    def labels(
        self, table: Table, written: TableFormat, rows: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """`[B]` float32 on the scale and `[B]` bool, where there is one; 0 elsewhere.

        Raises:
            DataError: a target is no number, or too large a one.
        """
        values = self.values(table, written)
        known = ~np.isnan(values)
        values = np.where(known, values, 0.0)
        with np.errstate(over="ignore"):
            labels = self.scale.standardise(values) if self.scale else values.astype(np.float32)
        labels[~known] = 0
        bad = ~np.isfinite(labels)
        if bad.any():
            refuse_large(table, self.name, int(bad.argmax()), values)
        return labels, known

    def values(self, table: Table, written: TableFormat) -> np.ndarray:
        """`[B]` float64 in the unit of the data, NaN where a target is missing."""
        if self.name in table.numbers:
            return table.floats(self.name)
        return floats_of(table, self.name, written.missing, self.sign)

    def to_json(self) -> Mapping[str, Any]:
        """As JSON values."""
        scale = self.scale.to_json() if self.scale else None
        return {"task": self.task, "name": self.name, "scale": scale, "sign": self.sign}


Target = ClassTarget | NumberTarget


def target_from_json(record: Any) -> Target:
    """What `to_json` gave.

    Raises:
        DataError: it is something else.
    """
    task = record.get("task") if isinstance(record, dict) else None
    if task == "regression":
        scale = record.get("scale")
        return NumberTarget(
            text_in(record, "name"),
            None if scale is None else TargetScale.from_json(scale),
            text_in(record, "sign"),
        )
    if task != "classification":
        raise DataError(f"a target: expected classification or regression, found {record!r:.80}")
    classes = record.get("classes")
    if (
        not isinstance(classes, list)
        or not classes
        or not all(isinstance(one, str) for one in classes)
        or len(set(classes)) < len(classes)
    ):
        raise DataError(f"a target: expected the names of classes, found {classes!r:.80}")
    return ClassTarget(text_in(record, "name"), tuple(classes))


def refuse_large(table: Table, name: str, row: int, values: np.ndarray) -> None:
    """Raise a `DataError` about a target that float32 does not hold."""
    raise DataError(
        f"{table.place(row, name)}: {values[row]:g} is too large to predict; at most "
        f"{_LARGEST:.3g} can be"
    )


def stripped(text: Text, characters: str) -> list[str]:
    """The different values, without these characters at their ends."""
    values = text.values.to_pylist()
    return [value.rstrip(characters) for value in values] if characters else values


def class_target(
    table: Table,
    written: TableFormat,
    name: str,
    rows: np.ndarray,
    classes: tuple[str, ...],
) -> ClassTarget:
    """The classes that are given, or else those that `rows` have, sorted."""
    text = table.texts[name]
    if not classes:
        there = text.counts(rows) > 0
        names = zip(stripped(text, written.strip_target), there, strict=True)
        classes = tuple(sorted({name for name, is_there in names if is_there}))
    return ClassTarget(name, classes)


def number_target(
    table: Table, written: TableFormat, kind: Kind, rows: np.ndarray, standardise: bool
) -> NumberTarget:
    """Numbers, on the scale of the training rows where that is wanted.

    Raises:
        DataError: one of these rows has a number that float32 does not hold.
    """
    target = NumberTarget(kind.name, None, kind.form.sign if kind.form else "")
    values = target.values(table, written)[rows]
    largest = int(np.abs(values).argmax())
    if abs(values[largest]) > np.finfo(np.float32).max:
        refuse_large(table, kind.name, int(rows[largest]), target.values(table, written))
    if not standardise:
        return target
    return NumberTarget(kind.name, TargetScale.fit(values), target.sign)
