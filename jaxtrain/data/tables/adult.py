"""The Adult census set: who earns more than 50,000 dollars a year?

splits = adult(0.1, seed=0, root="data/adult")
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxtrain.data.reader import READERS
from jaxtrain.data.sources import SOURCES
from jaxtrain.data.splits import Splits
from jaxtrain.data.tables.csv_source import csv_table
from jaxtrain.data.tables.table_reader import TableReader, csv_reader

COLUMNS = (
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
CLASSES = ("<=50K", ">50K")
_PREAMBLE = "|"  # the test file's first line is "|1x3 Cross validator"
_STRIP = "."  # the labels of the test file end in one


@SOURCES.register("adult")
def adult(
    validation_fraction: float,
    seed: int,
    fitted: Mapping[str, Any] | None = None,
    *,
    root: str = "data/adult",
) -> Splits:
    """Does a person earn more than 50,000 dollars a year? 32,561 + 16,281 rows of the 1994 census.

    The files are UCI's `adult.data` and `adult.test` (https://doi.org/10.24432/C5XW20), each plain
    or `.gz`. `fnlwgt` is left out: it says how many people a row stands for, not who they are.

    Args:
        validation_fraction: the share of the training rows to hold out for validation.
        seed: draws the validation rows.
        fitted: as for `csv_table`.
        root: the directory of the files; relative to the working directory.

    Raises:
        DataNotFoundError, DataError: as `csv_table`.
    """
    return csv_table(
        validation_fraction,
        seed,
        fitted,
        root=root,
        train="adult.data",
        test="adult.test",
        target="income",
        columns=COLUMNS,
        classes=CLASSES,
        drop=("fnlwgt",),
        strip_target=_STRIP,
        preamble=_PREAMBLE,
    )


@READERS.register("adult")
def adult_reader(state: Mapping[str, Any]) -> TableReader:
    """A reader of files like those of the census, with or without the income; see `csv_reader`."""
    return csv_reader(state, columns=COLUMNS, preamble=_PREAMBLE, strip_target=_STRIP)
