"""Columns of text."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from jaxtrain.data.tables.text import Text


def column(*parts):
    return Text.joined([pa.array(part, pa.string()).dictionary_encode() for part in parts])


def test_parts_are_joined_and_blanks_taken_off():
    text = column(["a", " b"], ["b ", "c", "a\u3000"])
    assert [text.value(code) for code in text.codes] == ["a", "b", "b", "c", "a"]
    assert text.values.to_pylist() == ["a", "b", "c"]
    assert text.codes.dtype == np.int32
    assert text.counts().tolist() == [2, 2, 1]
    assert text.counts(np.array([0, 4])).tolist() == [2, 0, 0]


def test_values_that_no_row_has_are_none():
    array = pa.array(["x", "a", "x"]).dictionary_encode().slice(1)
    assert Text.joined([array.filter(pa.array([True, False]))]).values.to_pylist() == ["a"]


def test_nothing():
    assert len(Text.joined([])) == 0


def test_among_and_first():
    text = column(["a", "?", "b", "?"])
    assert text.among(["?", "zz"]).tolist() == [False, True, False]
    assert text.first(text.among(["?"])) == 1
    assert text.first(text.among(["?"]), np.array([2, 3])) == 3
    assert text.first(text.among(["q"])) is None
