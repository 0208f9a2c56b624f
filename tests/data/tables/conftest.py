"""Tables of text, written and read."""

from __future__ import annotations

import pytest

from jaxtrain.data.tables import Dialect, read_head, read_table


@pytest.fixture
def write(tmp_path):
    """`write(text)` or `write(bytes)`: the path of `t.csv`."""

    def file(content, name="t.csv"):
        path = tmp_path / name
        if isinstance(content, str):
            content = content.encode()
        path.write_bytes(content)
        return path

    return file


@pytest.fixture
def read(write):
    """`read(text, missing=..., columns=..., text=...)`: the table of a file."""

    def table(content, *, missing=("?", ""), text=(), only=None, dialect=None, **options):
        head = read_head(write(content), dialect or Dialect(), **options)
        return read_table(head, missing=missing, text=text, only=only)

    return table


@pytest.fixture
def small_blocks(monkeypatch):
    """Files have many blocks, and rows lie across their ends."""
    monkeypatch.setattr("jaxtrain.data.tables.blocks._SIZE", 64)
    monkeypatch.setattr("jaxtrain.data.tables.opening._PIECE", 16)


def cells(table, name):
    """The cells of a column of text."""
    text = table.texts[name]
    return [text.value(code) for code in text.codes]
