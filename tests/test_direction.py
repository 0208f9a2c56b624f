import math

import pytest

from jaxtrain.metrics import better, improves, rank

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("val/loss", "min"),
        ("loss", "min"),
        ("accuracy", "max"),
        ("val/accuracy", "max"),
        ("val/accuracy_top5", "max"),
        ("val/inaccuracy", "min"),
        ("accuracy/loss", "min"),
        ("val/mse", "min"),
        ("val/mae", "min"),
        ("val/rmse", "min"),
        ("val/root_mean_squared_error", "min"),
        ("val/r2", "max"),
        ("r2_score", "max"),
        ("val/depth_r2", "max"),
        ("val/r2d2", "min"),
        ("val/f1", "max"),
        ("f1_macro", "max"),
        ("val/f2", "max"),
        ("val/fbeta", "max"),
        ("val/precision", "max"),
        ("val/average_precision", "max"),
        ("val/recall", "max"),
        ("val/auc", "max"),
        ("val/roc_auc", "max"),
        ("val/auroc", "max"),
        ("val/ap", "max"),
        ("val/map", "max"),
        ("val/mape", "min"),
        ("val/gap", "min"),
        ("val/perplexity", "min"),
        ("map/loss", "min"),
    ],
)
def test_by_the_last_part_of_the_name(name, direction):
    assert better(name) == direction


@pytest.mark.parametrize("name", ["val/loss", "val/accuracy"])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_what_is_said_wins(name, mode):
    assert better(name, mode) == mode


@pytest.mark.parametrize(
    ("value", "best", "smaller", "larger"),
    [
        (0.4, 0.5, True, False),
        (0.6, 0.5, False, True),
        (0.5, 0.5, False, False),  # the first of equals stays the best
        (0.0, -0.0, False, False),
        (0.5, None, True, True),
        (0.5, NAN, True, True),
        (NAN, 0.5, False, False),
        (NAN, None, False, False),
        (NAN, NAN, False, False),
        (None, 0.5, False, False),
        (None, None, False, False),
        (None, NAN, False, False),
        (0.5, INF, True, False),
        (INF, 0.5, False, True),
        (INF, INF, False, False),
        (-INF, -INF, False, False),
        (-INF, INF, True, False),
        (INF, None, True, True),
        (INF, NAN, True, True),
        (1, 2, True, False),
    ],
)
def test_what_improves(value, best, smaller, larger):
    assert improves(value, best, "min") is smaller
    assert improves(value, best, "max") is larger


def test_a_gain_has_to_be_larger_than_the_least_one():
    for direction, sign in (("min", -1), ("max", 1)):
        assert not improves(0.5 + sign * 0.25, 0.5, direction, min_delta=0.25)
        assert improves(0.5 + sign * 0.26, 0.5, direction, min_delta=0.25)
        assert improves(0.5, None, direction, min_delta=9.0)
        assert improves(0.5, NAN, direction, min_delta=9.0)


@pytest.mark.parametrize(("direction", "order"), [("min", [1, 2, 3]), ("max", [3, 2, 1])])
def test_the_better_ranks_lower_and_what_is_no_number_last(direction, order):
    ranked = sorted([NAN, 2, None, 1, 3], key=lambda value: rank(value, direction))
    assert ranked[:3] == order
    assert [value is None or math.isnan(value) for value in ranked[3:]] == [True, True]
    assert rank(5.0, direction) == rank(5.0, direction)


def test_of_equals_the_first_ranks_first():
    rows = [("a", 0.5), ("b", 0.25), ("c", 0.25)]
    assert min(rows, key=lambda row: rank(row[1], "min"))[0] == "b"
    assert min(reversed(rows), key=lambda row: rank(row[1], "min"))[0] == "c"
