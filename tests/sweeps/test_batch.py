"""A batch, from rung to rung; its units are told what to say."""

from __future__ import annotations

import json
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from jaxtrain.hooks.monitor import Monitor
from jaxtrain.sweeps.batch import Batch
from jaxtrain.sweeps.config import HalvingSection
from jaxtrain.sweeps.ledger import AskedMember, Row

EPOCHS = 4
HALVING = HalvingSection(first=1, factor=2)


class Unit:
    """Members whose value behind an epoch is `values[member] / epoch`."""

    def __init__(self, path, group, values, failed=(), stopped=()):
        path.mkdir()
        self.path, self.group, self.values = path, group, values
        self.failed, self.stopped = dict(failed), dict(stopped)
        self.members = tuple(values)
        self.trained = []

    def train(self, rung, epochs, alive, guard):
        self.trained.append((rung, epochs, list(alive)))
        values = [None if m in self.failed else self.values[m] / epochs for m in alive]
        before = self.trained[-2][1] if len(self.trained) > 1 else 0
        return {
            "members": list(alive),
            "epoch": epochs,
            "iterations": 10 * epochs,
            "best": values,
            "best_epochs": [
                None if value is None else self.stopped.get(m, epochs)
                for m, value in zip(alive, values, strict=True)
            ],
            "failed_at": [self.failed.get(m, 0) for m in alive],
            "stopped_at": [self.stopped.get(m, 0) for m in alive],
            "history": [
                {"epoch": e, "members": list(alive), "val/loss": [v and v for v in values]}
                for e in range(before + 1, epochs + 1)
            ],
        }


def batch_of(members, groups, number=0):
    config = SimpleNamespace(train=SimpleNamespace(epochs=EPOCHS))
    asked = tuple(AskedMember(member=m, values={"a": m}) for m in members)
    return Batch(number, asked, (config,) * len(asked), tuple(groups))


@pytest.fixture
def group():
    return SimpleNamespace(configs=[SimpleNamespace(train=SimpleNamespace(epochs=EPOCHS))])


def train(batch, units, before=(), halving=HALVING, mode="min"):
    monitor = Monitor("val/loss", mode)
    return batch.train(units, before=before, halving=halving, monitor=monitor, guard=nullcontext)


def test_without_halving_all_go_all_the_way(tmp_path, group):
    unit = Unit(tmp_path / "u", group, {0: 3.0, 1: 1.0}, failed={0: 7})
    rows = train(batch_of([0, 1], [group]), [unit], halving=None)
    assert unit.trained == [(0, EPOCHS, [0, 1])]
    assert [(row.status, row.value, row.failed_at) for row in rows] == [
        ("failed", None, 7),
        ("finished", 0.25, None),
    ]
    assert (rows[0].iterations, rows[1].iterations) == (7, 40)


def test_a_rung_counts_all_units_of_the_batch(tmp_path, group):
    other = SimpleNamespace(configs=group.configs, split_by={})
    first = Unit(tmp_path / "a", group, {0: 1.0, 1: 2.0})
    second = Unit(tmp_path / "b", other, {2: 8.0, 3: 9.0})
    rows = train(batch_of(range(4), [group, other]), [first, second])
    assert first.trained == [(0, 1, [0, 1]), (1, 2, [0, 1]), (2, 4, [0])]
    assert second.trained == [(0, 1, [2, 3])]
    assert [row.status for row in rows] == ["finished", "cut", "cut", "cut"]
    assert [row.epochs for row in rows] == [4, 2, 1, 1]
    assert [row.group for row in rows] == [0, 0, 1, 1]
    assert rows[1].rungs == ((1, 2.0), (2, 1.0))


def test_the_larger_may_be_the_better(tmp_path, group):
    unit = Unit(tmp_path / "u", group, {0: 1.0, 1: 2.0})
    rows = train(batch_of([0, 1], [group]), [unit], mode="max")
    assert [row.status for row in rows] == ["cut", "finished"]


def test_who_has_failed_or_stopped_goes_no_further_and_says_so(tmp_path, group):
    unit = Unit(
        tmp_path / "u", group, {0: 1.0, 1: 2.0, 2: 0.1, 3: 3.0}, failed={2: 5}, stopped={0: 1}
    )
    rows = train(batch_of(range(4), [group]), [unit])
    # Of those that stand, half of all four go on.
    assert [row.status for row in rows] == ["stopped", "finished", "failed", "cut"]
    assert (rows[2].failed_at, rows[2].iterations, rows[0].epochs) == (5, 5, 1)


def row_of(member, value, batch):
    return Row(
        member=member, batch=batch, group=0, values={}, status="cut", epochs=1, iterations=1,
        monitor="val/loss", value=value, best_epoch=1, rungs=((1, value),),
    )  # fmt: skip


def test_earlier_batches_count_at_a_rung(tmp_path, group):
    unit = Unit(tmp_path / "a", group, {4: 5.0, 5: 6.0})
    better = [row_of(m, 0.5, batch=0) for m in range(4)]
    rows = train(batch_of([4, 5], [group], 1), [unit], before=better)
    assert [one.status for one in rows] == ["cut", "cut"]


@pytest.mark.parametrize("batch", [1, 2])
def test_neither_later_ones_nor_the_batch_itself_do(tmp_path, group, batch):
    """They are there where more epochs are asked for: who goes on is who went on."""
    unit = Unit(tmp_path / "b", group, {4: 5.0, 5: 6.0})
    told = [row_of(m, 0.5, batch) for m in ((4, 5) if batch == 1 else range(6, 10))]
    rows = train(batch_of([4, 5], [group], 1), [unit], before=told)
    assert [one.status for one in rows] == ["finished", "cut"]


def test_who_was_stopped_stands_where_it_was(tmp_path, group):
    unit = Unit(tmp_path / "u", group, {0: 1.0, 1: 2.0}, stopped={0: 3})
    rows = train(batch_of([0, 1], [group]), [unit], halving=None)
    assert [(row.status, row.epochs) for row in rows] == [("stopped", 3), ("finished", 4)]


def test_the_history_of_an_epoch_is_there_once(tmp_path, group):
    unit = Unit(tmp_path / "u", group, {0: 1.0, 1: 2.0})
    for _ in range(2):
        unit.trained.clear()
        train(batch_of([0, 1], [group]), [unit])
        lines = (tmp_path / "u" / "history.jsonl").read_text().splitlines()
        assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3, 4]
