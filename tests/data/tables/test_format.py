"""How the files of a run are written."""

from __future__ import annotations

from jaxtrain.data.tables import Dialect
from jaxtrain.data.tables.format import TableFormat


def test_blanks_around_a_mark_do_not_count():
    assert TableFormat(missing=(" NA ", "")).missing == ("NA", "")


def test_a_head_is_looked_at_as_the_format_says(write):
    written = TableFormat(dialect=Dialect(delimiter=";"), columns=("a", "y"), preamble="|")
    assert written.head(write("|x\n1;2\n")).columns == ("a", "y")
    assert written.head(write("1\n"), optional="y").columns == ("a",)
