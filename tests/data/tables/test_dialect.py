"""How a file is written, as a config says it."""

from __future__ import annotations

import pytest

from jaxtrain.data.tables import Dialect
from jaxtrain.data.tables.dialect import option
from jaxtrain.errors import ConfigError


@pytest.mark.parametrize(
    "wrong",
    [
        {"delimiter": ""},
        {"delimiter": ",,"},
        {"delimiter": '"'},
        {"delimiter": "é"},
        {"decimal": ""},
        {"thousands": "."},
        {"thousands": "1"},
        {"encoding": "utf-9"},
        {"encoding": "rot13"},
        {"encoding": "\0"},
    ],
)
def test_what_can_not_be_meant(wrong):
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))}: "):
        Dialect(**wrong)


def test_what_to_write():
    assert option("delimiter", "\t") == 'data.delimiter="\\t"'
    other = Dialect(delimiter=";", decimal=",")
    assert Dialect().differences(other) == 'data.delimiter=";" data.decimal=","'
    assert Dialect().differences(Dialect()) == ""
