"""A column that says which rows are for what."""

from __future__ import annotations

import pytest

from jaxtrain.data.tables.splitting import named_parts
from jaxtrain.errors import ConfigError, DataError


def test_a_column_says_it(read):
    table = read("a,s\n1,Train\n2,valid\n3,TEST\n4,train\n", text=("s",))
    parts = {name: rows.tolist() for name, rows in named_parts(table, "s").items()}
    assert parts == {"train": [0, 3], "validation": [1], "test": [2]}


def test_what_else_it_says_is_refused(read):
    with pytest.raises(DataError, match=r"t\.csv:3: column 's': expected train.*found 'holdout'"):
        named_parts(read("a,s\n1,train\n2,holdout\n", text=("s",)), "s")
    with pytest.raises(DataError, match=r"t\.csv:3: .*found '1'"):
        named_parts(read("a,s\n1,train\n2,1\n", text=("s",)), "s")
    with pytest.raises(ConfigError, match="no row says test"):
        named_parts(read("a,s\n1,train\n2,val\n", text=("s",)), "s")
