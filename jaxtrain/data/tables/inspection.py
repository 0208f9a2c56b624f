"""A first look at a table that nobody has described yet: what `init --csv` says and writes.

    found = inspect_table(Path("penguins.csv"), target="species")
    found.task, found.classes                                # "classification", {"Adelie": 152, ...}
    for column in found.columns:
        print(column.kind.name, column.kind.kind, column.kind.why, column.examples)

Here things are decided, and each decision has its reason in words; a source decides nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from jaxtrain.data.rows import Task
from jaxtrain.data.tables.dialect import DELIMITERS, Dialect, find_delimiter, sniff
from jaxtrain.data.tables.kinds import MOST_CATEGORIES, Kind, kind_of
from jaxtrain.data.tables.numbers import NumberForm
from jaxtrain.data.tables.reading import Head, read_head, read_table
from jaxtrain.data.tables.table import Table
from jaxtrain.errors import ConfigError, DataError

MARKS = ("", "?", "NA", "N/A", "n/a", "NULL", "null", "None", "nan", "NaN", "-", ".")
"""What people write where they have no value."""

_FEW = 10  # whole numbers: as many different ones at most are classes
_EXAMPLES = 3
