"""Tables as data: any pair of CSV files, and the Adult census set on top of it.

    splits = csv_table(0.1, seed=0, root="data/wine", train="train.csv", test="test.csv",
                       target="quality", task="regression")
    splits = adult(0.1, seed=0, root="data/adult")

Numbers are standardised, categories one-hot, both with what the training rows alone show.
Axis letters: B rows, D features after encoding.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from jaxtrain.data.dataset import Dataset
from jaxtrain.data.find_file import find_file
from jaxtrain.data.shuffle import split_indices
from jaxtrain.data.sources import SOURCES
from jaxtrain.data.splits import Splits
from jaxtrain.data.table import Table, read_table
from jaxtrain.data.table_encoder import TableEncoder, parse_number
from jaxtrain.errors import ConfigError, DataError

ADULT_COLUMNS = (
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education-num",
    "marital-status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital-gain",
    "capital-loss",
    "hours-per-week",
    "native-country",
    "income",
)
ADULT_CLASSES = ("<=50K", ">50K")


@SOURCES.register("csv")
def csv_table(
    validation_fraction: float,
    seed: int,
    *,
    root: str,
    train: str,
    test: str,
    target: str,
    task: Literal["classification", "regression"] = "classification",
    classes: tuple[str, ...] = (),
    columns: tuple[str, ...] = (),
    drop: tuple[str, ...] = (),
    categorical: tuple[str, ...] = (),
    missing: tuple[str, ...] = ("?", ""),
    strip_target: str = "",
    preamble: str = "",
) -> Splits:
    """A training file and a test file of the same columns.

    Args:
        validation_fraction: the share of the training rows to hold out for validation.
        seed: draws the validation rows.
        root: the directory of the files; relative to the working directory.
        train: the training file's name; where it is missing, the same with `.gz`.
        test: the test file's name, likewise.
        target: the column to predict.
        task: "classification" makes classes of the target's different values, sorted;
            "regression" takes it as a number.
        classes: the values that the target may have, in the order of their numbers; where none
            are given, those of the training file.
        columns: the names of the columns, for files without a header.
        drop: columns to leave out, such as identifiers.
        categorical: columns of codes, which are categories though they look like numbers.
        missing: what stands for a missing value.
        strip_target: characters to take off the end of each target, such as a full stop.
        preamble: a file's first line is skipped where it begins with this.

    Raises:
        DataNotFoundError: a file is missing.
        ConfigError: a column that the files don't have, or `classes` for a regression.
        DataError: a broken file, a cell that can't be read or a target that is none of the
            classes; names file, line and column.
    """
    if classes and task == "regression":
        raise ConfigError(f"classes: a regression has none, found {', '.join(classes)}")
    remedy = "set root to the directory that holds it"
    table, test_table = (
        read_table(find_file(root, name, remedy=remedy), columns=columns, preamble=preamble)
        for name in (train, test)
    )
    if test_table.columns != table.columns:
        raise DataError(
            f"{test_table.path}: expected the columns of {table.path} "
            f"({', '.join(table.columns)}), found {', '.join(test_table.columns)}"
        )
    for name in (target, *drop, *categorical):
        table.position(name)
    features = tuple(name for name in table.columns if name != target and name not in drop)
    if not features:
        raise DataError(f"{table.path}: no column is left to learn {target!r} from")
    if task == "classification":
        targets = _targets(table, target, missing, strip_target)
        classes = classes or tuple(sorted(set(targets)))
        _classes(table, target, targets, classes)  # tell of the file's first fault, not a split's
    kept, held_out = split_indices(len(table), validation_fraction, seed)
    encoder = TableEncoder.fit(
        table.select(kept), features=features, missing=missing, categorical=categorical
    )

    def dataset(table: Table) -> Dataset:
        targets = _targets(table, target, missing, strip_target)
        if task == "classification":
            labels = _classes(table, target, targets, classes)
        else:
            labels = _numbers(table, target, targets)
        return Dataset(
            encoder.transform(table),
            labels,
            name=table.path.parent.name or "csv",
            task=task,
            num_outputs=len(classes) or 1,
            label_names=classes,
        )

    return Splits(
        train=dataset(table.select(kept)),
        validation=dataset(table.select(held_out)) if len(held_out) else None,
        test=dataset(test_table),
    )


@SOURCES.register("adult")
def adult(validation_fraction: float, seed: int, *, root: str = "data/adult") -> Splits:
    """Does a person earn more than 50,000 dollars a year? 32,561 + 16,281 rows of the 1994 census.

    The files are UCI's `adult.data` and `adult.test` (https://doi.org/10.24432/C5XW20), each plain
    or `.gz`. `fnlwgt` is left out: it says how many people a row stands for, not who they are.

    Args:
        validation_fraction: the share of the training rows to hold out for validation.
        seed: draws the validation rows.
        root: the directory of the files; relative to the working directory.

    Raises:
        DataNotFoundError, DataError: as `csv_table`.
    """
    return csv_table(
        validation_fraction,
        seed,
        root=root,
        train="adult.data",
        test="adult.test",
        target="income",
        columns=ADULT_COLUMNS,
        classes=ADULT_CLASSES,
        drop=("fnlwgt",),
        strip_target=".",  # the labels of the test file end in one
        preamble="|",  # and its first line is "|1x3 Cross validator"
    )


def _targets(table: Table, target: str, missing: tuple[str, ...], strip: str) -> list[str]:
    cells = table.column(target)
    for row, cell in enumerate(cells):
        if cell in missing:
            raise DataError(
                f"{table.place(row, target)}: the target is missing ({cell!r}); remove the row"
            )
    return [cell.rstrip(strip) for cell in cells] if strip else cells


def _classes(table: Table, target: str, targets: list[str], classes: tuple[str, ...]) -> np.ndarray:
    places = {name: place for place, name in enumerate(classes)}
    labels = np.empty(len(targets), np.int32)
    for row, cell in enumerate(targets):
        place = places.get(cell)
        if place is None:
            raise DataError(
                f"{table.place(row, target)}: expected one of the {len(classes)} classes "
                f"({', '.join(classes[:10])}{', ...' if len(classes) > 10 else ''}), "
                f"found {cell!r}"
            )
        labels[row] = place
    return labels


def _numbers(table: Table, target: str, targets: list[str]) -> np.ndarray:
    labels = np.empty(len(targets), np.float32)
    for row, cell in enumerate(targets):
        number = parse_number(cell)
        if number is None or not np.isfinite(number):
            raise DataError(
                f"{table.place(row, target)}: expected a finite number to predict, found {cell!r}"
            )
        labels[row] = number
    return labels
