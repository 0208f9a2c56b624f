"""A CSV file as data, or several of the same columns.

    splits = csv_table(0.1, seed=0, train="penguins.csv", target="species")
    splits = csv_table(0.1, seed=0, root="data/wine", train="train.csv", test="test.csv",
                       target="quality", task="regression")
    splits.reader.read(Path("new.csv"))

Numbers are standardised, categories one-hot, dates become turns of the year and the week, all with
what the training rows alone show. What is not plain (digits in groups, dates, a column of numbers
and text) is refused until somebody has said what it is. Axis letters: B rows.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pydantic

from jaxtrain.data.dataset import Dataset
from jaxtrain.data.find_file import find_file
from jaxtrain.data.rows import LabelTask, Task
from jaxtrain.data.sources import SOURCES
from jaxtrain.data.splits import Splits
from jaxtrain.data.tables.dialect import Dialect
from jaxtrain.data.tables.encoder import TableEncoder
from jaxtrain.data.tables.fitted import Fitted
from jaxtrain.data.tables.format import MISSING, TableFormat
from jaxtrain.data.tables.head import Head
from jaxtrain.data.tables.kinds import Kind, kind_of
from jaxtrain.data.tables.plainness import refuse_unclear, tell_of
from jaxtrain.data.tables.reading import read_table
from jaxtrain.data.tables.splitting import labelled, parts_of
from jaxtrain.data.tables.table import Table
from jaxtrain.data.tables.table_reader import TableReader, refuse_lacking
from jaxtrain.data.tables.target import NumberTarget, class_target, number_target
from jaxtrain.errors import ConfigError, DataError, DataNotFoundError

logger = logging.getLogger(__name__)

_REMEDY = "set data.root to the directory that holds it"


@SOURCES.register("csv")
def csv_table(
    validation_fraction: float,
    seed: int,
    fitted: Mapping[str, Any] | None = None,
    *,
    train: str,
    target: str,
    root: str = ".",
    test: str | None = None,
    validation: str | None = None,
    split: str | None = None,
    test_fraction: Annotated[float, pydantic.Field(gt=0, lt=1)] = 0.2,
    split_seed: Annotated[int, pydantic.Field(ge=0, lt=2**31)] = 0,
    task: LabelTask = "classification",
    classes: tuple[str, ...] = (),
    columns: tuple[str, ...] = (),
    drop: tuple[str, ...] = (),
    categorical: tuple[str, ...] = (),
    dates: tuple[str, ...] = (),
    day_first: bool | None = None,
    missing: tuple[str, ...] = MISSING,
    unlabelled: Literal["refuse", "drop"] = "refuse",
    strip_target: str = "",
    preamble: str = "",
    standardise_target: bool | None = None,
    delimiter: str = ",",
    encoding: str = "utf-8",
    decimal: Literal[".", ","] = ".",
    thousands: str = "",
) -> Splits:
    """A table in a CSV file; the test rows in a file of their own, or a part of it.

    Args:
        validation_fraction: the share of the training rows to hold out for validation, where
            neither a file nor a column says which they are.
        seed: draws the validation rows.
        fitted: what the reader's `state()` said when a run was begun: nothing is fitted anew then,
            and the training file need not be there any more.
        train: the training file, relative to `root`; where it is missing, the same with `.gz`.
        target: the column to predict.
        root: the directory of the files; relative to the working directory.
        test: the test file, likewise.
        validation: the file of the validation rows, likewise.
        split: a column that says of each row whether it is for train, validation or test.
        test_fraction: where there is neither `test` nor `split`, the share of all rows that makes
            the test set, of each class alike.
        split_seed: draws the test rows; not `seed`, so that runs with other seeds are measured on
            the same rows.
        task: "classification" makes classes of the target's different values, sorted;
            "regression" takes it as a number.
        classes: the values that the target may have, in the order of their numbers; where none
            are given, those of the rows that are not for the test.
        columns: the names of the columns, for files without a header.
        drop: columns to leave out, such as identifiers.
        categorical: columns of codes, which are categories though they look like numbers.
        dates: columns of dates.
        day_first: whether 3/4/2024 is in April; needed where no date of a column shows it.
        missing: what stands for a missing value.
        unlabelled: what to do about rows without a target.
        strip_target: characters to take off the end of each target, such as a full stop.
        preamble: a file's first line is skipped where it begins with this.
        standardise_target: whether to divide the targets of a regression by their deviation; None
            for yes. Metrics and predictions are in the unit of the data either way.
        delimiter: what stands between two cells.
        encoding: of the text.
        decimal: "." or ",".
        thousands: what groups the digits of large numbers, such as "," in 1,234.5.

    Raises:
        DataNotFoundError: a file is missing.
        ConfigError: a column that the files don't have, options that exclude each other, a column
            that has to be declared.
        DataError: a broken file, a cell that can't be read or a target that is none of the
            classes; names file, line and column.
    """
    _refuse_contradictions(
        task=task,
        classes=classes,
        target=target,
        test=test,
        validation=validation,
        split=split,
        standardise_target=standardise_target,
        roles={"drop": drop, "categorical": categorical, "dates": dates},
    )
    written = TableFormat(
        dialect=Dialect(
            delimiter=delimiter, encoding=encoding, decimal=decimal, thousands=thousands
        ),
        columns=columns,
        preamble=preamble,
        missing=missing,
        strip_target=strip_target,
    )
    learnt = None if fitted is None else Fitted.from_json(fitted)
    paths = {}
    for part, name in (("train", train), ("validation", validation), ("test", test)):
        try:
            if name is not None:
                paths[part] = find_file(root, name, remedy=_REMEDY)
        except DataNotFoundError:
            if learnt is None or part != "train" or (test is None and validation is None):
                raise
            logger.info("%s is not there any more; what was fitted to it is", train)
    _tell_of_same_files(paths)

    sets: dict[str, Dataset] = {}
    if "train" in paths:
        head = written.head(paths["train"])
        table, kinds = _training_table(
            head,
            written,
            target=target,
            task=task,
            split=split,
            drop=drop,
            categorical=categorical,
            dates=dates,
            day_first=day_first,
            learnt=learnt,
        )
        rows = labelled(table, written, target, unlabelled)
        parts = parts_of(
            table,
            written,
            rows,
            target=target,
            task=task,
            split=split,
            test_fraction=None if test or split else test_fraction,
            split_seed=split_seed,
            validation_fraction=0.0 if validation else validation_fraction,
            seed=seed,
        )
        if learnt is None:
            learning = np.sort(np.concatenate([parts[p] for p in parts if p != "test"]))
            encoder = TableEncoder.fit(
                table,
                parts["train"],
                kinds={name: kind for name, kind in kinds.items() if name != target},
                missing=written.missing,
                day_first=day_first,
            )
            what = (
                class_target(table, written, target, learning, classes)
                if task == "classification"
                else number_target(
                    table, written, kinds[target], parts["train"], standardise_target is not False
                )
            )
            learnt = Fitted(encoder, what, _identifiers(head, drop, written.missing))
        sets |= learnt.datasets(table, written, parts)
    assert learnt is not None  # without a training file it was handed in
    for part in ("validation", "test"):
        if part in paths:
            sets[part] = _other_file(paths[part], written, learnt, unlabelled)
    scale = learnt.target.scale if isinstance(learnt.target, NumberTarget) else None
    return Splits(
        train=sets.get("train"),
        validation=sets.get("validation"),
        test=sets.get("test"),
        reader=TableReader(learnt, written),
        target_scale=scale,
    )


def _refuse_contradictions(
    *,
    task: Task,
    classes: tuple[str, ...],
    target: str,
    test: str | None,
    validation: str | None,
    split: str | None,
    standardise_target: bool | None,
    roles: Mapping[str, tuple[str, ...]],
) -> None:
    if classes and task == "regression":
        raise ConfigError(f"data.classes: a regression has none, found {', '.join(classes)}")
    twice = sorted({name for name in classes if classes.count(name) > 1})
    if twice:
        raise ConfigError(f"data.classes: named more than once: {', '.join(twice)}")
    if standardise_target and task == "classification":
        raise ConfigError("data.standardise_target: only the targets of a regression have a scale")
    if split is not None and (test is not None or validation is not None):
        raise ConfigError(
            "data.split: a column says which rows are for validation and test; take out data.test "
            "and data.validation, or data.split"
        )
    taken = {target: "target"}
    if split is not None:
        if split == target:
            raise ConfigError(f"data.split: {split!r} is the target")
        taken[split] = "split"
    for role, names in roles.items():
        for name in names:
            if name in taken:
                raise ConfigError(
                    f"data.{role}: column {name!r} is in data.{taken[name]} as well; a column has "
                    "one role"
                )
            taken[name] = role


def _tell_of_same_files(paths: Mapping[str, Path]) -> None:
    names = list(paths)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            if os.path.samefile(paths[one], paths[other]):
                logger.warning(
                    "data.%s and data.%s are one file (%s): the model is measured on rows that it "
                    "has learnt, so its figures say nothing about new ones",
                    one,
                    other,
                    paths[one],
                )


def _training_table(
    head: Head,
    written: TableFormat,
    *,
    target: str,
    task: Task,
    split: str | None,
    drop: tuple[str, ...],
    categorical: tuple[str, ...],
    dates: tuple[str, ...],
    day_first: bool | None,
    learnt: Fitted | None,
) -> tuple[Table, dict[str, Kind]]:
    """The training file, and the kind of each column that is learnt from, and of the target."""
    empty = Table(head.path, head.dialect, head.columns, head.skipped)
    for name in (target, *([split] if split else []), *drop, *categorical, *dates):
        empty.refuse_unknown(name)
    if learnt is not None:
        refuse_lacking(head, learnt.features)
        return learnt.read(head, written, others=(split,) if split else ()), {}
    left_out = {*drop, target, split}
    features = [name for name in head.columns if name not in left_out]
    if not features:
        raise DataError(f"{head.path}: no column is left to learn {target!r} from")
    texts = {*categorical, *dates}
    texts |= {target} if task == "classification" else set()
    texts |= {split} if split else set()
    table = read_table(head, missing=written.missing, only={*features, target, *texts}, text=texts)
    kinds = {}
    for name in [*features, *([target] if task == "regression" else [])]:
        if name in categorical:
            kinds[name] = Kind(name=name, kind="category", why="declared")
        elif name in dates:
            kinds[name] = Kind(name=name, kind="date", why="declared")
        else:
            kinds[name] = kind_of(table, name, missing=written.missing, day_first=day_first)
            refuse_unclear(table, kinds[name], is_target=name == target)
            if name != target:
                tell_of(table, kinds[name])
    return table, kinds


def _identifiers(head: Head, drop: tuple[str, ...], missing: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the dropped columns that say which row is which, as far as the first rows show."""
    found = []
    for name in drop:
        cells = head.cells(name)
        whole = all("." not in cell or not cell.replace(".", "").isdigit() for cell in cells)
        if len(set(cells)) == len(cells) and not {*cells} & {*missing} and whole:
            found.append(name)
    return tuple(found)


def _other_file(
    path: Path, written: TableFormat, learnt: Fitted, unlabelled: Literal["refuse", "drop"]
) -> Dataset:
    head = written.head(path)
    lacking = [n for n in (*learnt.features, learnt.target.name) if n not in head.columns]
    if lacking:
        raise DataError(
            f"{path}: expected the columns of the training file, found no {', '.join(lacking)} "
            f"(columns: {', '.join(head.columns)})"
        )
    table = learnt.read(head, written)
    rows = labelled(table, written, learnt.target.name, unlabelled)
    return learnt.datasets(table, written, {"other": rows})["other"]
