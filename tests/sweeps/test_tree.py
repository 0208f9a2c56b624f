"""Dotted keys and trees."""

from __future__ import annotations

from jaxtrain.sweeps.tree import leaves, nested


def test_there_and_back():
    values = {"a.b": 1, "a.c.d": [2], "e": None}
    assert nested(values) == {"a": {"b": 1, "c": {"d": [2]}}, "e": None}
    assert dict(leaves(nested(values))) == values


def test_an_empty_section_is_a_value():
    assert dict(leaves({"a": {}, "b": {"c": {}}})) == {"a": {}, "b.c": {}}
