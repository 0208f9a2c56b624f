"""Tests of jaxtrain.sweeps.ranking."""

import numpy as np
import pytest

from jaxtrain.sweeps.ledger import Row
from jaxtrain.sweeps.ranking import MEMBERS, best_row, importance, ranked


def row(member, value, *, monitor="val/loss", values=None, status="finished", rungs=()):
    return Row(
        member=member, batch=0, group=0, values=values or {}, status=status, epochs=5,
        iterations=50, monitor=monitor, value=value, best_epoch=None if value is None else 5,
        rungs=rungs, failed_at=3 if status == "failed" else None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("monitor", "mode", "order"),
    [
        ("val/loss", "auto", [3, 0, 1, 2]),
        ("val/accuracy", "auto", [0, 1, 3, 2]),
        ("val/loss", "max", [0, 1, 3, 2]),
    ],
)
def test_the_best_first_and_of_equals_the_earlier(monitor, mode, order):
    values = {1: 0.5, 2: None, 3: 0.1, 0: 0.5}
    rows = [row(member, value, monitor=monitor) for member, value in values.items()]
    assert [one.member for one in ranked(rows, mode)] == order
    assert best_row(rows, mode).member == order[0]
    assert best_row([row(0, None)]) is None
    assert best_row([]) is None


def members(count=40, *, of=lambda rate, width, name: abs(np.log10(rate) + 2)):
    draw = np.random.default_rng(3)
    return [
        row(n, float(of(*values.values())), values=values)
        for n in range(count)
        for values in [
            {
                "rate": float(10 ** draw.uniform(-4, 0)),
                "width": int(draw.integers(1, 9)),
                "name": str(draw.choice(["a", "b", "c"])),
            }
        ]
    ]


def test_what_hangs_on_one_key_is_said_to():
    rows = members()
    found = importance(rows)
    assert next(iter(found.shares)) == "rate"
    assert found.shares["rate"] > 0.9
    assert sum(found.shares.values()) == pytest.approx(1.0)
    assert importance(rows).shares == found.shares
    assert "40 members at their best epoch" in found.said
    by_name = importance(members(of=lambda rate, width, name: "bca".index(name)))
    assert by_name.shares["name"] > 0.99


def test_one_that_ran_away_decides_nothing():
    rows = members()
    rows[5] = rows[5].model_copy(update={"value": 1e9})
    assert importance(rows).shares["rate"] > 0.85


def test_too_few_or_equal_members_say_nothing():
    few = importance(members(MEMBERS - 1))
    assert not few.shares
    assert "expected 10 members or more" in few.said
    assert "found 9" in few.said
    assert importance(members(MEMBERS)).shares
    keys = {f"k{n}": n for n in range(4)}
    assert "expected 12" in importance([row(n, 1.0, values=keys) for n in range(11)]).said
    assert "the same value" in importance([row(n, 1.0, values=keys) for n in range(12)]).said


def test_only_what_was_trained_alike_is_compared():
    rows = members(12)
    gone = [one.model_copy(update={"status": "failed", "failed_at": 1}) for one in rows[:3]]
    assert "found 9" in importance([*gone, *rows[3:]]).said
    cut = [
        one.model_copy(update={"status": "cut" if n else "finished", "value": 9.0, "rungs": rungs})
        for n, one in enumerate(rows)
        for rungs in [((2, one.value), (4, 7.0))]
    ]
    found = importance(cut)
    assert found.shares["rate"] > 0.5
    assert "12 members at the first rung, epoch 2" in found.said
