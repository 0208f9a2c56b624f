"""What fails in one process fails in all; `test_one_run.py` has real ones."""

from __future__ import annotations

import json

import pytest

from jaxtrain.errors import ConfigError, DataError, PeerError
from jaxtrain.parallel import agreed, agreeing


@pytest.fixture
def others(monkeypatch):
    """What the others bring to each meeting, and what this one has brought."""
    brought = []

    def others(*values):
        def exchange(name, value, *, seconds):
            brought.append((name, value))
            return [value, *values]

        monkeypatch.setattr(agreeing, "exchange", exchange)
        return brought

    return others


def test_all_go_on_where_none_has_failed(others):
    brought = others("", "")
    assert agreed("here", lambda: 3) == 3
    assert brought == [("here", "")]


def test_who_fails_tells_and_raises_its_own(others):
    brought = others("")

    def fail():
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        agreed("here", fail)
    assert json.loads(brought[0][1]) == ["KeyError", "'mine'"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("ConfigError", ConfigError), ("DataError", DataError), ("OSError", PeerError)],
)
def test_the_others_raise_of_the_same_kind_where_there_is_one(others, name, kind):
    others("", json.dumps([name, "what it was"]))
    with pytest.raises(kind, match=r"^process 2: what it was$") as caught:
        agreed("here", lambda: 3)
    assert type(caught.value) is kind
