import math

import pytest

from jaxtrain.metrics import improves
from jaxtrain.report.epochs import best, column

NAN, INF = math.nan, math.inf


def rows(*values, name="val/loss"):
    return [
        {"epoch": epoch} | ({} if value is None else {name: value})
        for epoch, value in enumerate(values, 1)
    ]


def best_epoch(*values, name="val/loss", mode="auto"):
    row = best(rows(*values, name=name), name, mode)
    return None if row is None else row["epoch"]


def test_a_column_has_the_finite_values_and_their_epochs():
    assert column(rows(0.5, None, NAN, INF, 0.25), "val/loss") == ([1, 5], [0.5, 0.25])
    assert column(rows(1, 2), "val/accuracy") == ([], [])
    assert column([], "val/loss") == ([], [])


@pytest.mark.parametrize(
    ("values", "smallest", "largest"),
    [
        ((0.5, 0.3, 0.4), 2, 1),
        ((0.5, 0.3, 0.3, 0.5), 2, 1),  # of equals the earliest
        ((NAN, 0.5, NAN), 2, 2),
        ((None, 0.5, 0.6), 2, 3),
        ((NAN, NAN), None, None),
        ((None,), None, None),
        ((), None, None),
        ((INF, 0.5), 2, 1),
        ((INF, INF), 1, 1),
        ((NAN, INF), 2, 2),
        ((1, 2), 1, 2),
    ],
    ids=str,
)
def test_the_best_row(values, smallest, largest):
    assert best_epoch(*values, mode="min") == smallest
    assert best_epoch(*values, mode="max") == largest


def test_which_way_is_better_goes_by_the_name_unless_it_is_said():
    assert best_epoch(0.5, 0.3) == 2
    assert best_epoch(0.5, 0.3, name="val/accuracy") == 1
    assert best_epoch(0.5, 0.3, name="val/accuracy", mode="min") == 2


@pytest.mark.parametrize("direction", ["min", "max"])
@pytest.mark.parametrize(
    "values", [(0.5, 0.3, 0.3, NAN, 0.7), (NAN, None, 0.5, 0.5), (INF, -INF, 0.0), (NAN,)], ids=str
)
def test_it_is_the_epoch_that_one_who_asks_after_each_ends_with(values, direction):
    """Early stopping and the checkpoints ask `improves` epoch by epoch."""
    value, epoch = None, None
    for number, found in enumerate(values, 1):
        if improves(found, value, direction):
            value, epoch = found, number
    assert best_epoch(*values, mode=direction) == epoch
