"""Who goes on."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxtrain.sweeps.halving import rungs, survivors

VALUES = st.lists(st.one_of(st.none(), st.floats(allow_infinity=False)), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("first", "factor", "epochs", "ends"),
    [(1, 2, 8, [1, 2, 4, 8]), (3, 3, 30, [3, 9, 27, 30]), (5, 3, 5, [5]), (9, 3, 5, [5])],
)
def test_rungs(first, factor, epochs, ends):
    assert rungs(first=first, factor=factor, epochs=epochs) == ends


@given(values=VALUES, factor=st.integers(2, 5), mode=st.sampled_from(["min", "max"]))
def test_one_batch_is_successive_halving(values, factor, mode):
    chosen = survivors(values, seen=[], factor=factor, mode=mode)
    sound = [v for v in values if v is not None and not math.isnan(v)]
    assert len(chosen) == min(max(1, len(values) // factor), len(sound))
    assert chosen == sorted(set(chosen))
    gone = [values[p] for p in range(len(values)) if p not in chosen and values[p] in sound]
    for place in chosen:
        stays = values[place]
        assert stays is not None
        assert all(stays <= v if mode == "min" else stays >= v for v in gone)


def test_a_batch_is_measured_against_all_that_came_before():
    seen = [0.1, 0.2, 0.3, 0.4]
    # Two of six may go on, and one of the earlier ones is better than all of these.
    assert survivors([0.15, 0.5], seen=seen, factor=3, mode="min") == [0]
    assert survivors([0.25, 0.5], seen=seen, factor=3, mode="min") == []
    assert survivors([0.05, 0.06], seen=seen, factor=3, mode="min") == [0, 1]
    assert survivors([0.5, 0.05], seen=seen, factor=3, mode="max") == [0]
    assert survivors([0.35, 0.05], seen=[*seen, None], factor=3, mode="max") == [0]


def test_equals_are_told_apart_by_their_places():
    assert survivors([0.5, 0.5, 0.5, 0.5], seen=[], factor=2, mode="min") == [0, 1]


def test_nobody():
    assert survivors([None, math.nan], seen=[], factor=2, mode="min") == []
