from __future__ import annotations

import numpy as np
import pytest

from jaxtrain.data.text.dividing import divide
from jaxtrain.data.text.documents import TextDocuments
from jaxtrain.errors import ConfigError

SHARES = {"validation_fraction": 0.2, "seed": 0, "test_fraction": 0.3, "split_seed": 0}


@pytest.fixture
def many(tmp_path):
    (tmp_path / "many.txt").write_text("|".join(str(number) for number in range(20)))
    return TextDocuments((tmp_path / "many.txt",), separator="|")


@pytest.fixture
def one(tmp_path):
    (tmp_path / "one.txt").write_text("".join(chr(97 + number) for number in range(20)))
    return TextDocuments((tmp_path / "one.txt",))


def texts(parts):
    return {name: [piece.text for piece in documents.pieces()] for name, documents in parts.items()}


def test_documents_are_drawn(many):
    found = texts(divide(many, {}, **SHARES))
    assert [(name, len(part)) for name, part in found.items()] == [
        ("train", 11),
        ("validation", 3),
        ("test", 6),
    ]
    assert sorted(int(text) for part in found.values() for text in part) == list(range(20))
    for part in found.values():
        assert part == sorted(part, key=int)
    assert texts(divide(many, {}, **SHARES)) == found
    other = texts(divide(many, {}, **{**SHARES, "seed": 1}))
    assert other["test"] == found["test"]
    assert other["validation"] != found["validation"]
    assert texts(divide(many, {}, **{**SHARES, "split_seed": 1}))["test"] != found["test"]


def test_one_text_is_cut_at_its_end(one):
    found = texts(divide(one, {}, **SHARES))
    assert found == {"train": ["abcdefghij"], "validation": ["klmn"], "test": ["opqrst"]}
    assert texts(divide(one, {}, **{**SHARES, "seed": 5})) == found


def test_sets_that_have_their_own(one, many):
    held = {"test": many}
    found = divide(one, held, **SHARES)
    assert list(found) == ["train", "validation", "test"]
    assert found["test"] is many
    assert texts(found)["train"] == ["abcdefghijklmnop"]
    both = divide(one, {"validation": many, "test": many}, **SHARES)
    assert both["train"] is one
    none = divide(one, held, **{**SHARES, "validation_fraction": 0.0})
    assert list(none) == ["train", "test"]
    assert none["train"] is one


def test_parts_that_would_be_empty(one, tmp_path):
    with pytest.raises(ConfigError, match=r"one text of 20 characters: shares of 0\.2 .*0\.02"):
        divide(one, {}, **{**SHARES, "test_fraction": 0.02})
    with pytest.raises(ConfigError, match="leave nothing of one of its parts"):
        divide(one, {}, **{**SHARES, "test_fraction": 0.79})
    (tmp_path / "two.txt").write_text("a|b")
    two = TextDocuments((tmp_path / "two.txt",), separator="|")
    with pytest.raises(ConfigError, match="hold out"):
        divide(two, {}, **SHARES)
    chosen = two.selected(np.array([True, True]))
    assert chosen.count() == 2
