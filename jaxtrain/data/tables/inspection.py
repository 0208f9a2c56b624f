"""A first look at a table that nobody has described yet: what `init --csv` says and writes.

    found = inspect_table(Path("penguins.csv"), target="species")
    found.task, found.classes                       # "classification", {"Adelie": 152, ...}
    for column in found.columns:
        print(column.kind.name, column.use, column.kind.why, column.examples)

A source decides nothing; here things are decided, and each decision has its reason in words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from jaxtrain.data.rows import Task
from jaxtrain.data.tables.dialect import DELIMITERS, Dialect
from jaxtrain.data.tables.head import Head, read_head
from jaxtrain.data.tables.kinds import MOST_CATEGORIES, Kind, kind_of
from jaxtrain.data.tables.numbers import NumberForm, is_plain_number
from jaxtrain.data.tables.reading import count_cells, read_table
from jaxtrain.data.tables.sniffing import sniff
from jaxtrain.data.tables.table import Table
from jaxtrain.errors import ConfigError, did_you_mean

MARKS = ("", "?", "NA", "N/A", "n/a", "NULL", "null", "None", "nan", "NaN", "-", ".")
"""What people write where they have no value."""

_MAY_BE_CLASSES = ("None", "-", ".")  # a mark elsewhere, but a value in a target that has them
_FEW = 10  # whole numbers: as many different ones at most are classes
_EXAMPLES = 3

Use = Literal["target", "number", "category", "date", "drop"]


@dataclass(frozen=True)
class InspectedColumn:
    """One column.

    Args:
        kind: what it holds, and why one thinks so.
        use: what is made of it.
        missing: which share of its cells is missing.
        examples: some of its values.
    """

    kind: Kind
    use: Use
    missing: float
    examples: tuple[str, ...]


@dataclass(frozen=True)
class TableInspection:
    """What was found.

    Args:
        path: the file.
        dialect: how it is written.
        rows: how many rows it has.
        columns: all of them, in their order.
        missing: the marks that stand for a missing value in it.
        target: the column to predict; None where none was asked for.
        task: what there is to learn; None without a target.
        why: in words, why it is that.
        classes: of a classification: the rows of each class, by name.
        unlabelled: how many rows have no target.
    """

    path: Path
    dialect: Dialect
    rows: int
    columns: tuple[InspectedColumn, ...]
    missing: tuple[str, ...]
    target: str | None = None
    task: Task | None = None
    why: str = ""
    classes: Mapping[str, int] = field(default_factory=dict)
    unlabelled: int = 0

    def used_as(self, use: Use) -> tuple[str, ...]:
        """The names of the columns of one use."""
        return tuple(column.kind.name for column in self.columns if column.use == use)

    @property
    def imbalance(self) -> float:
        """How many times as many rows the most frequent class has as the rarest one; or 1."""
        return max(self.classes.values()) / min(self.classes.values()) if self.classes else 1.0


def inspect_table(
    path: Path,
    *,
    target: str | None = None,
    task: Task | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    decimal: Literal[".", ","] | None = None,
) -> TableInspection:
    """Look at every row of a CSV file.

    Args:
        path: the file, plain or `.gz`.
        target: the column to predict.
        task: what to learn; None to tell it from the target's values.
        delimiter: what stands between two cells; None to tell it from the first rows.
        encoding: of the text, likewise.
        decimal: "." or ",", likewise.

    Raises:
        DataNotFoundError, ConfigError: there is no such file, or no such column, or a target that
            can't be predicted.
        DataError: the file is broken.
    """
    from jaxtrain.data.find_file import find_file

    path = find_file(".", str(path), remedy="name a CSV file")
    looks = sniff(path, delimiter=delimiter, encoding=encoding)
    if decimal is not None:
        looks = replace(looks, decimal=decimal)
    head = read_head(path, looks)
    if target is not None and target not in head.columns:
        raise _no_such_column(head, target)
    return _Look(head, target, task).result()


class _Look:
    """Everything that is read of one file, and what is made of it."""

    def __init__(self, head: Head, target: str | None, task: Task | None) -> None:
        self.head, self.target, self.wanted = head, target, task
        texts = () if target is None else (target,)
        self.marks: tuple[str, ...] = MARKS
        self.table = read_table(head, missing=MARKS, text=texts)
        if target is not None:
            text = self.table.texts[target]
            classes = [m for m in _MAY_BE_CLASSES if text.among([m]).any()]
            if classes and not _all_numbers(self.table, target, classes):
                self.marks = tuple(mark for mark in MARKS if mark not in classes)
                self.table = read_table(head, missing=self.marks, text=texts)
        self.kinds = {name: self._kind(name) for name in head.columns}
        self._take_odd_ones_for_marks()
        self._see_how_numbers_are_written()

    def result(self) -> TableInspection:
        """The whole of it."""
        table, target = self.table, self.target
        counts = self._marks_found()
        task, why, classes, unlabelled = self._task()
        columns = []
        for name, kind in self.kinds.items():
            use, reason = self._use(kind)
            columns.append(
                InspectedColumn(
                    kind=replace(kind, why=f"{kind.why}{reason}"),
                    use="target" if name == target else use,
                    missing=sum(counts[name].values()) / len(table),
                    examples=self._examples(name),
                )
            )
        kept = {c.kind.name for c in columns if c.use != "drop"}
        marks = {mark for name, found in counts.items() if name in kept for mark in found}
        return TableInspection(
            path=self.head.path,
            dialect=table.dialect,
            rows=len(table),
            columns=tuple(columns),
            missing=tuple(mark for mark in self.marks if mark in marks),
            target=target,
            task=task,
            why=why,
            classes=classes,
            unlabelled=unlabelled,
        )

    def _kind(self, name: str) -> Kind:
        return kind_of(self.table, name, missing=self.marks)

    def _take_odd_ones_for_marks(self) -> None:
        """A single word among numbers or dates is one more way to say that there is no value."""
        found = {k.odd for k in self.kinds.values() if k.kind == "unclear" and k.odd is not None}
        for odd in sorted(found):
            marks = (*self.marks, odd)
            healed = {
                name: kind_of(self.table, name, missing=marks)
                for name, kind in self.kinds.items()
                if kind.kind == "unclear" and kind.odd == odd and not is_plain_number(odd)
            }
            if any(kind.kind in ("number", "date") for kind in healed.values()):
                self.marks = marks
                self.kinds |= healed

    def _see_how_numbers_are_written(self) -> None:
        """The one grouping of digits that most of those columns have which have one."""
        dialect = self.table.dialect
        forms = Counter(
            kind.form.thousands
            for kind in self.kinds.values()
            if kind.form is not None and kind.form.decimal == dialect.decimal
        )
        del forms[""]
        if forms:
            best = forms.most_common(1)[0][0]
            self.table.dialect = replace(dialect, thousands=best)

    def _use(self, kind: Kind) -> tuple[Use, str]:
        """What is made of a column, and what is to be said of that besides what it is."""
        dialect = self.table.dialect
        if kind.kind == "number":
            form = kind.form or NumberForm(dialect.decimal, "")
            if form.decimal == dialect.decimal and form.thousands in ("", dialect.thousands):
                return "number", ""
            return "drop", ", written otherwise than those of other columns"
        if kind.kind == "date":
            if kind.dates == "ambiguous":
                return "drop", "; set data.day_first and data.dates to use it"
            return "date", ""
        if kind.kind == "category":
            return "category", ""
        if kind.kind == "unclear":
            return self._use_of_unclear(kind)
        return "drop", ""

    def _use_of_unclear(self, kind: Kind) -> tuple[Use, str]:
        text = self.table.texts[kind.name]
        if len(text.values) <= min(MOST_CATEGORIES, max(2, len(text) // 5)):
            return "category", f"; {len(text.values):,} different values"
        return "drop", "; too many different values for categories"

    def _marks_found(self) -> dict[str, Counter[str]]:
        """Which marks stand in each column, and how often."""
        found: dict[str, Counter[str]] = {}
        gaps = []
        for name in self.head.columns:
            if name in self.table.numbers:
                found[name] = Counter()
                if np.isnan(self.table.floats(name)).any():
                    gaps.append(name)
                continue
            text = self.table.texts[name]
            counts = text.counts()
            codes = np.flatnonzero(text.among(self.marks))
            found[name] = Counter({text.value(int(code)): int(counts[code]) for code in codes})
        return found | count_cells(self.head, gaps, self.marks)

    def _examples(self, name: str) -> tuple[str, ...]:
        cells = dict.fromkeys(cell for cell in self.head.cells(name) if cell not in self.marks)
        return tuple(list(cells)[:_EXAMPLES])

    def _task(self) -> tuple[Task | None, str, dict[str, int], int]:
        if self.target is None:
            return None, "", {}, 0
        text, kind = self.table.texts[self.target], self.kinds[self.target]
        absent = text.among(self.marks)
        counts = text.counts()
        unlabelled = int(counts[absent].sum())
        where = f"{self.head.path}: the target {self.target!r}"
        if kind.kind in ("empty", "constant"):
            raise ConfigError(f"{where}: {kind.why}: there is nothing to predict")
        distinct = int((~absent).sum())
        is_number = kind.kind == "number"
        task, why = self.wanted, "asked for"
        if task is None and is_number:
            numbers = (kind.form or NumberForm()).parse(text.values)[~absent]
            whole = bool((numbers == np.floor(numbers)).all())
            if distinct == 1:
                raise ConfigError(f"{where}: the same in every row: there is nothing to predict")
            few = whole and distinct <= min(_FEW, max(2, len(text) // 5))
            task = "classification" if few else "regression"
            why = f"{distinct:,} different {'whole ' if whole else ''}numbers"
        elif task is None:
            task, why = "classification", kind.why
        if task == "regression":
            if not is_number:
                raise ConfigError(f"{where}: expected numbers to predict, found {kind.why}")
            use, reason = self._use(kind)
            if use == "drop":
                raise ConfigError(f"{where}: {kind.why}{reason}")
            return task, why, {}, unlabelled
        if kind.kind in ("text", "identifier", "date") or distinct > MOST_CATEGORIES:
            raise ConfigError(
                f"{where}: {kind.why}: neither numbers nor classes that could be learnt"
            )
        names = [(text.value(int(code)), int(counts[code])) for code in np.flatnonzero(~absent)]
        return task, why, dict(sorted(names)), unlabelled


def _all_numbers(table: Table, name: str, but: Collection[str]) -> bool:
    """Whether a text column has nothing but numbers, these cells and those that are missing."""
    return kind_of(table, name, missing=(*MARKS, *but)).kind == "number"


def _no_such_column(head: Head, target: str) -> ConfigError:
    hint = did_you_mean(target, head.columns)
    if len(head.columns) == 1:
        tried = ", ".join(DELIMITERS.values())
        hint = f"; of {tried} none gives all first rows the same number of cells"
    elif any(map(is_plain_number, head.columns)):
        hint = "; the first row looks like data: give the file a header, or a config data.columns"
    return ConfigError(
        f"{head.path}: no column {target!r}{hint} (columns: {', '.join(head.columns)})"
    )
