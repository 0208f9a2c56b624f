"""What a source refuses to decide by itself, and what it tells.

refuse_unclear(table, kind_of(table, "price", missing=marks))
tell_of(table, kind)
"""

from __future__ import annotations

import logging

from jaxtrain.data.tables.dialect import option
from jaxtrain.data.tables.kinds import MOST_CATEGORIES, Kind
from jaxtrain.data.tables.table import Table
from jaxtrain.errors import ConfigError, DataError

logger = logging.getLogger(__name__)


def refuse_unclear(table: Table, kind: Kind, *, is_target: bool = False) -> None:
    """Raise where a column can be meant in several ways, or in none.

    Raises:
        ConfigError: numbers in a form that the config does not allow, or dates that are not
            declared: with what to write.
        DataError: some cells are numbers and some not; names file, line and column.
    """
    where = f"{table.path}: column {kind.name!r}"
    otherwise = (
        "" if is_target else f", or {_listed('categorical', kind)} or {_listed('drop', kind)}"
    )
    if kind.kind == "unclear":
        text = table.texts[kind.name]
        row = text.first(text.among([kind.odd or ""])) or 0
        raise DataError(
            f"{table.place(row, kind.name)}: {kind.why}. Add it to data.missing if it stands for a "
            "missing value"
            + ("" if is_target else ", or the column to data.categorical if its cells are codes")
        )
    if kind.form is not None:
        options = [
            option(name, getattr(kind.form, name))
            for name in ("decimal", "thousands")
            if getattr(kind.form, name) != getattr(table.dialect, name)
        ]
        if options:
            raise ConfigError(f"{where}: {kind.why}; set {' '.join(options)}{otherwise}")
    elif is_target and kind.kind != "number":
        raise DataError(
            f"{where}: expected numbers to predict, found {kind.why}; set "
            "data.task=classification to predict classes"
        )
    elif kind.kind == "date":
        more = " and data.day_first to true or false" if kind.dates == "ambiguous" else ""
        raise ConfigError(f"{where}: {kind.why}; set {_listed('dates', kind)}{more}{otherwise}")


def tell_of(table: Table, kind: Kind) -> None:
    """Log what a user may not expect of a column."""
    if kind.form is not None and kind.form.sign:
        logger.info("%s: column %r: %s", table.path, kind.name, kind.why)
    elif kind.kind == "constant":
        logger.info(
            "%s: column %r: %s: nothing can be learnt from it", table.path, kind.name, kind.why
        )
    elif kind.kind == "empty":
        logger.info("%s: column %r: %s", table.path, kind.name, kind.why)
    elif kind.kind in ("identifier", "text") and (kind.distinct or 0) <= MOST_CATEGORIES:
        logger.warning(
            "%s: column %r: %s: it says which row is which, and new rows will have others; set %s",
            table.path,
            kind.name,
            kind.why,
            _listed("drop", kind),
        )


def _listed(name: str, kind: Kind) -> str:
    return f'data.{name}=["{kind.name}"]'
