"""Tests of jaxtrain.report.page.series."""

import math

import pytest

from jaxtrain.report.page.series import Series, counted, drawn, points_each, series_of, thinned
from tests.report.page.small import epochs


def test_every_name_and_axis_is_a_series():
    rows = [
        *epochs(2),
        {"event": "log", "epoch": 2, "iteration": 20, "step": 7, "axis": "game", "loss": 3.0},
        {"event": "log", "epoch": 2, "iteration": 20, "step": 15, "loss": 0.9, "margin": 1},
    ]
    found = series_of(rows)
    assert list(found) == [
        ("loss", "step"), ("learning_rate", "step"), ("train/loss", "step"),
        ("val/loss", "step"), ("val/accuracy", "step"), ("loss", "game"), ("log/loss", "step"),
        ("margin", "step"),
    ]  # fmt: skip
    loss = found["loss", "step"]
    assert (loss.xs, loss.ys, loss.event) == ([5, 15], [1.0, 0.5], "iteration")
    assert found["log/loss", "step"].ys == [0.9]  # what somebody logs is another curve
    assert (found["loss", "game"].xs, found["loss", "game"].epochs) == ([7], [])
    assert found["margin", "step"].ys == [1.0]


def test_iterations_lie_between_the_ends_of_epochs():
    rows = [
        {"event": "epoch", "epoch": 1, "iteration": 10, "a": 1.0},
        {"event": "epoch", "epoch": 2, "iteration": 30, "a": 1.0},
        *({"event": "iteration", "epoch": 1, "iteration": at, "b": 0.0} for at in (0, 5, 20, 40)),
    ]
    found = series_of(rows)
    assert found["a", "step"].epochs == [1.0, 2.0]
    assert found["b", "step"].epochs == [0.0, 0.5, 1.5, 2.5]  # the last by the last epoch's length
    assert series_of(rows[2:])["b", "step"].epochs == []


def test_nan_is_a_gap_and_no_step_is_no_point():
    rows = [
        {"event": "iteration", "iteration": 1, "loss": None},
        {"event": "iteration", "iteration": 2, "loss": 0.5, "note": "text", "flag": True},
        {"event": "iteration", "iteration": -1, "loss": 0.5},
        {"event": "iteration", "loss": 0.5},
        {"event": "log", "iteration": 3, "loss": 0.5},
        {"event": "iteration", "iteration": 4, "loss": 1e999},
    ]
    (one,) = series_of(rows).values()
    assert (one.xs, one.ys) == ([1, 2, 4], [None, 0.5, None])
    assert (one.total, one.missing, one.last) == (3, 2, 0.5)


def test_thinning_keeps_ends_and_spikes():
    count = 10_000
    ys = [math.sin(at / 500) for at in range(count)]
    ys[4321], ys[7000] = 50.0, -50.0
    ys[1234] = None
    ys[:3], ys[-3:] = [0.0, 2.0, -2.0], [2.0, -2.0, 0.0]  # neither end is an extreme
    one = counted(
        Series("a", "step", "log", list(range(count)), ys, [at / 100 for at in range(count)])
    )
    few = thinned(one, 200)
    assert len(few.xs) <= 203
    assert (few.xs[0], few.xs[-1]) == (0, count - 1)
    assert {4321, 7000, 1234} <= set(few.xs)
    assert few.xs == sorted(few.xs)
    assert all(few.ys[at] == ys[x] for at, x in enumerate(few.xs))
    assert few.epochs == [x / 100 for x in few.xs]
    assert (few.total, few.missing) == (count, 1)
    # of each stretch both ends of what it has
    part = ys[5000:5100]
    inside = [y for x, y in zip(few.xs, few.ys, strict=True) if 5000 <= x < 5100]
    assert {min(part), max(part)} <= set(inside)


def test_few_points_stay_as_they_are():
    one = Series("a", "step", "log", [1, 2], [1.0, None])
    assert thinned(one, 2) is one


@pytest.mark.parametrize(("count", "points"), [(0, 2000), (125, 2000), (250, 1000), (10**6, 50)])
def test_many_series_have_fewer_points(count, points):
    assert points_each(count) == points


def test_values_have_the_digits_of_a_float32():
    assert drawn([1 / 3, 123456789.0, None]) == [0.3333333, 123456800.0, None]
