"""Grid and random search."""

from __future__ import annotations

from jaxtrain.sweeps import SweepConfig
from jaxtrain.sweeps.search import searcher_of

SPACE = {"a": {"uniform": [0, 1]}, "b": {"int": [0, 9]}}


def _asked(tmp_path, *, first, count, **more):
    sweep = SweepConfig({"space": SPACE, "members": 8, **more})
    found = searcher_of(sweep, tmp_path, "min").ask(first=first, count=count)
    return [(one.member, one.values) for one in found]


def test_a_member_is_drawn_by_itself(tmp_path):
    whole = _asked(tmp_path, first=0, count=8)
    assert [member for member, _ in whole] == list(range(8))
    assert len({values["a"] for _, values in whole}) == 8
    assert _asked(tmp_path, first=3, count=2) == whole[3:5]
    assert _asked(tmp_path, first=0, count=99, members=20)[:8] == whole
    assert _asked(tmp_path, first=6, count=5) == whole[6:]
    assert _asked(tmp_path, first=8, count=5) == []
    assert _asked(tmp_path, first=0, count=8, seed=1) != whole


def test_a_grid_in_batches(tmp_path):
    more = {"search": "grid", "members": None, "space": {"a": [1, 2], "b": [3, 4, 5]}}
    whole = _asked(tmp_path, first=0, count=6, **more)
    assert [values["b"] for _, values in whole] == [3, 4, 5, 3, 4, 5]
    assert _asked(tmp_path, first=4, count=6, **more) == whole[4:]
    assert _asked(tmp_path, first=6, count=6, **more) == []
