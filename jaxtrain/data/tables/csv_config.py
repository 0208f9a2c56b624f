"""From a first look at a table to a config that trains on it, and what is to be said of it.

lines, config = csv_config(inspect_table(path, target="species"), path)
print("\\n".join(lines))
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from jaxtrain.data.tables.dialect import DELIMITERS, Dialect
from jaxtrain.data.tables.format import MISSING
from jaxtrain.data.tables.inspection import InspectedColumn, TableInspection
from jaxtrain.data.tables.splitting import SPELLINGS
from jaxtrain.errors import ConfigError

# Rows up to which a batch has that many, so that an epoch has some dozens of steps.
_BATCHES = ((1_000, 16), (5_000, 32), (20_000, 64), (200_000, 256), (math.inf, 1024))
_STEPS = 1500
_EPOCHS = (5, 40)
# What learns penguins (344 rows) by heart is worse on the rows that it has not seen: R² of the body
# mass 0.76 with 32 units after 40 epochs, 0.67 with 64 and 32 after 60.
_SMALL = 1_000  # rows
_LEARNT_FROM = 0.72  # of the rows, after those for the test and for validation
_UNEVEN = 3  # times as many rows of one class as of another
_WIDEST = 60  # letters of a cell on the screen


def csv_config(inspection: TableInspection, path: Path) -> tuple[list[str], dict[str, Any]]:
    """Lines for a person, and the tree of a config.

    Args:
        inspection: of a table, with a target.
        path: the file as a config is to name it.

    Raises:
        ConfigError: no target was named, or no column is left to learn from.
    """
    if inspection.target is None or inspection.task is None:
        raise ConfigError(f"{path}: no target; name the column to predict")
    if all(column.use in ("target", "drop") for column in inspection.columns):
        raise ConfigError(f"{path}: no column is left to learn {inspection.target!r} from")
    return _lines(inspection), _tree(inspection, path)


def split_column(found: TableInspection) -> str | None:
    """The column whose cells say train, validation and test, where there is one."""
    for column in found.columns:
        said = [SPELLINGS.get(value.lower()) for value in column.examples]
        if column.use == "category" and {"train", "test"} <= set(said) and None not in said:
            return column.kind.name
    return None


def _tree(found: TableInspection, path: Path) -> dict[str, Any]:
    data: dict[str, Any] = {"name": "csv", "train": str(path), "target": found.target}
    if found.task == "regression":
        data["task"] = "regression"
    dialect, default = found.dialect, Dialect()
    for name in ("delimiter", "encoding", "decimal", "thousands"):
        if getattr(dialect, name) != getattr(default, name):
            data[name] = getattr(dialect, name)
    split = split_column(found)
    if split is not None:
        data["split"] = split
    declared = [c.kind.name for c in found.columns if _is_declared(c)]
    categorical = [name for name in declared if name != split]
    lists = {
        "drop": found.used_as("drop"),
        "categorical": categorical,
        "dates": found.used_as("date"),
    }
    data |= {name: list(names) for name, names in lists.items() if names}
    if not {*found.missing} <= {*MISSING}:
        data["missing"] = list(dict.fromkeys([*found.missing, ""]))
    if found.unlabelled:
        data["unlabelled"] = "drop"
    rows = found.rows - found.unlabelled
    data["batch_size"] = next(size for most, size in _BATCHES if rows <= most)
    steps = max(1.0, rows * _LEARNT_FROM / data["batch_size"])
    epochs = min(max(math.ceil(_STEPS / steps), _EPOCHS[0]), _EPOCHS[1])
    tree: dict[str, Any] = {
        "project": _project(path),
        "data": data,
        "model": {"name": "mlp", "hidden": [32] if rows <= _SMALL else [64, 32]},
        "train": {"epochs": epochs},
    }
    if found.task == "regression":
        tree["loss"] = {"name": "mean_squared_error"}
    return tree


def _is_declared(column: InspectedColumn) -> bool:
    """Whether a column of categories doesn't look like one to the source."""
    return column.use == "category" and column.kind.kind != "category"


def _project(path: Path) -> str:
    """A name that a run directory may have."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", path.name.partition(".")[0]).strip("_-")
    return stem[:64] or "table"


def _lines(found: TableInspection) -> list[str]:
    dialect = found.dialect
    facts = [
        f"{found.rows:,} rows",
        f"{len(found.columns):,} columns",
        f"apart by {_named(dialect.delimiter)}",
        dialect.encoding,
    ]
    facts += ["decimal comma"] if dialect.decimal == "," else []
    facts += [f"thousands apart by {dialect.thousands!r}"] if dialect.thousands else []
    lines = [f"{found.path}: {', '.join(facts)}", ""]
    rows = [("column", "taken for", "because", "missing", "for instance")]
    rows += [
        (
            c.kind.name,
            _taken_for(c),
            c.kind.why,
            f"{c.missing:.1%}" if c.missing else "",
            ", ".join(c.examples),
        )
        for c in found.columns
    ]
    shown = [[_short(cell) for cell in row] for row in rows]
    widths = [max(len(row[place]) for row in shown) for place in range(len(rows[0]))]
    lines += ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in shown]
    lines += ["", f"{found.task} of {found.target!r}: {found.why}"]
    if (split := split_column(found)) is not None:
        lines.append(f"split: {split!r} says which rows train, validate and test")
    if found.missing:
        marks = ", ".join(repr(mark) if mark else "an empty cell" for mark in found.missing)
        lines.append(f"taken for a missing value: {marks}")
    if found.unlabelled:
        lines.append(f"rows without a target, which are left out: {found.unlabelled:,}")
    if found.classes:
        lines.append(_classes_line(found))
    return lines


def _taken_for(column: InspectedColumn) -> str:
    if column.use == "drop":
        return f"{column.kind.kind}, dropped"
    return column.use


def _classes_line(found: TableInspection) -> str:
    known = sum(found.classes.values())
    by_size = sorted(found.classes.items(), key=lambda one: -one[1])
    shares = [f"{name} {count / known:.1%}" for name, count in by_size[:10]]
    line = f"classes: {', '.join(shares)}" + (", ..." if len(by_size) > 10 else "")
    if found.imbalance >= _UNEVEN:
        (most, _), (least, few) = by_size[0], by_size[-1]
        line += (
            f"\nuneven: {found.imbalance:.0f} times as many rows of {most!r} as of {least!r} "
            f"({few:,}); loss.class_weights=balanced lets all classes count alike"
        )
    return line


def _named(delimiter: str) -> str:
    return DELIMITERS.get(delimiter, repr(delimiter))


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 3]}..."
